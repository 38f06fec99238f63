//! How many connections there may be, in total and of one address. A connection counts from the moment that it is taken, its
//! handshake too, to its end.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use ipnet::IpNet;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::shares::{Exhausted, Share, Shares};
use crate::config::ServerSettings;
use crate::metrics::Metrics;

/// Connections of the listener for those who run the service: scrapes and probes.
pub(super) const ADMIN_CONNECTIONS: usize = 64;

/// What the metrics call their listener.
const ADMIN: &str = "admin";

/// How long the end of an idle connection is waited for that makes way for another.
const MAKE_WAY: Duration = Duration::from_secs(1);

/// How many connections a listener has, and may have.
pub(super) struct Admission {
    connections: Arc<Shares<IpAddr>>,
    exempt: Vec<IpNet>,
    /// What the metrics call the listener.
    listener: &'static str,
    idle: Mutex<Idle>,
    freed: Notify,
    metrics: Arc<Metrics>,
    untold: AtomicU64,
    limiter: DefaultDirectRateLimiter,
}

/// Connections between two requests, the one that has been so for longest first.
#[derive(Default)]
struct Idle {
    last: u64,
    connections: BTreeMap<u64, (Option<IpAddr>, Arc<Notify>)>,
}

/// A connection that was let in, to its end.
pub(super) struct Admitted {
    admission: Arc<Admission>,
    address: Option<IpAddr>,
    share: Option<Share<IpAddr>>,
}

impl Admission {
    /// For the API.
    pub(super) fn new(settings: &ServerSettings, metrics: &Arc<Metrics>) -> Self {
        Self {
            exempt: settings.trusted_proxies.clone(),
            ..Self::bounded(
                settings.max_connections,
                settings.max_connections_per_address,
                "api",
                metrics,
            )
        }
    }

    /// For those who run the service.
    pub(super) fn for_admin(metrics: &Arc<Metrics>) -> Self {
        Self::bounded(ADMIN_CONNECTIONS, ADMIN_CONNECTIONS, ADMIN, metrics)
    }

    fn bounded(total: usize, each: usize, listener: &'static str, metrics: &Arc<Metrics>) -> Self {
        Self {
            connections: Shares::new(total, each),
            exempt: Vec::new(),
            listener,
            idle: Mutex::default(),
            freed: Notify::new(),
            metrics: Arc::clone(metrics),
            untold: AtomicU64::new(0),
            limiter: RateLimiter::direct(Quota::per_minute(NonZeroU32::MIN)),
        }
    }

    /// Lets a connection in, or not. An idle one makes way for it, of its own address where that has its share.
    pub(super) async fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Admitted> {
        let peer = peer.to_canonical();
        let is_exempt = |address: &IpAddr| self.exempt.iter().any(|network| network.contains(address));
        let address = Some(peer).filter(|peer| !is_exempt(peer)).map(network);
        let (connections, address) = (&self.connections, &address);
        let mut taken = connections.take(*address, 1);
        if let Err(exhausted) = &taken {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            let of = address.filter(|_| *exhausted == Exhausted::Share);
            if self.idle().make_way(of) && timeout(MAKE_WAY, freed).await.is_ok() {
                taken = connections.take(*address, 1);
            }
        }
        match taken {
            Ok(share) => {
                self.count();
                Some(Admitted {
                    admission: Arc::clone(self),
                    address: *address,
                    share: Some(share),
                })
            }
            Err(exhausted) => {
                self.refused(exhausted, peer);
                None
            }
        }
    }

    fn count(&self) {
        let open = i64::try_from(self.connections.held_in_total()).unwrap_or(i64::MAX);
        self.metrics.connections.of([self.listener.into()]).set(open);
    }

