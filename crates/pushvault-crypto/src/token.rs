//! Tokens: how they are made, stored and checked.

use argon2::{
    ARGON2ID_IDENT,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};
use secrecy::SecretString;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{
    argon::{self, Argon2Cost},
    error::CryptoError,
    random,
};

/// How many characters a token has: 32 of 62, which is 190 bits.
const TOKEN_LENGTH: usize = 32;

/// What a token is made of.
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// How often a token's worth of random bytes is drawn at most. A working generator does not need a
/// second draw in the life of a universe; so many in a row mean that it is broken.
const MAX_DRAWS: usize = 8;

/// The length of a token hash's salt in bytes (RFC 9106, section 3.1).
const SALT_LENGTH: usize = 16;

/// The length of a token hash in bytes.
const HASH_LENGTH: usize = 32;

/// The version of Argon2 in RFC 9106, as a PHC string writes it.
const ARGON2_VERSION: u32 = 0x13;

/// Makes a token: 32 characters, each drawn uniformly from `[A-Za-z0-9]`.
///
/// Formula: six bits of each random byte are an index into the alphabet, and the two of 64 indexes
/// that have no character are drawn again, so no character is likelier than another. The text is
/// built at its exact size, so that it never moves and leaves a copy behind.
pub fn generate_token() -> Result<SecretString, CryptoError> {
    let mut token = Zeroizing::new(String::with_capacity(TOKEN_LENGTH));
    let mut draw = Zeroizing::new([0_u8; 2 * TOKEN_LENGTH]);
    for _ in 0..MAX_DRAWS {
        random::fill(draw.as_mut_slice())?;
        for byte in draw.iter() {
            if let Some(symbol) = ALPHABET.get(usize::from(byte & 0x3F)) {
                token.push(char::from(*symbol));
            }
            if token.len() == TOKEN_LENGTH {
                return Ok(SecretString::from(std::mem::take(&mut *token)));
            }
        }
    }
    Err(CryptoError::Randomness)
}

/// Hashes a token for storage.
///
/// Formula: `Argon2id(token, salt, cost)` with 16 random bytes of salt and 32 bytes of output, as a
/// PHC string `$argon2id$v=19$m=…,t=…,p=…$salt$hash`. Standard: RFC 9106. Limits: those of
/// [`Argon2Cost`], with [`Argon2Cost::MAX_TOKEN_MEMORY_KIB`].
pub fn hash_token(token: &str, cost: Argon2Cost) -> Result<String, CryptoError> {
    let mut salt = [0; SALT_LENGTH];
    random::fill(&mut salt)?;
    let hash = derive(token, &salt, cost)?;
    let params = cost.params(Argon2Cost::MAX_TOKEN_MEMORY_KIB, HASH_LENGTH)?;
    let phc = PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(ARGON2_VERSION),
        params: ParamsString::try_from(&params).map_err(|_| CryptoError::CostOutOfRange)?,
        salt: Some(Salt::new(&salt).map_err(|_| CryptoError::MalformedTokenHash)?),
        hash: Some(Output::new(hash.as_slice()).map_err(|_| CryptoError::MalformedTokenHash)?),
    };
    Ok(phc.to_string())
}

/// Whether `token` is the one that `phc` was made from.
///
/// Formula: the hash of [`hash_token`] with the salt and the cost that `phc` names, compared in
/// constant time. A text that this crate cannot have written is
/// [`CryptoError::MalformedTokenHash`]; a cost above the limits is [`CryptoError::CostOutOfRange`]
/// and is refused before any memory is asked for, so that a planted row cannot exhaust the process.
pub fn verify_token(token: &str, phc: &str) -> Result<bool, CryptoError> {
    let stored = StoredHash::parse(phc)?;
    let hash = derive(token, stored.salt.as_ref(), stored.cost)?;
    Ok(hash.as_slice().ct_eq(stored.hash.as_bytes()).into())
}

fn derive(token: &str, salt: &[u8], cost: Argon2Cost) -> Result<Zeroizing<[u8; HASH_LENGTH]>, CryptoError> {
    let mut hash = Zeroizing::new([0; HASH_LENGTH]);
    argon::derive(
        cost,
        Argon2Cost::MAX_TOKEN_MEMORY_KIB,
        token.as_bytes(),
        salt,
        hash.as_mut_slice(),
    )?;
    Ok(hash)
}

/// A token hash, taken apart.
struct StoredHash {
    cost: Argon2Cost,
    salt: Salt,
    hash: Output,
}

impl StoredHash {
    /// Accepts Argon2id, version 19, the parameters m, t and p each once and no other, a salt, and
    /// 32 bytes of hash. Nothing is filled in by default.
    fn parse(phc: &str) -> Result<Self, CryptoError> {
        let parsed = PasswordHash::new(phc).map_err(|_| CryptoError::MalformedTokenHash)?;
        let parameter = |name: &str| parsed.params.get_decimal(name).ok_or(CryptoError::MalformedTokenHash);
        let cost = Argon2Cost {
            memory_kib: parameter("m")?,
            iterations: parameter("t")?,
            parallelism: parameter("p")?,
        };
        match (parsed.salt, parsed.hash) {
            (Some(salt), Some(hash))
                if parsed.algorithm == ARGON2ID_IDENT
                    && parsed.version == Some(ARGON2_VERSION)
                    && parsed.params.iter().count() == 3
                    && hash.len() == HASH_LENGTH =>
            {
                Ok(Self { cost, salt, hash })
            }
            _ => Err(CryptoError::MalformedTokenHash),
        }
    }
}
