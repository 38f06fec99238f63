//! Something of which there is so much and no more, and of which nobody has more than a share.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So much of something, to be held by many.
pub(super) struct Shares<K> {
    total: usize,
    each: usize,
    held: Mutex<Held<K>>,
}

struct Held<K> {
    total: usize,
    by_holder: HashMap<K, usize>,
}

/// What somebody holds; given back when dropped.
pub(super) struct Share<K: Hash + Eq> {
    shares: Arc<Shares<K>>,
    holder: Option<K>,
    amount: usize,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exhausted {
    /// The holder has its share.
    Share,
    /// Everything is held.
    Total,
}

impl<K: Hash + Eq + Clone> Shares<K> {
    pub(super) fn new(total: usize, each: usize) -> Arc<Self> {
        Arc::new(Self {
            total,
            each,
            held: Mutex::new(Held {
                total: 0,
                by_holder: HashMap::new(),
            }),
        })
    }

    /// Takes so much. Without a holder there is no share to keep to.
    pub(super) fn take(self: &Arc<Self>, holder: Option<K>, amount: usize) -> Result<Share<K>, Exhausted> {
        let mut held = self.held();
        let has = holder.as_ref().and_then(|holder| held.by_holder.get(holder));
        let has = has.copied().unwrap_or_default();
        if holder.is_some() && has.saturating_add(amount) > self.each {
            return Err(Exhausted::Share);
        }
        if held.total.saturating_add(amount) > self.total {
            return Err(Exhausted::Total);
        }
        if let Some(holder) = &holder {
            held.by_holder.insert(holder.clone(), has + amount);
        }
        held.total += amount;
        Ok(Share {
            shares: Arc::clone(self),
            holder,
            amount,
        })
    }

    /// How much is held.
    pub(super) fn held_in_total(&self) -> usize {
        self.held().total
    }

    // Every change under the lock is whole: a panic beside it leaves nothing half done.
    fn held(&self) -> MutexGuard<'_, Held<K>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq> Drop for Share<K> {
    fn drop(&mut self) {
        let mut held = self.shares.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.total -= self.amount;
        if let Some(holder) = &self.holder
            && let Some(has) = held.by_holder.get_mut(holder)
        {
            *has -= self.amount;
            if *has == 0 {
                held.by_holder.remove(holder);
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_more_than_a_share_and_all_together_no_more_than_there_is() {
        let shares = Shares::new(10, 4);
        let first = shares.take(Some("a"), 4).unwrap();
        assert_eq!(shares.take(Some("a"), 1).err(), Some(Exhausted::Share));
        let second = shares.take(Some("b"), 3).unwrap();
        assert_eq!(shares.take(Some("b"), 2).err(), Some(Exhausted::Share));
        let exempt = shares.take(None, 3).unwrap();
        assert_eq!(shares.take(Some("c"), 1).err(), Some(Exhausted::Total));
        drop(first);
        assert_eq!(shares.held_in_total(), 6);
        let third = shares.take(Some("a"), 4).unwrap();
        drop((second, third, exempt));
        assert_eq!(shares.held_in_total(), 0);
        assert!(shares.held().by_holder.is_empty());
    }
}
