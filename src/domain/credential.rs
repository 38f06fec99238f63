//! The credential: what the API answers about it, and how a request becomes one.
//!
//! [`Credential`] is metadata only. Secrets exist as [`SecretMaterial`], on their way into an envelope; no type holds both.

use pushvault_crypto::{Plaintext, Secrets};
use secrecy::{ExposeSecret, SecretString};
use time::OffsetDateTime;

use super::page::RowKey;
use super::pem::{parse_certificate, parse_private_key};
use super::push_service::PushService;
use super::sid::{AccountSid, CredentialSid};
use super::text::FriendlyName;
use super::validation::ValidationError;

/// The secrets of one credential version, in plain text, wiped when dropped.
pub type SecretMaterial = Secrets;

/// A credential as it can be told to anyone who may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// The account it belongs to.
    pub account_sid: AccountSid,
    /// Its SID.
    pub credential_sid: CredentialSid,
    /// What a person calls it.
    pub friendly_name: Option<FriendlyName>,
    /// The service it signs in to.
    pub push_service: PushService,
    /// APNs only: whether it is for the sandbox.
    pub sandbox: bool,
    /// The version that holds its present secrets.
    pub current_version: i32,
    /// When it was made.
    pub date_created: OffsetDateTime,
    /// When it last changed.
    pub date_updated: OffsetDateTime,
}

impl From<&Credential> for RowKey {
    fn from(credential: &Credential) -> Self {
        Self {
            instant: credential.date_created,
            digits: credential.credential_sid.digits(),
        }
    }
}

/// The parameters of a create or an update as the client sent them; an absent one is `None`.
#[derive(Default)]
pub struct CredentialInput {
    /// `Type`
    pub push_service: Option<String>,
    /// `FriendlyName`
    pub friendly_name: Option<String>,
    /// `Sandbox`
    pub sandbox: Option<String>,
    /// `Certificate`
    pub certificate: Option<SecretString>,
    /// `PrivateKey`
    pub private_key: Option<SecretString>,
    /// `ApiKey`
    pub api_key: Option<SecretString>,
    /// `Secret`
    pub secret: Option<SecretString>,
}

/// A checked request to create a credential.
pub struct NewCredential {
    /// What a person calls it.
    pub friendly_name: Option<FriendlyName>,
    /// The service it signs in to.
    pub push_service: PushService,
    /// APNs only: whether it is for the sandbox.
    pub sandbox: bool,
    /// Its secrets; the contract lets them come later.
    pub secrets: SecretMaterial,
}

/// A checked request to update a credential. `None` leaves a value as it is.
pub struct CredentialChanges {
    /// The new name; `Some(None)` clears it.
    pub friendly_name: Option<Option<FriendlyName>>,
    /// The new environment; always `None` for services that have no sandbox.
    pub sandbox: Option<bool>,
    /// The secrets that replace the ones of the same name; the others stay.
    pub secrets: SecretMaterial,
}

impl NewCredential {
    /// Checks a create, before it has any effect.
    pub fn parse(input: &CredentialInput) -> Result<Self, ValidationError> {
        let push_service = match input.push_service.as_deref() {
            None | Some("") => return Err(ValidationError::missing("Type")),
            Some(text) => PushService::parse(text)?,
        };
        Ok(Self {
            friendly_name: match &input.friendly_name {
                Some(text) => FriendlyName::parse(text)?,
                None => None,
            },
            push_service,
            sandbox: parse_sandbox(push_service, input)?.unwrap_or(false),
            secrets: parse_secrets(push_service, input)?,
        })
    }
}

impl CredentialChanges {
    /// Checks an update of a credential for `push_service`, before it has any effect.
    pub fn parse(input: &CredentialInput, push_service: PushService) -> Result<Self, ValidationError> {
        if let Some(text) = input.push_service.as_deref().filter(|text| !text.is_empty())
            && PushService::parse(text)? != push_service
        {
            return Err(ValidationError::invalid(
                "Type",
                "the type of a credential cannot change; create a new credential instead",
            ));
        }
        Ok(Self {
            friendly_name: input.friendly_name.as_deref().map(FriendlyName::parse).transpose()?,
            sandbox: parse_sandbox(push_service, input)?,
            secrets: parse_secrets(push_service, input)?,
        })
    }

    /// Whether the request asks for nothing.
    pub fn is_empty(&self) -> bool {
        self.friendly_name.is_none() && self.sandbox.is_none() && !self.has_secrets()
    }

    /// Whether the request replaces any secret.
    pub fn has_secrets(&self) -> bool {
        let Secrets {
            certificate,
            private_key,
            api_key,
            secret,
        } = &self.secrets;
        [certificate, private_key, api_key, secret]
            .into_iter()
            .any(Option::is_some)
    }
}

