//! What the requests of a connection tell it of themselves.

use std::cell::Cell;
use std::rc::Rc;

/// What the requests of a connection tell it of themselves.
#[derive(Clone, Default)]
pub(super) struct Activity(Rc<Counts>);

#[derive(Default)]
struct Counts {
    /// Requests that ever began.
    begun: Cell<u64>,
    /// Requests under way.
    under_way: Cell<u64>,
    /// The length of the body of the one that began last, where its head tells it.
    body: Cell<Option<u64>>,
}

/// A request under way, for as long as this lives.
pub(super) struct UnderWay(Activity);

impl Activity {
    /// A request begins, with a body of that length, if that is known.
    pub(super) fn begin(&self, body: Option<u64>) -> UnderWay {
        self.0.body.set(body);
        self.0.begun.set(self.0.begun.get() + 1);
        self.0.under_way.set(self.0.under_way.get() + 1);
        UnderWay(self.clone())
    }

    /// How many requests ever began.
    pub(super) fn begun(&self) -> u64 {
        self.0.begun.get()
    }

    /// How many are under way.
    pub(super) fn under_way(&self) -> u64 {
        self.0.under_way.get()
    }

    /// The length of the body of the one that began last, if it is known.
    pub(super) fn body(&self) -> Option<u64> {
        self.0.body.get()
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let counts = &self.0.0;
        counts.under_way.set(counts.under_way.get() - 1);
    }
}
