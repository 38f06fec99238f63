//! How much one caller may ask for: requests of an address, requests of an account, failed authentications.
//!
//! The counts are this process's own (GCRA, by `governor`). They bound what strangers cost: Argon2 runs, and rows in the
//! audit trail, since a refusal of this kind leaves none.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock, QuantaInstant, Reference as _};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use moka::sync::Cache;

use super::error::{Limit, VaultError};
use crate::config::{Rate, RateLimitSettings};
use crate::domain::principal::Principal;
use crate::domain::sid::AccountSid;

/// How long who failed too often is kept out.
const FAILURE_PENALTY: Duration = Duration::from_mins(1);

/// How many times as often as under one name an address may fail under all names together.
const NAMES_OF_AN_ADDRESS: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// Who is kept out at the same time, at most; beyond, the ones least asked for get their chance early.
const FAILURE_PENALTIES: u64 = 100_000;

/// Callers that have rested are forgotten once in so many requests.
const FORGET_EVERY: u32 = 10_000;

/// Who tries to get in: from where, and under which SID, if it is one. Without a SID nothing is looked up, and so nobody
/// is kept from anything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Attempt {
    network: IpAddr,
    sid: Option<String>,
}

/// The limits and the counts.
pub(super) struct RateLimits {
    by_address: DefaultKeyedRateLimiter<IpAddr>,
    by_account: DefaultKeyedRateLimiter<AccountSid>,
    failures: DefaultKeyedRateLimiter<Attempt>,
    failures_of_address: DefaultKeyedRateLimiter<IpAddr>,
    /// Since when; an attempt of any name of a network stands under no name.
    kept_out: Cache<Kept, QuantaInstant>,
    requests: AtomicU32,
}

/// Who is kept out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Kept {
    Attempt(Attempt),
    Network(IpAddr),
}

impl Attempt {
    pub(super) fn new(address: IpAddr, sid: Option<String>) -> Self {
        Self {
            network: network(address),
            sid,
        }
    }
}

impl RateLimits {
    pub(super) fn new(settings: &RateLimitSettings) -> Self {
        let quota = |rate: Rate| Quota::per_second(rate.per_second).allow_burst(rate.burst);
        let failures = settings.failed_authentications_per_minute;
        Self {
            by_address: RateLimiter::keyed(quota(settings.address)),
            by_account: RateLimiter::keyed(quota(settings.account)),
            failures: RateLimiter::keyed(Quota::per_minute(failures)),
            failures_of_address: RateLimiter::keyed(Quota::per_minute(failures.saturating_mul(NAMES_OF_AN_ADDRESS))),
            kept_out: Cache::builder()
                .max_capacity(FAILURE_PENALTIES)
                .time_to_live(FAILURE_PENALTY)
                .build(),
            requests: AtomicU32::new(0),
        }
    }

    /// Counts a request of an address, before anything is done for it.
    pub(super) fn request_of_address(&self, address: IpAddr) -> Result<(), VaultError> {
        if self
            .requests
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(FORGET_EVERY)
        {
            self.forget_rested();
        }
        check(&self.by_address, &network(address), || Limit::Address)
    }

    /// Counts a request of an account that proved who it is.
    pub(super) fn request_of_account(&self, principal: &Principal) -> Result<(), VaultError> {
        let limit = || Limit::Account(principal.clone());
        check(&self.by_account, principal.account_sid(), limit)
    }

    /// Whether an attempt is worth an Argon2 run, or a row in the audit trail.
    pub(super) fn may_try(&self, attempt: &Attempt) -> Result<(), VaultError> {
        let since = self
            .kept_out
            .get(&Kept::Attempt(attempt.clone()))
            .or_else(|| self.kept_out.get(&Kept::Network(attempt.network)));
        match since {
            None => Ok(()),
            Some(since) => Err(VaultError::TooManyRequests {
                limit: Limit::FailedAuthentications,
                retry_after: FAILURE_PENALTY.saturating_sub(DefaultClock::default().now().duration_since(since).into()),
            }),
        }
    }

    /// Counts a failed attempt.
    pub(super) fn failed(&self, attempt: &Attempt) {
        let now = DefaultClock::default().now();
        if self.failures.check_key(attempt).is_err() {
            self.kept_out.insert(Kept::Attempt(attempt.clone()), now);
        }
        // One who shows nothing costs nothing, and keeps nobody else out.
        if attempt.sid.is_some() && self.failures_of_address.check_key(&attempt.network).is_err() {
            self.kept_out.insert(Kept::Network(attempt.network), now);
        }
    }