    fn refused(&self, exhausted: Exhausted, peer: IpAddr) {
        let bound = match exhausted {
            Exhausted::Share => "address",
            Exhausted::Total if self.listener == ADMIN => ADMIN,
            Exhausted::Total => "total",
        };
        self.metrics.connections_refused.of([bound.into()]).inc();
        self.untold.fetch_add(1, Ordering::Relaxed);
        if self.limiter.check().is_ok() {
            tracing::warn!(
                refused = self.untold.swap(0, Ordering::Relaxed),
                bound,
                source_address = tracing::field::display(peer),
                "connections were refused: there are as many as there may be; bound and address are those of the last one"
            );
        }
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Idle {
    /// Ends the connection that has been idle for longest, of this address or of all. False where there is none.
    fn make_way(&mut self, of: Option<IpAddr>) -> bool {
        let mut connections = self.connections.iter();
        let oldest = connections.find(|(_, (address, _))| of.is_none() || *address == of);
        let Some(number) = oldest.map(|(number, _)| *number) else {
            return false;
        };
        if let Some((_, end)) = self.connections.remove(&number) {
            end.notify_one();
        }
        true
    }
}

impl Admitted {
    /// Whether what the connection waits for comes to be. False where it had to make way for another meanwhile.
    pub(super) async fn idle(&self, awaited: impl Future<Output = bool>) -> bool {
        let end = Arc::new(Notify::new());
        let number = {
            let mut idle = self.admission.idle();
            idle.last += 1;
            let number = idle.last;
            idle.connections.insert(number, (self.address, Arc::clone(&end)));
            number
        };
        let has_come = tokio::select! {
            biased;
            has_come = awaited => has_come,
            () = end.notified() => false,
        };
        // One that was told to make way does, although the client has begun to speak.
        self.admission.idle().connections.remove(&number).is_some() && has_come
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        drop(self.share.take());
        self.admission.count();
        self.admission.freed.notify_waiters();
    }
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
    use std::future::{pending, ready};

    fn admission(total: usize, each: usize) -> Arc<Admission> {
        Arc::new(Admission {
            exempt: vec!["10.0.0.0/8".parse().unwrap()],
            ..Admission::bounded(total, each, "api", &Arc::default())
        })
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_has_its_share_and_all_have_the_total() {
        let admission = admission(6, 2);
        let mut held = Vec::new();
        for (peer, is_let_in) in [
            ("192.0.2.1", true),
            ("::ffff:192.0.2.1", true),
            ("192.0.2.1", false),
            ("2001:db8::1", true),
            ("2001:db8::2", true),
            ("2001:db8::3", false),
            ("10.0.0.7", true),
            ("10.0.0.7", true),
            ("10.0.0.7", false),
            ("198.51.100.1", false),
        ] {
            let admitted = admission.admit(address(peer)).await;
            assert_eq!(admitted.is_some(), is_let_in, "{peer}");
            held.extend(admitted);
        }
        let counted = |bound: &'static str| admission.metrics.connections_refused.of([bound.into()]).get();
        assert_eq!((counted("address"), counted("total")), (2, 2));
        held.remove(0);
        assert!(admission.admit(address("192.0.2.1")).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_makes_way_and_one_with_a_request_does_not() {
        let admission = admission(3, 2);
        let busy = admission.admit(address("192.0.2.1")).await.unwrap();
        let [one, two] = ["192.0.2.1", "198.51.100.1"].map(|peer| admission.admit(address(peer)));
        let (one, two) = (one.await.unwrap(), two.await.unwrap());
        assert!(one.idle(ready(true)).await);
        let idle = |admitted: Admitted| tokio::spawn(async move { admitted.idle(pending()).await });
        let of_two = idle(two);
        tokio::task::yield_now().await;
        // The address has its share, and none of its own connections is idle.
        assert!(admission.admit(address("192.0.2.1")).await.is_none());
        let of_one = idle(one);
        tokio::task::yield_now().await;
        // Its own gives way, not the one that has been idle for longest.
        let third = admission.admit(address("192.0.2.1")).await;
        assert!(third.is_some() && !of_one.await.unwrap() && !of_two.is_finished());
        // The total is reached: the one that has been idle for longest gives way, whosever it is.
        let fourth = admission.admit(address("203.0.113.1")).await;
        assert!(fourth.is_some() && !of_two.await.unwrap());
        drop(busy);
    }
}
