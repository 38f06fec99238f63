//! Credentials: create, fetch, update, delete. Listing them is in `listing`.

use pushvault_crypto::Plaintext;

use super::error::VaultError;
use super::keyring::{AccountKeys, Patience, VersionContext};
use super::validation::log_findings;
use super::vault::Vault;
use crate::domain::audit::{Action, AuditEvent, Outcome, RequestContext, credential_metadata};
use crate::domain::credential::{Credential, CredentialChanges, CredentialInput, NewCredential, SecretMaterial};
use crate::domain::idempotency::IdempotencyKey;
use crate::domain::precondition::Precondition;
use crate::domain::principal::AccountScope;
use crate::domain::sid::CredentialSid;
use crate::store::{CredentialVersion, NewCredentialRow, UnitOfWork};

/// A credential that a create answers.
pub struct Created {
    /// The credential as it was when it was made.
    pub credential: Credential,
    /// Whether an earlier request with the same idempotency key made it, and this one nothing.
    pub replayed: bool,
}

impl Vault {
    /// Seals the secrets and stores the credential; with the key of an earlier request, answers what that one made.
    pub async fn create_credential(
        &self,
        context: &RequestContext,
        scope: &AccountScope,
        input: CredentialInput,
        idempotency_key: Option<&IdempotencyKey>,
    ) -> Result<Created, VaultError> {
        let new = NewCredential::parse(&input)?;
        drop(input);
        if let Some(key) = idempotency_key
            && let Some(credential) = self.first_answer(scope, key, &new).await?
        {
            return Ok(Created {
                credential,
                replayed: true,
            });
        }
        let findings = self.examine(new.push_service, new.sandbox, &new.secrets)?;
        let mut patience = Patience::new();
        loop {
            let keys = self.keyring.keys(&self.store, scope).await?;
            match self.try_create(context, scope, &new, idempotency_key, &keys).await {
                Err(VaultError::StaleKeys) if self.keyring.try_again(scope.account_sid(), &mut patience) => {}
                created => {
                    let created = created?;
                    if !created.replayed {
                        log_findings(&created.credential.credential_sid, &findings);
                    }
                    return Ok(created);
                }
            }
        }
    }

    async fn try_create(
        &self,
        context: &RequestContext,
        scope: &AccountScope,
        new: &NewCredential,
        idempotency_key: Option<&IdempotencyKey>,
        keys: &AccountKeys,
    ) -> Result<Created, VaultError> {
        let credential_sid = CredentialSid::generate()?;
        let version = VersionContext {
            credential_sid: &credential_sid,
            push_service: new.push_service,
            sandbox: new.sandbox,
            version: 1,
        };
        let envelope = self.keyring.seal(keys, scope, &version, &new.secrets)?;

        let mut change = self.store.begin().await?;
        let row = NewCredentialRow {
            credential_sid: &credential_sid,
            friendly_name: new.friendly_name.as_ref(),
            push_service: new.push_service,
            sandbox: new.sandbox,
        };
        if let Some(key) = idempotency_key
            && !change.take_idempotency_key(scope, key, &row).await?
        {
            // The same request came twice at the same time, and the other one was faster.
            drop(change);
            let credential = self.first_answer(scope, key, new).await?;
            return Ok(Created {
                credential: credential.ok_or(VaultError::IdempotencyKeyReused)?,
                replayed: true,
            });
        }
        let credential = change.insert_credential(scope, &row, &envelope).await?;
        let mut changed_fields = vec!["Type"];
        changed_fields.extend(new.friendly_name.is_some().then_some("FriendlyName"));
        changed_fields.extend(new.sandbox.then_some("Sandbox"));
        changed_fields.extend(secret_names(&new.secrets));
        let event = AuditEvent {
            target_sid: Some(credential_sid.to_string()),
            target_version: Some(credential.current_version),
            changed_fields,
            after: Some(credential_metadata(&credential)),
            envelope_digest: Some(envelope.digest()),
            ..AuditEvent::new(context, scope.account_sid(), Action::CredentialCreate, Outcome::Success)?
        };
        change.commit(event).await?;
        Ok(Created {
            credential,
            replayed: false,
        })
    }

    /// One credential's metadata.
    pub async fn credential(
        &self,
        scope: &AccountScope,
        credential_sid: &CredentialSid,
        precondition: &Precondition,
    ) -> Result<Credential, VaultError> {
        let credential = self.store.credential(scope, credential_sid).await?;
        required(credential, precondition)
    }

    /// Changes what the request names. A secret or the sandbox makes a new version: the secrets that stay are opened and
    /// sealed again under a new DEK, bound to the new version.
    pub async fn update_credential(
        &self,
        context: &RequestContext,
        scope: &AccountScope,
        credential_sid: &CredentialSid,
        precondition: &Precondition,
        input: CredentialInput,
    ) -> Result<Credential, VaultError> {
        // The type never changes, so that the request can be checked before anything is locked.
        let present = self.credential(scope, credential_sid, precondition).await?;
        let changes = CredentialChanges::parse(&input, present.push_service)?;
        drop(input);
        if changes.is_empty() {
            return Ok(present);
        }
        let mut patience = Patience::new();
        loop {
            let keys = self.keyring.keys(&self.store, scope).await?;
            let updated = self.try_update(context, scope, credential_sid, precondition, &changes, &keys);
            match updated.await {
                Err(VaultError::StaleKeys) if self.keyring.try_again(scope.account_sid(), &mut patience) => {}
                updated => return updated,
            }
        }
    }

