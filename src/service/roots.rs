//! The configured root keys, held against those that the database knows.

use serde_json::json;

use super::error::OpenError;
use super::signer::Signer;
use crate::config::{KekSettings, Settings};
use crate::domain::audit::{Action, AuditEvent, Outcome, RequestContext};
use crate::domain::root_key::RootKeyState;
use crate::domain::sid::AccountSid;
use crate::kms::{KmsError, RootKey};
use crate::store::{Store, StoreError};

/// The configured root keys, each of them known to the database, and the primary one among them.
pub(super) async fn unlock_roots(
    store: &Store,
    settings: &Settings,
    context: &RequestContext,
) -> Result<Vec<RootKey>, OpenError> {
    let mut known = store.root_keys().await?;
    if known.is_empty() {
        register_first(store, settings, context).await?;
        known = store.root_keys().await?;
    }
    let mut roots = vec![RootKey::unlock(&settings.kek, &known).await?];
    if !matches!(settings.other_kek, KekSettings::Unset) {
        roots.push(RootKey::unlock(&settings.other_kek, &known).await?);
    }
    let primary = known.iter().find(|record| record.state == RootKeyState::Primary);
    let primary = primary.ok_or(StoreError::Malformed("root_keys has no primary key"))?;
    if !roots.iter().any(|root| *root.id() == primary.kek_id) {
        return Err(KmsError::WrongKey {
            expected: primary.kek_id.to_string(),
            provider: primary.origin.as_str(),
            found: fingerprints(&roots),
        }
        .into());
    }
    for root in &roots {
        match known
            .iter()
            .find(|record| record.kek_id == *root.id())
            .map(|record| record.state)
        {
            None => return Err(KmsError::NotAdded(root.id().to_string()).into()),
            Some(RootKeyState::Destroyed) => return Err(KmsError::Destroyed(root.id().to_string()).into()),
            Some(_) => {}
        }
    }
    Ok(roots)
}

async fn register_first(store: &Store, settings: &Settings, context: &RequestContext) -> Result<(), OpenError> {
    let first = RootKey::unlock(&settings.kek, &[]).await?;
    // With the key that signs, so that there is no event which it does not authenticate.
    let (signer, signing_key) = Signer::draw(&first, &store.deployment_id().await?).await?;
    let mut change = store.begin().await?;
    // Another replica may be faster: its keys must be ours then.
    if change.insert_root_key(&first.record(RootKeyState::Primary)).await? {
        change.insert_signing_key(&signing_key).await?;
        change.authenticate_by(signer.audit_key()?);
        let event = AuditEvent {
            target_sid: Some(first.id().to_string()),
            after: Some(json!({ "signing_key": signing_key.key_id })),
            ..AuditEvent::new(
                context,
                &AccountSid::deployment(),
                Action::RootKeyRegister,
                Outcome::Success,
            )?
        };
        change.commit(event).await?;
    }
    Ok(())
}

/// The fingerprints of root keys, to be read.
pub(super) fn fingerprints(roots: &[RootKey]) -> String {
    let ids: Vec<_> = roots.iter().map(|root| root.id().as_str()).collect();
    ids.join(" and ")
}
