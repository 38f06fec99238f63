//! Authentication: HTTP Basic's user name and secret become a [`Principal`].
//!
//! The database is asked at every request, so that a suspended account and a revoked key are out at once on every
//! replica. What is remembered is only that a secret matched a hash: Argon2's answer, which never changes. Argon2 itself
//! runs off the event loop, a few at a time.

use std::net::IpAddr;
use std::sync::Arc;

use moka::sync::Cache;
use pushvault_crypto::{Argon2Cost, CryptoError, MacKey, hash_token, verify_token};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::account_cache::{AccountCache, Moment};
use super::error::VaultError;
use super::rate_limit::{Attempt, RateLimits};
use crate::config::{AuthenticationSettings, RateLimitSettings};
use crate::domain::account::AccountStatus;
use crate::domain::principal::{Login, Principal};
use crate::domain::sid::{AccountSid, ApiKeySid};
use crate::metrics::{Metrics, Raised, Stopwatch};
use crate::store::{AuthenticationRecord, Store};
use crate::telemetry::{Traced as _, note};

const MATCHED_TAG: &[u8] = b"pushvault/v1/token-memo";

/// Verifies secrets against hashes.
pub(super) struct Authenticator {
    cost: Argon2Cost,
    running: Arc<Semaphore>,
    /// Pairs of hash and secret that matched, by a keyed digest. The key is made at start and never stored.
    matched: AccountCache<[u8; 32], ()>,
    matched_key: MacKey,
    /// The hash of a secret that nobody has: an unknown user name costs what a wrong secret costs.
    nobody: String,
    limits: Option<Arc<RateLimits>>,
    metrics: Arc<Metrics>,
}

