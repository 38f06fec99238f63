//! The cryptographic kernel of pushvault: keys, envelopes and tokens.
//!
//! Nothing here reads a file, a clock, an environment variable or a socket. Bytes come in, bytes
//! go out, and the operating system's randomness is drawn in one file ([`random`]). The byte
//! formats are specified in `docs/crypto.md`, from which a decoder can be written without this
//! crate; `tests/decoder/open_envelope.py` is one.
//!
//! ```text
//! KeyEncryptionKey (KEK)      outside the database
//!   └─ AccountKey             one per account, stored as a WrappedKey
//!        └─ DEK               one per credential version, used once, stored in the header
//!             └─ HKDF ─ K_enc and a commitment
//!                  └─ certificate, private_key, api_key, secret: one ciphertext per column
//! ```
//!
//! What this crate promises: a ciphertext opens only where it was sealed (deployment, account,
//! credential, push service, sandbox, version, column, and the same set of columns), only under
//! one key, and input of any shape ends in a [`CryptoError`] and never in a panic.
//!
//! What it cannot promise: values that the compiler or a dependency left on the stack or in
//! registers, and copies the caller made, are beyond its reach. Every buffer it allocates for a
//! key or a plaintext is wiped when dropped.

mod aead;
mod age;
mod argon;
pub mod context;
mod dek;
mod encoding;
pub mod envelope;
pub mod error;
pub mod external;
mod header;
pub mod integrity;
mod kdf;
mod kek_id;
pub mod key;
pub mod mac;
mod padding;
mod plaintext;
pub mod random;
pub mod recovery;
mod secret;
pub mod signing;
pub mod token;

pub use context::{AccountKeyContext, DeploymentId, EncryptionContext, IntegrityKeyContext, Role, SigningKeyContext};
pub use envelope::{Envelope, Plaintext, Secrets, open, rewrap, seal};
pub use error::CryptoError;
pub use external::{PackedKey, RootSeed};
pub use integrity::IntegrityKey;
pub use key::{AccountKey, Argon2Cost, KekId, KeyEncryptionKey, WrappedKey};
pub use mac::MacKey;
pub use recovery::{RecoveryKey, RecoveryRecipient};
pub use signing::{SignaturePublicKey, SigningKey};
pub use token::{generate_token, hash_token, verify_token};
