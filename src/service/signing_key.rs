//! The signing key in use: taken from the database, or made where there is none.

use pushvault_crypto::CryptoError;

use super::error::OpenError;
use super::keyring::Keyring;
use super::signer::Signer;
use crate::domain::audit::{Action, AuditEvent, Outcome, RequestContext};
use crate::domain::sid::AccountSid;
use crate::store::{Store, StoreError};

/// The key in use, by which the store authenticates events from then on. Where there is none, as in a database of an
/// earlier release, it is made.
pub(super) async fn open_signer(
    store: &Store,
    keyring: &Keyring,
    context: &RequestContext,
) -> Result<Signer, OpenError> {
    let signer = match store.signing_key().await? {
        Some(stored) => Signer::unwrap(keyring.root(&stored.kek_id)?, keyring.deployment_id(), &stored).await?,
        None => make(store, keyring, context).await?,
    };
    store.set_audit_key(signer.audit_key()?);
    Ok(signer)
}

async fn make(store: &Store, keyring: &Keyring, context: &RequestContext) -> Result<Signer, OpenError> {
    let primary = store.primary_root_key().await?;
    let primary = primary.ok_or(StoreError::Malformed("root_keys has no primary key"))?;
    let (signer, wrapped) = Signer::draw(keyring.root(&primary)?, keyring.deployment_id()).await?;
    let mut change = store.begin().await?;
    if change.insert_signing_key(&wrapped).await? {
        change.authenticate_by(signer.audit_key()?);
        change
            .commit(signing_event(context, Action::SigningKeyCreate, &wrapped.key_id)?)
            .await?;
        return Ok(signer);
    }
    // Another process was faster, and its key is the one.
    drop(change);
    let stored = store.signing_key().await?.ok_or(StoreError::StaleKey)?;
    Signer::unwrap(keyring.root(&stored.kek_id)?, keyring.deployment_id(), &stored).await
}

/// The event of what becomes of a signing key.
pub(super) fn signing_event(context: &RequestContext, action: Action, key_id: &str) -> Result<AuditEvent, CryptoError> {
    Ok(AuditEvent {
        target_sid: Some(key_id.to_owned()),
        ..AuditEvent::new(context, &AccountSid::deployment(), action, Outcome::Success)?
    })
}