impl Authenticator {
    pub(super) fn new(
        settings: &AuthenticationSettings,
        limits: Option<&RateLimitSettings>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, CryptoError> {
        let nobody = pushvault_crypto::generate_token()?;
        Ok(Self {
            cost: settings.argon2,
            running: Arc::new(Semaphore::new(settings.argon2_concurrency)),
            matched: AccountCache::new(
                Cache::builder()
                    .max_capacity(settings.memo_entries)
                    .time_to_idle(settings.memo_time),
            ),
            matched_key: MacKey::generate()?,
            nobody: hash_token(nobody.expose_secret(), settings.argon2)?,
            limits: limits.map(|limits| Arc::new(RateLimits::new(limits))),
            metrics,
        })
    }

    /// Lets a caller in, or not. Unknown names and wrong secrets are one answer, at one cost.
    pub(super) async fn authenticate(
        &self,
        store: &Store,
        address: Option<IpAddr>,
        login: Option<&Login>,
    ) -> Result<Principal, VaultError> {
        let result = self.within_limits(store, address, login).await;
        if let Err(VaultError::TooManyRequests { limit, .. }) = &result {
            self.metrics.rate_limited.of([limit.as_str().into()]).inc();
        }
        result
    }

    async fn within_limits(
        &self,
        store: &Store,
        address: Option<IpAddr>,
        login: Option<&Login>,
    ) -> Result<Principal, VaultError> {
        let door = self.door(address, login);
        if let (Some(limits), Some(address)) = (&self.limits, address) {
            limits.request_of_address(address)?;
        }
        let result = match login {
            Some(login) => self.identify(store, &door, login).await,
            None => door.may_try().and_then(|()| {
                door.failed();
                Err(VaultError::Unauthenticated { claimed: None })
            }),
        };
        if let (Some(limits), Ok(principal) | Err(VaultError::Suspended(principal))) = (&self.limits, &result) {
            limits.request_of_account(principal)?;
        }
        result
    }

    fn door(&self, address: Option<IpAddr>, login: Option<&Login>) -> Door {
        let sid = login.map(|login| login.user_name.as_str());
        let sid = sid.filter(|name| ApiKeySid::parse(name).is_ok() || AccountSid::parse(name).is_ok());
        Door(
            self.limits
                .clone()
                .zip(address.map(|address| Attempt::new(address, sid.map(str::to_owned)))),
        )
    }

    async fn identify(&self, store: &Store, door: &Door, login: &Login) -> Result<Principal, VaultError> {
        let Login { user_name, secret } = login;
        let nobody = self.nobody.as_str();
        let moment = self.matched.moment();
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
        let account_sid = record.as_ref().map(|record| &record.account_sid);
        let matches = self.matches_any(door, secret, &hashes, account_sid, &moment).await?;
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
                rights: record.rights,
            },
            None => Principal::Account(record.account_sid),
        };
        match record.status {
            AccountStatus::Active => Ok(principal),
            AccountStatus::Suspended | AccountStatus::Destroyed => Err(VaultError::Suspended(principal)),
        }
    }

    /// What is remembered of secrets that matched.
    pub(super) fn matched(&self) -> &AccountCache<[u8; 32], ()> {
        &self.matched
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
        let permit = self.permit().await?;
        self.off_the_event_loop(permit, move || hash_token(secret.expose_secret(), cost))
            .await
    }

    /// Whether the secret matches any of the hashes. When it matches none, every one of them has cost an Argon2 run.
    async fn matches_any(
        &self,
        door: &Door,
        secret: &SecretString,
        hashes: &[&str],
        account_sid: Option<&AccountSid>,
        moment: &Moment,
    ) -> Result<bool, VaultError> {
        let digests: Vec<_> = hashes
            .iter()
            .map(|hash| {
                self.matched_key
                    .digest(&[MATCHED_TAG, hash.as_bytes(), secret.expose_secret().as_bytes()])
            })
            .collect();
        // A secret that was right a moment ago is taken from anywhere; a new one not from where guesses come from.
        let is_known = digests.iter().any(|digest| self.matched.get(digest).is_some());
        let result = if is_known { "hit" } else { "miss" };
        note("pushvault.token_memo", result);
        self.metrics.token_memo.of([result.into()]).inc();
        if is_known {
            return Ok(true);
        }
        door.may_try()?;
        let permit = self.permit().step("argon2.wait").await?;
        // While it waited, those before it may have failed too often.
        door.may_try()?;
        let hashes: Vec<_> = hashes.iter().map(|&hash| hash.to_owned()).collect();
        let (secret, door) = (secret.clone(), door.clone());
        let matching = self
            .off_the_event_loop(permit, move || {
                let matching = first_match(secret.expose_secret(), &hashes);
                // Counted here, where the work is done: a caller that hangs up, or whose time is over, has failed all the
                // same.
                if let Ok(None) = matching {
                    door.failed();
                }
                matching
            })
            .step("argon2.run")
            .await?;
        if let (Some(digest), Some(account_sid)) = (matching.and_then(|index| digests.get(index)), account_sid) {
            self.matched.keep(moment, *digest, account_sid.clone(), ());
        }
        Ok(matching.is_some())
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, VaultError> {
        let _waiting = Raised::new(&self.metrics.argon2_waiting);
        Arc::clone(&self.running)
            .acquire_owned()
            .await
            .map_err(|_| VaultError::Interrupted)
    }

    /// Runs work that takes a processor for itself. It keeps its permit to the end, also when nobody waits for it any more.
    async fn off_the_event_loop<T: Send + 'static>(
        &self,
        permit: OwnedSemaphorePermit,
        work: impl FnOnce() -> Result<T, CryptoError> + Send + 'static,
    ) -> Result<T, VaultError> {
        let metrics = Arc::clone(&self.metrics);
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let _running = Raised::new(&metrics.argon2_running);
            let stopwatch = Stopwatch::start();
            let result = work();
            metrics.argon2_seconds.observe(stopwatch.seconds());
            result
        })
        .await
        .map_err(|_| VaultError::Interrupted)?
        .map_err(VaultError::from)
    }
}

/// Where an attempt comes from, and the limits that it is held against; neither for the operator's commands.
#[derive(Clone)]
struct Door(Option<(Arc<RateLimits>, Attempt)>);

impl Door {
    fn may_try(&self) -> Result<(), VaultError> {
        self.0
            .as_ref()
            .map_or(Ok(()), |(limits, attempt)| limits.may_try(attempt))
    }

    fn failed(&self) {
        if let Some((limits, attempt)) = &self.0 {
            limits.failed(attempt);
        }
    }
}

/// Which hash a secret matches.
fn first_match(secret: &str, hashes: &[String]) -> Result<Option<usize>, CryptoError> {
    for (index, hash) in hashes.iter().enumerate() {
        if verify_token(secret, hash)? {
            return Ok(Some(index));
        }
    }
    Ok(None)
}
