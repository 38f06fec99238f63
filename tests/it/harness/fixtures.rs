//! Real secrets: an APNs certificate with its key, as `openssl pkcs12` writes them, and a service account of Firebase.

use serde_json::json;

/// Certificate and key in one file, with text around the armour.
const PAIR: &str = include_str!("../../data/apns-pair.pem");

/// A key that is encrypted with a passphrase.
pub(crate) const ENCRYPTED_KEY: &str = include_str!("../../data/encrypted-key.pem");

/// A key of another pair, in the form that Twilio's documentation shows (PKCS#1).
pub(crate) const OTHER_KEY: &str = include_str!("../../data/rsa-pkcs1-key.pem");

/// The whole file, as a hurried person pastes it.
pub(crate) fn apns_pair() -> &'static str {
    PAIR
}

/// The certificate as the vault keeps it: armour and nothing around it.
pub(crate) fn apns_certificate() -> String {
    canonical_pem(PAIR, "CERTIFICATE")
}

/// The key as the vault keeps it.
pub(crate) fn apns_private_key() -> String {
    canonical_pem(PAIR, "PRIVATE KEY")
}

/// The first block of that label, without the text around it. The fixtures have lines of 64 characters already, so this
/// needs no knowledge of what is inside.
pub(crate) fn canonical_pem(text: &str, label: &str) -> String {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let from = text.find(&begin).expect("the block begins");
    let to = text.find(&end).expect("the block ends") + end.len();
    format!("{}\n", &text[from..to])
}

/// The file that Firebase's console downloads, pasted whole into `Secret`.
pub(crate) fn service_account(private_key: &str) -> String {
    json!({
        "type": "service_account",
        "project_id": "example-app",
        "private_key": private_key,
        "client_email": "push@example-app.iam.gserviceaccount.com",
    })
    .to_string()
}
