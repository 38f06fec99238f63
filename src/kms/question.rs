//! What a provider beyond this machine is asked.

use pushvault_crypto::PackedKey;

/// What a wrap is bound to: as bytes, and as a provider takes it that has a map for it.
pub(super) struct Binding {
    pub(super) associated_data: Vec<u8>,
    pub(super) context: Vec<(&'static str, String)>,
}

/// What a provider is asked to do, with what.
#[derive(Clone, Copy)]
pub(super) enum Question<'a> {
    Encrypt(&'a PackedKey),
    Decrypt(&'a [u8]),
}

impl Question<'_> {
    /// The name in the metrics.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Encrypt(_) => "encrypt",
            Self::Decrypt(_) => "decrypt",
        }
    }
}
