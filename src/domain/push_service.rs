//! The push services that a credential can be for, and which secrets each takes.

use super::validation::ValidationError;

/// The service that a credential signs in to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PushService {
    /// Apple Push Notification service.
    Apn,
    /// Firebase Cloud Messaging.
    Fcm,
    /// Google Cloud Messaging.
    Gcm,
}

impl PushService {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Apn, Self::Fcm, Self::Gcm];

    /// Reads the parameter `Type`, in any case, as every surface of the contract takes it.
    pub fn parse(text: &str) -> Result<Self, ValidationError> {
        Self::ALL
            .into_iter()
            .find(|service| service.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| ValidationError::invalid("Type", "use one of apn, fcm, gcm"))
    }

    /// The lower-case name, as answered and stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Apn => "apn",
            Self::Fcm => "fcm",
            Self::Gcm => "gcm",
        }
    }

    /// The secret parameters that a credential for this service takes.
    pub const fn secret_parameters(self) -> &'static [&'static str] {
        match self {
            Self::Apn => &["Certificate", "PrivateKey"],
            Self::Fcm => &["Secret"],
            Self::Gcm => &["ApiKey"],
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn any_case_is_read_and_lower_case_is_written() {
        assert_eq!(PushService::parse("GcM").unwrap().as_str(), "gcm");
        assert_eq!(PushService::parse("APN").unwrap(), PushService::Apn);
        let refused = PushService::parse("wns").unwrap_err();
        assert_eq!(refused.parameter, "Type");
    }
}
