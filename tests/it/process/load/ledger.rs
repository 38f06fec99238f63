//! What the writers were told, kept outside the vault.

use std::time::Instant;

/// Certificate and key in one file. The vault keeps either without what stands around it.
pub(crate) const APNS_PAIR: &str = include_str!("../../../data/apns-pair.pem");

/// The types of credentials, with the parameter whose secret an update replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Apn,
    Fcm,
    Gcm,
}

/// Where a credential stands after a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) friendly_name: String,
    /// The version that holds the present secrets, which is also how many versions there are.
    pub(crate) version: i32,
    /// How many updates there were, those that made no version too.
    pub(crate) updates: usize,
    pub(crate) deleted: bool,
}

/// One credential: the last state that the vault acknowledged, and the one that was asked for without an answer.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) kind: Kind,
    /// The name at its creation, which no other credential has.
    pub(crate) name: String,
    /// Not known as long as the create is not acknowledged.
    pub(crate) sid: Option<String>,
    pub(crate) acknowledged: Option<State>,
    pub(crate) in_doubt: Option<State>,
    /// Every state that was acknowledged, oldest first, with the moment at which the caller knew of it.
    past: Vec<(Instant, State)>,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Apn, Self::Fcm, Self::Gcm];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Apn => "apn",
            Self::Fcm => "fcm",
            Self::Gcm => "gcm",
        }
    }
}

impl Story {
    pub(crate) fn new(kind: Kind, name: String) -> Self {
        let first = State {
            friendly_name: name.clone(),
            version: 1,
            updates: 0,
            deleted: false,
        };
        Self {
            kind,
            name,
            sid: None,
            acknowledged: None,
            in_doubt: Some(first),
            past: Vec::new(),
        }
    }

    /// Begins a step, which leads to another state unless it is lost.
    pub(crate) fn begin(&mut self, step: impl FnOnce(&mut State)) {
        let mut next = self.acknowledged.clone().expect("only what is certain is changed");
        step(&mut next);
        self.in_doubt = Some(next);
    }

    /// The step that was begun has been acknowledged.
    pub(crate) fn acknowledge(&mut self) {
        self.acknowledged = self.in_doubt.take();
        self.past
            .extend(self.acknowledged.clone().map(|state| (Instant::now(), state)));
    }

    /// Whether a copy of the database that was made at that moment, or a little later, may hold this state: nothing that
    /// was acknowledged by then may be missing, and what was asked for since may be there.
    pub(crate) fn may_have_been(&self, state: Option<&State>, moment: Instant) -> bool {
        let by_then = self.past.partition_point(|(when, _)| *when <= moment);
        let first = by_then.checked_sub(1).map(|index| &self.past[index].1);
        let since = self.past[by_then..].iter().map(|(_, state)| state);
        let mut states = std::iter::once(first).chain(since.chain(&self.in_doubt).map(Some));
        states.any(|possible| possible == state)
    }

    pub(crate) fn is_in_doubt(&self) -> bool {
        self.in_doubt.is_some()
    }

    /// Whether it is there, and certainly as it was told.
    pub(crate) fn can_be_changed(&self) -> bool {
        self.in_doubt.is_none() && self.acknowledged.as_ref().is_some_and(|state| !state.deleted)
    }

    /// How many steps were acknowledged.
    pub(crate) fn steps(&self) -> usize {
        self.acknowledged
            .as_ref()
            .map_or(0, |state| 1 + state.updates + usize::from(state.deleted))
    }

    /// The secret of a version: different for each credential, and for each version of it.
    pub(crate) fn secret(&self, version: i32) -> String {
        format!("secret of {} in version {version}", self.name)
    }

    /// An update of an apn credential changes where it is for, because its secrets are a pair that is not easily made.
    pub(crate) fn sandbox(version: i32) -> bool {
        version % 2 == 0
    }
}
