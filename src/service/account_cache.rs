//! A cache of what belongs to accounts, which forgets what has changed and does not take back what is older than that.

use std::hash::Hash;
use std::sync::{PoisonError, RwLock};

use moka::sync::{Cache, CacheBuilder};

use crate::domain::sid::AccountSid;
use crate::store::KeyChanges;

/// What is kept, each with the account that it belongs to.
type Entries<K, V> = Cache<K, (AccountSid, V)>;

/// A bounded cache. Each entry belongs to an account.
pub(super) struct AccountCache<K, V> {
    entries: Entries<K, V>,
    state: RwLock<State>,
}

struct State {
    /// Whether anything is kept.
    is_open: bool,
    /// Counts the times that something was forgotten.
    forgotten: u64,
}

/// A moment. What was read from the database after it is kept, if nothing was forgotten since.
pub(super) struct Moment(u64);

impl<K, V> AccountCache<K, V>
where
    K: Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(super) fn new(bounds: CacheBuilder<K, (AccountSid, V), Entries<K, V>>) -> Self {
        Self {
            entries: bounds.build(),
            state: RwLock::new(State {
                is_open: true,
                forgotten: 0,
            }),
        }
    }

    pub(super) fn get(&self, key: &K) -> Option<V> {
        self.entries.get(key).map(|(_, value)| value)
    }

    /// To be asked before the database is.
    pub(super) fn moment(&self) -> Moment {
        Moment(self.state.read().unwrap_or_else(PoisonError::into_inner).forgotten)
    }

    /// Keeps what was read since a moment, unless something was forgotten meanwhile: it may be what was read.
    pub(super) fn keep(&self, since: &Moment, key: K, account_sid: AccountSid, value: V) {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if state.is_open && state.forgotten == since.0 {
            self.entries.insert(key, (account_sid, value));
        }
    }

    /// Forgets what belongs to these accounts.
    pub(super) fn forget(&self, changes: &KeyChanges) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.forgotten += 1;
        for (key, (account_sid, _)) in &self.entries {
            if changes.concern(&account_sid) {
                self.entries.invalidate(&*key);
            }
        }
        drop(state);
        self.tidy();
    }

    /// Keeps things, or forgets everything and keeps nothing.
    pub(super) fn set_open(&self, is_open: bool) {
        self.state.write().unwrap_or_else(PoisonError::into_inner).is_open = is_open;
        self.forget(&KeyChanges::OfAnyone);
    }

    /// Frees what was forgotten and what is too old. The cache itself does so only when it is used.
    pub(super) fn tidy(&self) {
        self.entries.run_pending_tasks();
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> u64 {
        self.tidy();
        self.entries.entry_count()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::sync::Arc;
    use std::time::Duration;

    type Keys = AccountCache<AccountSid, Arc<u32>>;

    fn cache() -> Keys {
        AccountCache::new(Cache::builder().max_capacity(100).time_to_live(Duration::from_mins(1)))
    }

    fn account() -> AccountSid {
        AccountSid::generate().unwrap()
    }

    fn keep(cache: &Keys, account_sid: &AccountSid) -> Arc<u32> {
        let value = Arc::new(1);
        cache.keep(
            &cache.moment(),
            account_sid.clone(),
            account_sid.clone(),
            Arc::clone(&value),
        );
        value
    }

    fn of(account_sid: &AccountSid) -> KeyChanges {
        KeyChanges::Of(HashSet::from([account_sid.clone()]))
    }

    /// Whether nobody but the test has a value any more. The cache frees what it let go of a few steps later.
    fn is_freed(cache: &Keys, value: &Arc<u32>) -> bool {
        (0..1_000).any(|_| {
            std::thread::sleep(Duration::from_millis(1));
            cache.tidy();
            Arc::strong_count(value) == 1
        })
    }

    #[test]
    fn what_changed_is_forgotten_and_freed_and_its_neighbour_is_not() {
        let (cache, changed, neighbour) = (cache(), account(), account());
        let (value, kept) = (keep(&cache, &changed), keep(&cache, &neighbour));
        assert_eq!(Arc::strong_count(&value), 2);

        cache.forget(&of(&changed));

        assert!(cache.get(&changed).is_none());
        assert!(is_freed(&cache, &value), "the cache still holds what it forgot");
        assert!(cache.get(&neighbour).is_some());
        assert_eq!(Arc::strong_count(&kept), 2);
    }

    #[test]
    fn what_was_read_before_a_change_is_not_kept_after_it() {
        let (cache, account_sid) = (cache(), account());
        let before = cache.moment();
        // The database is read here, and then the change is told.
        cache.forget(&of(&account_sid));
        cache.keep(&before, account_sid.clone(), account_sid.clone(), Arc::new(1));
        assert!(cache.get(&account_sid).is_none());

        keep(&cache, &account_sid);
        assert!(cache.get(&account_sid).is_some());
    }

    #[test]
    fn while_it_is_closed_nothing_is_kept_and_what_was_there_is_gone() {
        let (cache, account_sid) = (cache(), account());
        let value = keep(&cache, &account_sid);
        let before = cache.moment();

        cache.set_open(false);
        assert!(is_freed(&cache, &value));
        keep(&cache, &account_sid);
        assert!(cache.get(&account_sid).is_none());

        cache.set_open(true);
        cache.keep(&before, account_sid.clone(), account_sid.clone(), Arc::new(1));
        assert!(
            cache.get(&account_sid).is_none(),
            "what was read while nothing was told"
        );
        keep(&cache, &account_sid);
        assert_eq!(cache.len(), 1);
    }

    #[test]
    fn what_is_too_old_is_freed_although_nobody_asks_for_it() {
        let short = Duration::from_millis(20);
        let cache: Keys = AccountCache::new(Cache::builder().max_capacity(100).time_to_live(short));
        let value = keep(&cache, &account());
        std::thread::sleep(short);
        assert!(is_freed(&cache, &value));
    }
}
