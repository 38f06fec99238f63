//! The audit event: who did what to which resource, when, from where, and how it ended.
//!
//! An event carries *names* of changed fields, before and after of non-secret metadata, and the digest of ciphertexts.
//! It never carries a secret, nor a value derived from one without a key.

use std::net::IpAddr;

use pushvault_crypto::CryptoError;
use serde_json::{Value, json};

use super::credential::Credential;
use super::principal::Principal;
use super::sid::{AccountSid, ApiKeySid, EventSid, RequestSid};

/// Who acted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// An account by its auth token.
    Account(AccountSid),
    /// An API key.
    ApiKey(ApiKeySid),
    /// A person or job with a shell: the name of the operating system's user.
    Operator(String),
    /// Nobody who could prove it.
    Anonymous,
}

impl Actor {
    /// The kind of actor, as stored.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Account(_) => "account",
            Self::ApiKey(_) => "api_key",
            Self::Operator(_) => "operator",
            Self::Anonymous => "anonymous",
        }
    }

    /// The actor's SID, or the operator's user name.
    pub fn identifier(&self) -> Option<&str> {
        match self {
            Self::Account(sid) => Some(sid.as_str()),
            Self::ApiKey(sid) => Some(sid.as_str()),
            Self::Operator(name) => Some(name),
            Self::Anonymous => None,
        }
    }
}

impl From<&Principal> for Actor {
    fn from(principal: &Principal) -> Self {
        match principal {
            Principal::Account(account_sid) => Self::Account(account_sid.clone()),
            Principal::ApiKey { api_key_sid, .. } => Self::ApiKey(api_key_sid.clone()),
        }
    }
}

/// Who asks, from where, in which request: what every event is recorded with.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// Who asks.
    pub actor: Actor,
    /// The request; absent for the operator's commands.
    pub request_sid: Option<RequestSid>,
    /// The peer's address.
    pub source_address: Option<IpAddr>,
    /// The header `User-Agent`, shortened.
    pub user_agent: Option<String>,
    /// The header `traceparent` (W3C Trace Context), when it is well formed.
    pub traceparent: Option<String>,
}

impl RequestContext {
    /// The context of an operator's command.
    pub fn operator(user_name: String) -> Self {
        Self {
            actor: Actor::Operator(user_name),
            request_sid: None,
            source_address: None,
            user_agent: None,
            traceparent: None,
        }
    }
}

/// Makes the type and its names from one list.
macro_rules! actions {
    ($($action:ident = $name:literal,)*) => {
        /// What was asked for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "each name is its own sentence")]
        pub enum Action {
            $($action,)*
        }

        impl Action {
            /// The name as stored and logged.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$action => $name,)*
                }
            }

            /// Whether an action has this name.
            pub fn is_name(text: &str) -> bool {
                [$($name),*].contains(&text)
            }
        }
    };
}

actions! {
    RootKeyRegister = "root_key.register",
    RootKeyAdd = "root_key.add",
    RootKeyRotate = "root_key.rotate",
    RootKeyRewrap = "root_key.rewrap",
    RootKeyRetire = "root_key.retire",
    RootKeyDestroy = "root_key.destroy",
    RecoveryInit = "recovery.init",
    RecoveryReplace = "recovery.replace",
    RecoveryCopy = "recovery.copy",
    RecoveryRetire = "recovery.retire",
    RecoveryDestroy = "recovery.destroy",
    RecoveryRestore = "recovery.restore",
    RecoveryRewrap = "recovery.rewrap",
    RecoveryFinish = "recovery.finish",
    SigningKeyCreate = "signing_key.create",
    SigningKeyRewrap = "signing_key.rewrap",
    AccountCreate = "account.create",
    AccountSuspend = "account.suspend",
    AccountActivate = "account.activate",
    AccountRotateToken = "account.rotate_token",
    AccountRotateKey = "account.rotate_key",
    AccountRewrap = "account.rewrap",
    AccountDestroyKey = "account.destroy_key",
    AccountDestroyPreview = "account.destroy_preview",
    AccountDestroy = "account.destroy",
    AccountDestroyStatement = "account.destroy_statement",
    ApiKeyCreate = "api_key.create",
    ApiKeyRevoke = "api_key.revoke",
    CredentialFetch = "credential.fetch",
    CredentialList = "credential.list",
    CredentialCreate = "credential.create",
    CredentialUpdate = "credential.update",
    CredentialDelete = "credential.delete",
    AuditPrune = "audit.prune",
    AuditEventFetch = "audit_event.fetch",
    AuditEventList = "audit_event.list",
}

impl Action {
    /// Whether it changes nothing. Then it leaves an event only where it was refused for want of a right.
    pub const fn is_read(self) -> bool {
        matches!(
            self,
            Self::CredentialFetch | Self::CredentialList | Self::AuditEventFetch | Self::AuditEventList
        )
    }
}

/// How it ended; the number is the error code that the caller was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done, in the transaction that recorded this event.
    Success,
    /// Refused: the caller may not.
    Denied(u16),
    /// Not done: the request was wrong, or the service could not.
    Failed(u16),
    /// The connection broke while the change was being committed: it may or may not have been done. If it was, a second
    /// event with the outcome `success` stands beside this one.
    Unknown(u16),
}

impl Outcome {
    /// The name as stored and logged.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Denied(_) => "denied",
            Self::Failed(_) => "failed",
            Self::Unknown(_) => "unknown",
        }
    }

    /// Whether an outcome has this name.
    pub fn is_name(text: &str) -> bool {
        [Self::Success, Self::Denied(0), Self::Failed(0), Self::Unknown(0)]
            .iter()
            .any(|outcome| outcome.as_str() == text)
    }

    /// The error code that the caller was told.
    pub fn error_code(self) -> Option<i32> {
        match self {
            Self::Success => None,
            Self::Denied(code) | Self::Failed(code) | Self::Unknown(code) => Some(code.into()),
        }
    }
}

/// One entry of the audit trail.
#[derive(Debug, Clone)]
pub struct AuditEvent {
    /// Its SID.
    pub event_sid: EventSid,
    /// The account it belongs to.
    pub account_sid: AccountSid,
    /// Who, from where.
    pub context: RequestContext,
    /// What.
    pub action: Action,
    /// How it ended.
    pub outcome: Outcome,
    /// The SID of what was acted on, when there is one.
    pub target_sid: Option<String>,
    /// The credential version that the change made.
    pub target_version: Option<i32>,
    /// The names of the parameters that changed.
    pub changed_fields: Vec<&'static str>,
    /// Non-secret metadata before the change.
    pub before: Option<Value>,
    /// Non-secret metadata after the change.
    pub after: Option<Value>,
    /// SHA-256 over the ciphertexts of the version that the change made.
    pub envelope_digest: Option<[u8; 32]>,
}

impl AuditEvent {
    /// An event without details; the caller fills in what it knows.
    pub fn new(
        context: &RequestContext,
        account_sid: &AccountSid,
        action: Action,
        outcome: Outcome,
    ) -> Result<Self, CryptoError> {
        Ok(Self {
            event_sid: EventSid::generate()?,
            account_sid: account_sid.clone(),
            context: context.clone(),
            action,
            outcome,
            target_sid: None,
            target_version: None,
            changed_fields: Vec::new(),
            before: None,
            after: None,
            envelope_digest: None,
        })
    }
}

/// The metadata of a credential as `before` and `after` show it.
pub fn credential_metadata(credential: &Credential) -> Value {
    json!({
        "friendly_name": credential.friendly_name,
        "type": credential.push_service.as_str(),
        "sandbox": credential.sandbox,
    })
}
