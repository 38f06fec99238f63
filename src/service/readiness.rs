//! What a request would need, and whether it is there.

/// What a request would need, each by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readiness {
    /// Postgres answers.
    pub database: bool,
    /// The schema has what this binary needs.
    pub schema: bool,
    /// The root key in memory is the one that the database expects.
    pub keyring: bool,
}

impl Readiness {
    /// Whether all of it is there.
    pub fn is_ready(self) -> bool {
        self.database && self.schema && self.keyring
    }
}
