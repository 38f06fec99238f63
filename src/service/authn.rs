//! Authentication: HTTP Basic's user name and secret become a [`Principal`].
//!
//! The database is asked at every request, so that a suspended account and a revoked key are out at once on every
//! replica. What is remembered is only that a secret matched a hash: Argon2's answer, which never changes. Argon2 itself
//! runs off the event loop, a few at a time.

use std::net::IpAddr;

use moka::sync::Cache;
use pushvault_crypto::{Argon2Cost, CryptoError, MacKey, hash_token, verify_token};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;

use super::error::VaultError;
use super::rate_limit::RateLimits;
use crate::config::{AuthenticationSettings, RateLimitSettings};
use crate::domain::account::AccountStatus;
use crate::domain::principal::{Login, Principal};
use crate::domain::sid::{AccountSid, ApiKeySid};
use crate::store::{AuthenticationRecord, Store};

const MATCHED_TAG: &[u8] = b"pushvault/v1/token-memo";

/// Verifies secrets against hashes.
pub(super) struct Authenticator {
    cost: Argon2Cost,
    running: Semaphore,
    /// Pairs of hash and secret that matched, by a keyed digest. The key is made at start and never stored.
    matched: Cache<[u8; 32], ()>,
    matched_key: MacKey,
    /// The hash of a secret that nobody has: an unknown user name costs what a wrong secret costs.
    nobody: String,
    limits: Option<RateLimits>,
}

impl Authenticator {
    pub(super) fn new(
        settings: &AuthenticationSettings,
        limits: Option<&RateLimitSettings>,
    ) -> Result<Self, CryptoError> {
        let nobody = pushvault_crypto::generate_token()?;
        Ok(Self {
            cost: settings.argon2,
            running: Semaphore::new(settings.argon2_concurrency),
            matched: Cache::builder()
                .max_capacity(settings.memo_entries)
                .time_to_idle(settings.memo_time)
                .build(),
            matched_key: MacKey::generate()?,
            nobody: hash_token(nobody.expose_secret(), settings.argon2)?,
            limits: limits.map(RateLimits::new),
        })
    }

    /// Lets a caller in, or not. Unknown names and wrong secrets are one answer, at one cost.
    pub(super) async fn authenticate(
        &self,
        store: &Store,
        address: Option<IpAddr>,
        login: Option<&Login>,
    ) -> Result<Principal, VaultError> {
        let limits = self.limits.as_ref();
        let of_address = limits.zip(address);
        if let Some((limits, address)) = of_address {
            limits.request_of_address(address)?;
        }
        let result = self.identify(store, of_address, login).await;
        match (&result, limits) {
            (Ok(principal), Some(limits)) => limits.request_of_account(principal.account_sid())?,
            (Err(VaultError::Unauthenticated { .. }), _) => {
                if let Some((limits, address)) = of_address {
                    limits.failed(address);
                }
            }
            _ => {}
        }
        result
    }

    async fn identify(
        &self,
        store: &Store,
        of_address: Option<(&RateLimits, IpAddr)>,
        login: Option<&Login>,
    ) -> Result<Principal, VaultError> {
        let Some(Login { user_name, secret }) = login else {
            may_try(of_address)?;
            return Err(VaultError::Unauthenticated { claimed: None });
        };
        let nobody = self.nobody.as_str();
        let (record, api_key_sid) = if let Ok(api_key_sid) = ApiKeySid::parse(user_name) {
            (store.api_key_for_authentication(&api_key_sid).await?, Some(api_key_sid))
        } else if let Ok(account_sid) = AccountSid::parse(user_name) {
            (store.account_for_authentication(&account_sid).await?, None)
        } else {
            (None, None)
        };
        // An account may have two tokens, so every account name costs two runs, whether or not it has them.
        let hashes = match (&record, &api_key_sid) {
            (Some(record), Some(_)) => vec![record.hashes.primary.as_str()],
            (None, Some(_)) => vec![nobody],
            (Some(AuthenticationRecord { hashes, .. }), None) => {
                vec![hashes.primary.as_str(), hashes.secondary.as_deref().unwrap_or(nobody)]
            }
            (None, None) => vec![nobody, nobody],
        };
        let matches = self.matches_any(of_address, secret, &hashes).await?;
        let Some(record) = record else {
            return Err(VaultError::Unauthenticated { claimed: None });
        };
        if !matches {
            return Err(VaultError::Unauthenticated {
                claimed: Some(record.account_sid),
            });
        }
        let principal = match api_key_sid {
            Some(api_key_sid) => Principal::ApiKey {
                account_sid: record.account_sid,
                api_key_sid,
            },
            None => Principal::Account(record.account_sid),
        };
        match record.status {
            AccountStatus::Active => Ok(principal),
            AccountStatus::Suspended => Err(VaultError::Suspended(principal)),
        }
    }

    /// Makes a token and its hash.
    pub(super) async fn new_token(&self) -> Result<(SecretString, String), VaultError> {
        let token = pushvault_crypto::generate_token()?;
        let hash = self.hash(&token).await?;
        Ok((token, hash))
    }

    /// Hashes a new secret.
    async fn hash(&self, secret: &SecretString) -> Result<String, VaultError> {
        let (secret, cost) = (secret.clone(), self.cost);
        self.run(move || hash_token(secret.expose_secret(), cost)).await
    }

    /// Whether the secret matches any of the hashes. When it matches none, every one of them has cost an Argon2 run.
    async fn matches_any(
        &self,
        of_address: Option<(&RateLimits, IpAddr)>,
        secret: &SecretString,
        hashes: &[&str],
    ) -> Result<bool, VaultError> {
        let digests: Vec<_> = hashes
            .iter()
            .map(|hash| {
                self.matched_key
                    .digest(&[MATCHED_TAG, hash.as_bytes(), secret.expose_secret().as_bytes()])
            })
            .collect();
        if digests.iter().any(|digest| self.matched.contains_key(digest)) {
            return Ok(true);
        }
        // A secret that was right a moment ago is taken from anywhere; a new one not from where guesses come from.
        may_try(of_address)?;
        for (hash, digest) in hashes.iter().zip(digests) {
            let (secret, hash) = (secret.clone(), (*hash).to_owned());
            if self.run(move || verify_token(secret.expose_secret(), &hash)).await? {
                self.matched.insert(digest, ());
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, CryptoError> + Send + 'static,
    ) -> Result<T, VaultError> {
        let _permit = self.running.acquire().await.map_err(|_| VaultError::Interrupted)?;
        Ok(tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| VaultError::Interrupted)??)
    }
}

/// Refuses an address that failed too often.
fn may_try(of_address: Option<(&RateLimits, IpAddr)>) -> Result<(), VaultError> {
    match of_address {
        Some((limits, address)) => limits.may_verify(address),
        None => Ok(()),
    }
}
