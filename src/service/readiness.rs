//! What a request would need, and whether it is there.

/// One thing that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Postgres answers.
    Database,
    /// The schema has what this binary needs.
    Schema,
    /// The root key here is the one that the database expects, and its provider, where it has one, serves.
    Keyring,
    /// An audit event could be written, without which there is no change and no refusal of one.
    Audit,
    /// The clocks of this machine and of the database agree.
    Clock,
}

impl Check {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 5] = [Self::Database, Self::Schema, Self::Keyring, Self::Audit, Self::Clock];

    /// The name, as answered and measured.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Schema => "schema",
            Self::Keyring => "keyring",
            Self::Audit => "audit",
            Self::Clock => "clock",
        }
    }

    /// Whether a request cannot be served without it. With clocks that differ every request can: times that people and
    /// certificates go by are wrong, and taking all replicas out would not mend them.
    const fn is_needed(self) -> bool {
        !matches!(self, Self::Clock)
    }
}

/// What was looked at, and what of it failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    failed: Vec<Check>,
    /// What failed in a way that no other replica would mend, and that some requests can do without.
    impaired: Vec<Check>,
}

impl Readiness {
    /// Everything is there but these.
    pub(super) fn without(failed: impl IntoIterator<Item = Check>) -> Self {
        Self {
            failed: failed.into_iter().collect(),
            impaired: Vec::new(),
        }
    }

    /// These failed too, and it is ready all the same.
    pub(super) fn impaired_by(self, impaired: Vec<Check>) -> Self {
        Self { impaired, ..self }
    }

    /// Whether this one is there.
    pub fn has(&self, check: Check) -> bool {
        !self.failed.contains(&check) && !self.impaired.contains(&check)
    }

    /// Whether everything is there that a request needs.
    pub fn is_ready(&self) -> bool {
        !self.failed.iter().any(|check| check.is_needed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_impairs_is_told_and_leaves_it_ready() {
        let readiness = Readiness::without([]).impaired_by(vec![Check::Keyring]);
        assert!(readiness.is_ready() && !readiness.has(Check::Keyring) && readiness.has(Check::Audit));
        assert!(
            !Readiness::without([Check::Audit])
                .impaired_by(vec![Check::Keyring])
                .is_ready()
        );
    }

    #[test]
    fn each_check_alone_makes_it_unready_but_the_clock() {
        assert!(Readiness::without([]).is_ready());
        for check in Check::ALL {
            let readiness = Readiness::without([check]);
            assert_eq!(readiness.is_ready(), check == Check::Clock, "{check:?}");
            for other in Check::ALL {
                assert_eq!(readiness.has(other), other != check, "{check:?} {other:?}");
            }
        }
    }
}