    async fn try_update(
        &self,
        context: &RequestContext,
        scope: &AccountScope,
        credential_sid: &CredentialSid,
        precondition: &Precondition,
        changes: &CredentialChanges,
        keys: &AccountKeys,
    ) -> Result<Credential, VaultError> {
        let mut change = self.store.begin().await?;
        let before = required(change.lock_credential(scope, credential_sid).await?, precondition)?;
        let mut after = Credential {
            friendly_name: changes.friendly_name.clone().unwrap_or(before.friendly_name.clone()),
            sandbox: changes.sandbox.unwrap_or(before.sandbox),
            ..before.clone()
        };
        let mut changed_fields = Vec::new();
        changed_fields.extend((after.friendly_name != before.friendly_name).then_some("FriendlyName"));
        changed_fields.extend((after.sandbox != before.sandbox).then_some("Sandbox"));
        changed_fields.extend(secret_names(&changes.secrets));
        if changed_fields.is_empty() {
            // What it names is so already: nothing is changed, and no tag that somebody holds grows stale.
            return Ok(before);
        }
        let mut findings = Vec::new();
        let envelope_digest = if changes.has_secrets() || after.sandbox != before.sandbox {
            after.current_version += 1;
            let present = change.present_version(&before).await?;
            let old = self.keyring.open(keys, scope, &present)?;
            let secrets = merged(&changes.secrets, old);
            findings = self.examine(after.push_service, after.sandbox, &secrets)?;
            Some(self.add_version(&mut change, keys, scope, &after, &secrets).await?)
        } else {
            None
        };
        let after = change.update_credential(scope, &after).await?;
        let event = AuditEvent {
            target_sid: Some(credential_sid.to_string()),
            target_version: envelope_digest.map(|_| after.current_version),
            changed_fields,
            before: Some(credential_metadata(&before)),
            after: Some(credential_metadata(&after)),
            envelope_digest,
            ..AuditEvent::new(context, scope.account_sid(), Action::CredentialUpdate, Outcome::Success)?
        };
        change.commit(event).await?;
        log_findings(credential_sid, &findings);
        Ok(after)
    }

    /// Deletes a credential for every caller.
    pub async fn delete_credential(
        &self,
        context: &RequestContext,
        scope: &AccountScope,
        credential_sid: &CredentialSid,
        precondition: &Precondition,
    ) -> Result<(), VaultError> {
        let mut change = self.store.begin().await?;
        if *precondition != Precondition::None {
            required(change.lock_credential(scope, credential_sid).await?, precondition)?;
        }
        let before = change
            .delete_credential(scope, credential_sid)
            .await?
            .ok_or(VaultError::NotFound)?;
        let event = AuditEvent {
            target_sid: Some(credential_sid.to_string()),
            before: Some(credential_metadata(&before)),
            ..AuditEvent::new(context, scope.account_sid(), Action::CredentialDelete, Outcome::Success)?
        };
        Ok(change.commit(event).await?)
    }

    async fn add_version(
        &self,
        change: &mut UnitOfWork,
        keys: &AccountKeys,
        scope: &AccountScope,
        after: &Credential,
        secrets: &SecretMaterial,
    ) -> Result<[u8; 32], VaultError> {
        let context = VersionContext {
            credential_sid: &after.credential_sid,
            push_service: after.push_service,
            sandbox: after.sandbox,
            version: after.current_version,
        };
        let envelope = self.keyring.seal(keys, scope, &context, secrets)?;
        let digest = envelope.digest();
        change
            .insert_version(&CredentialVersion {
                account_sid: after.account_sid.clone(),
                credential_sid: after.credential_sid.clone(),
                version: after.current_version,
                push_service: after.push_service,
                sandbox: after.sandbox,
                envelope,
                envelope_digest: digest.to_vec(),
            })
            .await?;
        Ok(digest)
    }
}

/// The credential, if it exists and is the one that the client means.
fn required(credential: Option<Credential>, precondition: &Precondition) -> Result<Credential, VaultError> {
    let credential = credential.ok_or(VaultError::NotFound)?;
    if precondition.holds(&credential) {
        Ok(credential)
    } else {
        Err(VaultError::PreconditionFailed)
    }
}

/// The new secrets, and the old ones where none is new. The new ones are copied: a change may have to be tried again.
fn merged(new: &SecretMaterial, old: SecretMaterial) -> SecretMaterial {
    let either = |new: &Option<Plaintext>, old| match new {
        Some(secret) => Some(Plaintext::new(secret.expose_secret().to_vec())),
        None => old,
    };
    SecretMaterial {
        certificate: either(&new.certificate, old.certificate),
        private_key: either(&new.private_key, old.private_key),
        api_key: either(&new.api_key, old.api_key),
        secret: either(&new.secret, old.secret),
    }
}

/// The names of the secret parameters that are there.
fn secret_names(secrets: &SecretMaterial) -> impl Iterator<Item = &'static str> {
    [
        (secrets.certificate.is_some(), "Certificate"),
        (secrets.private_key.is_some(), "PrivateKey"),
        (secrets.api_key.is_some(), "ApiKey"),
        (secrets.secret.is_some(), "Secret"),
    ]
    .into_iter()
    .filter_map(|(present, name)| present.then_some(name))
}
