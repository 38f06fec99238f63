//! The form of a frozen vector in `tests/data/*.json`. All byte strings are lower-case hexadecimal.

use serde::{Deserialize, Serialize};

/// One frozen envelope, with everything that is needed to open it.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VectorFile {
    /// How the file came to be.
    pub(crate) made_by: String,
    /// What it is about.
    pub(crate) about: String,
    /// The root key and its id.
    pub(crate) kek: String,
    pub(crate) kek_id: String,
    pub(crate) account_key: WrappedAccountKey,
    pub(crate) context: Context,
    /// The envelope: header and columns.
    pub(crate) dek_envelope: String,
    pub(crate) columns: Columns,
    /// The digest of the envelope.
    pub(crate) digest: String,
    /// The plaintexts, unless the envelope must fail.
    pub(crate) plaintexts: Option<Columns>,
    /// The error, if the envelope must fail.
    pub(crate) error: Option<String>,
}

/// A wrapped account key and the place it is unwrapped in.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrappedAccountKey {
    pub(crate) account_sid: String,
    pub(crate) version: u32,
    pub(crate) wrapped: String,
}

/// The place the envelope is opened in.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Context {
    pub(crate) deployment_id: String,
    pub(crate) account_sid: String,
    pub(crate) credential_sid: String,
    pub(crate) push_service: String,
    pub(crate) sandbox: bool,
    pub(crate) version: u32,
}

/// The four columns.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Columns {
    pub(crate) certificate: Option<String>,
    pub(crate) private_key: Option<String>,
    pub(crate) api_key: Option<String>,
    pub(crate) secret: Option<String>,
}