    fn forget_rested(&self) {
        self.by_address.retain_recent();
        self.by_address.shrink_to_fit();
        self.by_account.retain_recent();
        self.by_account.shrink_to_fit();
        self.failures.retain_recent();
        self.failures.shrink_to_fit();
        self.failures_of_address.retain_recent();
        self.failures_of_address.shrink_to_fit();
    }
}

fn check<K: Hash + Eq + Clone>(
    limiter: &DefaultKeyedRateLimiter<K>,
    key: &K,
    limit: impl FnOnce() -> Limit,
) -> Result<(), VaultError> {
    limiter.check_key(key).map_err(|not_until| VaultError::TooManyRequests {
        limit: limit(),
        retry_after: not_until.wait_time_from(DefaultClock::default().now()),
    })
}

/// Whoever has one IPv6 address has the whole /64 around it.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn limits(per_second: u32, burst: u32, failures: u32) -> RateLimits {
        let count = |count| NonZeroU32::new(count).unwrap();
        let rate = Rate {
            per_second: count(per_second),
            burst: count(burst),
        };
        RateLimits::new(&RateLimitSettings {
            account: rate,
            address: rate,
            failed_authentications_per_minute: count(failures),
        })
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_burst_is_let_in_and_the_next_request_told_how_long_to_wait_decision_19() {
        let limits = limits(1, 3, 1);
        for _ in 0..3 {
            limits.request_of_address(address("192.0.2.1")).unwrap();
        }
        let refused = limits.request_of_address(address("192.0.2.1"));
        assert!(
            matches!(refused, Err(VaultError::TooManyRequests { limit: Limit::Address, retry_after })
                if retry_after > Duration::ZERO && retry_after <= Duration::from_secs(1)),
            "the fourth request was let in, or told another wait"
        );
        limits.request_of_address(address("192.0.2.2")).unwrap();
    }

    #[test]
    fn accounts_are_counted_apart() {
        let limits = limits(1, 1, 1);
        let account = || Principal::Account(AccountSid::generate().unwrap());
        let (one, other) = (account(), account());
        limits.request_of_account(&one).unwrap();
        assert!(limits.request_of_account(&one).is_err());
        limits.request_of_account(&other).unwrap();
    }

    fn attempt(address_text: &str, sid: &str) -> Attempt {
        Attempt::new(address(address_text), Some(sid.to_owned()))
    }

    #[test]
    fn a_name_with_too_many_failures_is_kept_out_and_its_neighbour_is_not() {
        let limits = limits(100, 100, 2);
        let guesser = attempt("192.0.2.1", "AC1");
        for _ in 0..2 {
            limits.failed(&guesser);
            limits.may_try(&guesser).unwrap();
        }
        limits.failed(&guesser);
        let refused = limits.may_try(&guesser);
        assert!(
            matches!(refused, Err(VaultError::TooManyRequests { limit: Limit::FailedAuthentications, retry_after })
                if retry_after <= FAILURE_PENALTY && retry_after > FAILURE_PENALTY / 2)
        );
        limits.may_try(&attempt("192.0.2.1", "AC2")).unwrap();
        limits.may_try(&attempt("192.0.2.2", "AC1")).unwrap();
    }

    #[test]
    fn an_address_that_tries_many_names_is_kept_out_under_all() {
        let limits = limits(100, 100, 2);
        for name in 0..=20 {
            limits.may_try(&attempt("192.0.2.1", "AC")).unwrap();
            limits.failed(&attempt("192.0.2.1", &format!("AC{name}")));
        }
        assert!(limits.may_try(&attempt("192.0.2.1", "AC")).is_err());
        limits.may_try(&attempt("192.0.2.2", "AC")).unwrap();
    }

    #[test]
    fn one_who_shows_nothing_keeps_nobody_else_out() {
        let limits = limits(100, 100, 2);
        let nameless = Attempt::new(address("192.0.2.1"), None);
        for _ in 0..100 {
            limits.failed(&nameless);
        }
        assert!(limits.may_try(&nameless).is_err());
        limits.may_try(&attempt("192.0.2.1", "AC")).unwrap();
    }

    #[test]
    fn an_ipv6_network_is_one_caller() {
        assert_eq!(network(address("2001:db8::1")), network(address("2001:db8::ffff:2")));
        assert_ne!(network(address("2001:db8::1")), network(address("2001:db8:0:1::1")));
    }

    #[test]
    fn callers_that_rested_are_forgotten() {
        let limits = limits(1_000_000, 1, 1);
        for last in 1..=200 {
            limits.request_of_address(IpAddr::from([192, 0, 2, last])).unwrap();
        }
        std::thread::sleep(Duration::from_millis(2));
        limits.forget_rested();
        assert!(limits.by_address.is_empty());
    }
}
