//! What the writers were told, kept outside the vault.

/// Certificate and key in one file. The vault keeps either without what stands around it.
pub(super) const APNS_PAIR: &str = include_str!("../../../data/apns-pair.pem");

/// The types of credentials, with the parameter whose secret an update replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Apn,
    Fcm,
    Gcm,
}

/// Where a credential stands after a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub(super) friendly_name: String,
    /// The version that holds the present secrets, which is also how many versions there are.
    pub(super) version: i32,
    /// How many updates there were, those that made no version too.
    pub(super) updates: usize,
    pub(super) deleted: bool,
}

/// One credential: the last state that the vault acknowledged, and the one that was asked for without an answer.
#[derive(Debug)]
pub(super) struct Story {
    pub(super) kind: Kind,
    /// The name at its creation, which no other credential has.
    pub(super) name: String,
    /// Not known as long as the create is not acknowledged.
    pub(super) sid: Option<String>,
    pub(super) acknowledged: Option<State>,
    pub(super) in_doubt: Option<State>,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Apn, Self::Fcm, Self::Gcm];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Apn => "apn",
            Self::Fcm => "fcm",
            Self::Gcm => "gcm",
        }
    }
}

impl Story {
    pub(super) fn new(kind: Kind, name: String) -> Self {
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
        }
    }

    /// Begins a step, which leads to another state unless it is lost.
    pub(super) fn begin(&mut self, step: impl FnOnce(&mut State)) {
        let mut next = self.acknowledged.clone().expect("only what is certain is changed");
        step(&mut next);
        self.in_doubt = Some(next);
    }

    /// The step that was begun has been acknowledged.
    pub(super) fn acknowledge(&mut self) {
        self.acknowledged = self.in_doubt.take();
    }

    pub(super) fn is_in_doubt(&self) -> bool {
        self.in_doubt.is_some()
    }

    pub(super) fn can_be_changed(&self) -> bool {
        self.acknowledged.as_ref().is_some_and(|state| !state.deleted)
    }

    /// How many steps were acknowledged.
    pub(super) fn steps(&self) -> usize {
        self.acknowledged
            .as_ref()
            .map_or(0, |state| 1 + state.updates + usize::from(state.deleted))
    }

    /// The secret of a version: different for each credential, and for each version of it.
    pub(super) fn secret(&self, version: i32) -> String {
        format!("secret of {} in version {version}", self.name)
    }

    /// An update of an apn credential changes where it is for, because its secrets are a pair that is not easily made.
    pub(super) fn sandbox(version: i32) -> bool {
        version % 2 == 0
    }
}