/// Reads `Sandbox`. Only APNs has one; for the other services a well-formed value is taken and has no effect.
fn parse_sandbox(push_service: PushService, input: &CredentialInput) -> Result<Option<bool>, ValidationError> {
    let sandbox = match input.sandbox.as_deref() {
        None | Some("") => None,
        Some(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Some(text) if text.eq_ignore_ascii_case("false") => Some(false),
        Some(_) => return Err(ValidationError::invalid("Sandbox", "use true or false")),
    };
    Ok(sandbox.filter(|_| push_service == PushService::Apn))
}

fn parse_secrets(push_service: PushService, input: &CredentialInput) -> Result<SecretMaterial, ValidationError> {
    let accepted = push_service.secret_parameters();
    let take =
        |parameter: &'static str, value: &Option<SecretString>| -> Result<Option<SecretString>, ValidationError> {
            // An empty value counts as absent. A secret of another type is refused: it is never dropped in silence.
            match value.as_ref().filter(|value| !value.expose_secret().is_empty()) {
                None => Ok(None),
                Some(value) if accepted.contains(&parameter) => Ok(Some(value.clone())),
                Some(_) => Err(ValidationError::invalid(
                    parameter,
                    &format!(
                        "a credential of Type {} takes {} instead",
                        push_service.as_str(),
                        accepted.join(" and ")
                    ),
                )),
            }
        };
    let plaintext = |parameter: &'static str, text: &str| {
        if text.len() > Plaintext::MAX_LENGTH {
            let remedy = format!("use at most {} bytes", Plaintext::MAX_LENGTH);
            return Err(ValidationError::invalid(parameter, &remedy));
        }
        Ok(Plaintext::new(text.as_bytes().to_vec()))
    };
    Ok(Secrets {
        certificate: take("Certificate", &input.certificate)?
            .map(|text| plaintext("Certificate", &parse_certificate(text.expose_secret())?))
            .transpose()?,
        private_key: take("PrivateKey", &input.private_key)?
            .map(|text| plaintext("PrivateKey", &parse_private_key(text.expose_secret())?))
            .transpose()?,
        api_key: take("ApiKey", &input.api_key)?
            .map(|text| plaintext("ApiKey", text.expose_secret()))
            .transpose()?,
        secret: take("Secret", &input.secret)?
            .map(|text| plaintext("Secret", text.expose_secret()))
            .transpose()?,
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#[expect(clippy::unnecessary_wraps, reason = "a parameter is there or is not")]
mod tests {
    use super::*;

    fn text(value: &str) -> Option<String> {
        Some(value.to_owned())
    }

    fn secret(value: &str) -> Option<SecretString> {
        Some(SecretString::from(value))
    }

    fn refusal(input: &CredentialInput) -> ValidationError {
        NewCredential::parse(input).err().unwrap()
    }

    #[test]
    fn type_alone_makes_an_incomplete_credential_out_of_the_sandbox() {
        let new = NewCredential::parse(&CredentialInput {
            push_service: text("APN"),
            ..CredentialInput::default()
        })
        .unwrap();
        assert_eq!(new.push_service, PushService::Apn);
        assert!(!new.sandbox);
        assert!(new.secrets.certificate.is_none());
    }

    #[test]
    fn an_absent_and_an_empty_type_are_missing() {
        for push_service in [None, text("")] {
            let refused = refusal(&CredentialInput {
                push_service,
                ..CredentialInput::default()
            });
            assert_eq!(refused.to_string(), "Missing required parameter Type in the post body");
        }
    }

    #[test]
    fn a_secret_of_another_type_is_refused_by_the_name_of_the_right_one() {
        let refused = refusal(&CredentialInput {
            push_service: text("fcm"),
            api_key: secret("canary"),
            ..CredentialInput::default()
        });
        assert_eq!(
            refused.to_string(),
            "Invalid value for parameter ApiKey: a credential of Type fcm takes Secret instead"
        );
    }

    #[test]
    fn a_secret_longer_than_an_envelope_takes_is_refused_by_name() {
        let with = |length: usize| {
            NewCredential::parse(&CredentialInput {
                push_service: text("gcm"),
                api_key: secret(&"k".repeat(length)),
                ..CredentialInput::default()
            })
        };
        assert!(with(Plaintext::MAX_LENGTH).is_ok());
        assert_eq!(with(Plaintext::MAX_LENGTH + 1).err().unwrap().parameter, "ApiKey");
    }

    #[test]
    fn an_empty_secret_of_another_type_counts_as_absent() {
        let new = NewCredential::parse(&CredentialInput {
            push_service: text("fcm"),
            api_key: secret(""),
            secret: secret("s"),
            ..CredentialInput::default()
        })
        .unwrap();
        assert_eq!(new.secrets.secret.unwrap().expose_secret(), b"s");
    }

    #[test]
    fn sandbox_takes_both_words_in_any_case_and_nothing_else() {
        let with = |sandbox: &str, push_service: &str| {
            NewCredential::parse(&CredentialInput {
                push_service: text(push_service),
                sandbox: text(sandbox),
                ..CredentialInput::default()
            })
        };
        assert!(with("TRUE", "apn").unwrap().sandbox);
        assert!(!with("False", "apn").unwrap().sandbox);
        assert!(!with("true", "gcm").unwrap().sandbox, "only APNs has a sandbox");
        assert_eq!(with("1", "apn").err().unwrap().parameter, "Sandbox");
        assert_eq!(with("1", "gcm").err().unwrap().parameter, "Sandbox");
    }

    #[test]
    fn an_update_may_name_the_same_type_and_no_other() {
        let naming = |push_service: &str| {
            CredentialChanges::parse(
                &CredentialInput {
                    push_service: text(push_service),
                    ..CredentialInput::default()
                },
                PushService::Fcm,
            )
        };
        assert!(naming("FcM").unwrap().is_empty());
        assert_eq!(naming("apn").err().unwrap().parameter, "Type");
    }

    #[test]
    fn an_empty_name_clears_it_on_update() {
        let changes = CredentialChanges::parse(
            &CredentialInput {
                friendly_name: text(""),
                ..CredentialInput::default()
            },
            PushService::Fcm,
        )
        .unwrap();
        assert_eq!(changes.friendly_name, Some(None));
        assert!(!changes.is_empty());
    }
}
