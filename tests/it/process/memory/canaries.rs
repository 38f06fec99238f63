//! Secrets that nobody else uses, in every shape in which they are sent, are taken apart and could be left lying.

use data_encoding::BASE64;
use pushvault_crypto::generate_token;
use secrecy::ExposeSecret as _;
use url::form_urlencoded::byte_serialize;

use crate::harness::percent_encoded;

/// Something to search for: what it is, and its bytes.
pub(super) struct Canary {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

/// What must be nowhere.
#[derive(Default)]
pub(super) struct Canaries(Vec<Canary>);

/// A fresh secret of 64 characters, some of which every encoding changes.
pub(super) fn fresh_secret() -> String {
    let token = || generate_token().unwrap().expose_secret().to_owned();
    format!("{}+/=\"&é{}", token(), token())
}

impl Canaries {
    pub(super) fn all(&self) -> &[Canary] {
        &self.0
    }

    /// A secret as it is, and as forms, JSON and the header `Authorization` carry it.
    pub(super) fn add(&mut self, name: &str, secret: &str) {
        let json = serde_json::to_string(secret).unwrap();
        let form: String = byte_serialize(secret.as_bytes()).collect();
        self.put(name, "as it is", secret.as_bytes().to_vec());
        self.put(name, "in a form", form.into_bytes());
        self.put(name, "in JSON", json.trim_matches('"').as_bytes().to_vec());
        self.put(name, "percent-encoded", percent_encoded(secret.as_bytes()).into_bytes());
        for skipped in 0..3 {
            let encoded = BASE64.encode(&secret.as_bytes()[skipped..]);
            self.put(name, "in base64", encoded.into_bytes());
        }
        let lines: String = secret.lines().filter(|line| !line.starts_with("-----")).collect();
        if let Ok(der) = BASE64.decode(lines.as_bytes()) {
            self.put(name, "decoded", der);
        }
    }

    fn put(&mut self, name: &str, shape: &str, bytes: Vec<u8>) {
        self.0.push(Canary {
            name: format!("{name}, {shape}"),
            bytes,
        });
    }
}
