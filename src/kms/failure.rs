//! Why a key provider beyond this machine did not do what it was asked. The texts are ours alone: of what a provider says,
//! nothing is repeated but a status and the name of an error.

use std::error::Error;
use std::path::PathBuf;

/// A provider did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("the root key {name} of {provider} cannot be used")]
pub struct ProviderError {
    /// Which one.
    pub provider: &'static str,
    /// What the key is called there.
    pub name: String,
    /// Why, and what to do.
    #[source]
    pub failure: ProviderFailure,
}

/// Why, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ProviderFailure {
    /// No connection, or one that broke.
    #[error(
        "the provider cannot be reached; look after it, its address in the settings, its certificate and the network"
    )]
    Unreachable(#[source] Box<dyn Error + Send + Sync>),
    /// No answer.
    #[error("the provider does not answer in time; look after it and the network")]
    Late,
    /// An answer that says that it cannot serve.
    #[error("the provider answers with {0}; look after it: a Vault may be sealed, in standby or overloaded")]
    Failing(String),
    /// An answer that is none.
    #[error("the provider answers with what is no answer of its kind; look at what is at its address")]
    Garbled,
    /// It does not let us in.
    #[error(
        "the provider refuses it ({0}); renew the token or the credentials, and see that they may encrypt and decrypt with \
         this key"
    )]
    Denied(String),
    /// The token cannot be read.
    #[error("cannot read the token in {}", path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The token is not one.
    #[error("the token for the provider is empty or no single line of ASCII; look at transit_token or its file")]
    MalformedToken,
    /// There is no such key.
    #[error("the provider has no such key; look at its name in the settings, and restore it if it was deleted")]
    NoKey,
    /// The key does not do.
    #[error(
        "the provider does not do that with this key ({0}); it must be enabled, symmetric and made for encryption with \
         associated data (such as aes256-gcm96, not derived), and its old versions must stay allowed"
    )]
    Unusable(String),
    /// What was to be unwrapped was not wrapped by this key for this place.
    #[error("it does not unwrap")]
    DoesNotUnwrap,
}

impl ProviderFailure {
    /// Whether it may be gone at the next try.
    pub(super) const fn passes(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_) | Self::Late | Self::Failing(_) | Self::Garbled
        )
    }

    /// The name in the metrics.
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Late => "late",
            Self::Failing(_) => "failing",
            Self::Garbled => "garbled",
            Self::Denied(_) => "denied",
            Self::Token { .. } | Self::MalformedToken => "token",
            Self::NoKey => "no_key",
            Self::Unusable(_) => "unusable",
            Self::DoesNotUnwrap => "does_not_unwrap",
        }
    }
}
