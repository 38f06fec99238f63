//! What is needed to ask a key provider beyond this machine.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::{Host, Url};

use super::error::ConfigError;
use super::rules::{invalid, origin, secret};

/// How long a provider is waited for, all tries together, if requests have time enough.
const ANSWER_TIME: Duration = Duration::from_secs(3);

/// A key in the Transit engine of a Vault or OpenBao.
#[derive(Clone)]
pub struct TransitSettings {
    /// The server's origin, without a slash at its end.
    pub url: String,
    /// The namespace, where the server has any.
    pub namespace: String,
    /// Where the engine is mounted.
    pub mount: String,
    /// The name of the key.
    pub key: String,
    /// What the server lets us in by.
    pub token: TransitToken,
    /// PEM: the CAs of its certificate; none for those of the machine.
    pub ca_file: Option<PathBuf>,
    /// How long it may take to answer, all tries together.
    pub answer_time: Duration,
}

/// The token of a [`TransitSettings`].
#[derive(Clone)]
pub enum TransitToken {
    /// It stays as it is.
    Fixed(SecretString),
    /// It is in a file, which somebody keeps up to date.
    File(PathBuf),
}

/// A key in AWS KMS.
#[derive(Clone)]
pub struct AwsKmsSettings {
    /// The key's id, without what an ARN has before it.
    pub key_id: String,
    /// The region; none for that of the environment.
    pub region: Option<String>,
    /// Another origin than the region's own.
    pub endpoint: Option<String>,
    /// How long it may take to answer, all tries together.
    pub answer_time: Duration,
}

/// The keys of a section, by their full names.
pub(super) struct ProviderKeys {
    pub(super) transit_url: &'static str,
    pub(super) transit_namespace: &'static str,
    pub(super) transit_mount: &'static str,
    pub(super) transit_key: &'static str,
    pub(super) transit_token: &'static str,
    pub(super) transit_token_file: &'static str,
    pub(super) transit_ca_file: &'static str,
    pub(super) aws_key_id: &'static str,
    pub(super) aws_region: &'static str,
    pub(super) aws_endpoint: &'static str,
}

/// The values of `transit_*` as they are written.
pub(super) struct RawTransit {
    pub(super) url: String,
    pub(super) namespace: String,
    pub(super) mount: String,
    pub(super) key: String,
    pub(super) token: SecretString,
    pub(super) token_file: String,
    pub(super) ca_file: String,
}

impl RawTransit {
    /// None where nothing is said of it.
    pub(super) fn check(
        self,
        keys: &ProviderKeys,
        request_time: Duration,
    ) -> Result<Option<TransitSettings>, ConfigError> {
        let token = secret(keys.transit_token_file, self.token, &self.token_file)?;
        if self.url.is_empty() && self.key.is_empty() && token.is_none() {
            return Ok(None);
        }
        let url = encrypted_origin(keys.transit_url, &self.url, "https://openbao.internal.example.com:8200")?;
        if !is_path(&self.namespace) && !self.namespace.is_empty() {
            return Err(invalid(
                keys.transit_namespace,
                "give the namespace's path, such as team/push",
            ));
        }
        if !is_path(&self.mount) {
            return Err(invalid(
                keys.transit_mount,
                "give the path that the Transit engine is mounted at, such as transit",
            ));
        }
        if !is_path(&self.key) || self.key.contains('/') {
            return Err(invalid(
                keys.transit_key,
                "give the name of a key in the Transit engine, such as pushvault",
            ));
        }
        let token = token.ok_or_else(|| {
            invalid(
                keys.transit_token_file,
                "give a file that holds the token for the Transit engine, such as one that its agent keeps up to date",
            )
        })?;
        Ok(Some(TransitSettings {
            url,
            namespace: self.namespace,
            mount: self.mount,
            key: self.key,
            token: if self.token_file.is_empty() {
                TransitToken::Fixed(token)
            } else {
                TransitToken::File(self.token_file.into())
            },
            ca_file: (!self.ca_file.is_empty()).then(|| self.ca_file.into()),
            answer_time: answer_time(request_time),
        }))
    }
}

/// Checks the values of `aws_*`; none where nothing is said of it.
pub(super) fn check_aws(
    keys: &ProviderKeys,
    key_id: &str,
    region: String,
    endpoint: &str,
    request_time: Duration,
) -> Result<Option<AwsKmsSettings>, ConfigError> {
    if key_id.is_empty() {
        return Ok(None);
    }
    let id = match key_id.strip_prefix("arn:") {
        Some(arn) => arn.split_once(":key/").map(|(_, id)| id),
        None => Some(key_id),
    };
    // An alias can be led to another key, and then nothing opens any more.
    let id = id.filter(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
    let id = id.ok_or_else(|| invalid(keys.aws_key_id, "give the id or the ARN of a key, and no alias"))?;
    if !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(invalid(
            keys.aws_region,
            "give the name of a region, such as eu-central-1",
        ));
    }
    let endpoint = match endpoint {
        "" => None,
        text => Some(encrypted_origin(
            keys.aws_endpoint,
            text,
            "https://vpce-….kms.eu-central-1.vpce.amazonaws.com",
        )?),
    };
    Ok(Some(AwsKmsSettings {
        key_id: id.to_owned(),
        region: (!region.is_empty()).then_some(region),
        endpoint,
        answer_time: answer_time(request_time),
    }))
}

/// Well before a request's own time is over, so that the caller is told what is the matter.
fn answer_time(request_time: Duration) -> Duration {
    ANSWER_TIME.min(request_time / 2)
}

/// An origin that keys may be sent to: they leave the machine within TLS alone.
fn encrypted_origin(key: &'static str, text: &str, example: &str) -> Result<String, ConfigError> {
    let wrong = || {
        invalid(
            key,
            format!("give scheme, host and port alone, such as {example}; http:// will do on this machine only"),
        )
    };
    let origin = origin(key, text).ok().flatten().ok_or_else(wrong)?;
    let url = Url::parse(&origin).map_err(|_| wrong())?;
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    };
    if url.scheme() == "https" || is_here {
        Ok(origin)
    } else {
        Err(wrong())
    }
}

/// One name, or several with slashes between, of what needs no escapes in a URL.
fn is_path(text: &str) -> bool {
    text.split('/').all(|name| {
        !matches!(name, "" | "." | "..")
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    })
}

#[cfg(test)]
#[expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::config::{KekSettings, Settings};

    /// Settings whose `[other_kek]`, which has the same keys as `[kek]`, holds these lines.
    fn load(lines: &str) -> Result<Settings, ConfigError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("settings.toml");
        let text = format!("[database]\nurl = 'postgres://x'\n[limits]\nrequest_seconds = 3\n[other_kek]\n{lines}");
        std::fs::write(&path, text).unwrap();
        Settings::load(Some(&path))
    }

    fn transit(lines: &str) -> Result<Settings, ConfigError> {
        load(&format!("provider = 'transit'\ntransit_key = 'pushvault'\n{lines}"))
    }

    #[test]
    fn a_provider_of_which_nothing_is_said_is_not_set() {
        for provider in ["transit", "aws-kms"] {
            let settings = load(&format!("provider = '{provider}'")).unwrap();
            assert!(matches!(settings.other_kek, KekSettings::Unset));
        }
    }

    #[test]
    fn a_transit_key_has_an_address_a_name_and_a_token_that_is_not_shown() {
        let settings = transit("transit_url = 'https://bao:8200/'\ntransit_token = 'canary'").unwrap();
        let shown = settings
            .effective()
            .iter()
            .find(|(key, _)| *key == "other_kek.transit_token");
        assert_eq!(shown.unwrap().1, "[redacted]");
        let KekSettings::Transit(settings) = settings.other_kek else {
            panic!("not transit")
        };
        assert_eq!(
            (settings.url.as_str(), settings.mount.as_str()),
            ("https://bao:8200", "transit")
        );
        assert_eq!(settings.answer_time, Duration::from_millis(1500));
    }

    #[test]
    fn keys_are_sent_within_tls_or_to_this_machine() {
        let with = |url: &str| transit(&format!("transit_url = '{url}'\ntransit_token = 'canary'"));
        for good in [
            "https://bao.internal:8200",
            "http://127.0.0.1:8200",
            "http://[::1]:8200",
            "http://localhost",
        ] {
            assert!(with(good).is_ok(), "{good}");
        }
        for wrong in [
            "",
            "http://bao.internal:8200",
            "http://10.0.0.7",
            "https://canary@bao",
            "https://bao/v1",
            "bao:8200",
        ] {
            let refused = with(wrong).err().unwrap().to_string();
            assert!(
                refused.contains("other_kek.transit_url") && !refused.contains("canary"),
                "{refused}"
            );
        }
        let aws = |endpoint: &str| {
            load(&format!(
                "provider = 'aws-kms'\naws_key_id = 'a'\naws_endpoint = '{endpoint}'"
            ))
        };
        assert!(aws("http://127.0.0.1:5000").is_ok());
        let refused = aws("http://kms.example.com").err().unwrap().to_string();
        assert!(refused.contains("other_kek.aws_endpoint"), "{refused}");
    }

    #[test]
    fn what_is_wrong_with_a_provider_is_refused_by_its_key() {
        let address = "transit_url = 'https://bao'\ntransit_token = 't'\n";
        for (lines, key) in [
            ("transit_url = 'https://bao'", "transit_token_file"),
            (
                "transit_url = 'https://bao'\ntransit_token_file = '/nowhere/token'",
                "transit_token_file",
            ),
            (&format!("{address}transit_mount = ''"), "transit_mount"),
            (&format!("{address}transit_mount = '../sys'"), "transit_mount"),
            (&format!("{address}transit_mount = 'a?b'"), "transit_mount"),
            (&format!("{address}transit_namespace = '/team'"), "transit_namespace"),
        ] {
            let refused = transit(lines).err().unwrap().to_string();
            assert!(refused.contains(&format!("other_kek.{key}")), "{refused}");
        }
        let refused = load(&format!("provider = 'transit'\n{address}transit_key = 'a/b'"))
            .err()
            .unwrap();
        assert!(refused.to_string().contains("other_kek.transit_key"), "{refused}");
    }

    #[test]
    fn a_key_of_aws_is_named_by_id_or_arn_and_not_by_an_alias() {
        let id = "1234abcd-12ab-34cd-56ef-1234567890ab";
        let with = |key: &str| load(&format!("provider = 'aws-kms'\naws_key_id = '{key}'")).map(|all| all.other_kek);
        for good in [id, &format!("arn:aws:kms:eu-central-1:111122223333:key/{id}")] {
            let Ok(KekSettings::AwsKms(settings)) = with(good) else {
                panic!("{good}")
            };
            assert_eq!(settings.key_id, id);
        }
        for wrong in [
            "alias/pushvault",
            "arn:aws:kms:eu-central-1:111122223333:alias/pushvault",
            "arn:",
            "a b",
        ] {
            let refused = with(wrong).err().unwrap().to_string();
            assert!(
                refused.contains("other_kek.aws_key_id") && refused.contains("no alias"),
                "{refused}"
            );
        }
        let refused = load(&format!(
            "provider = 'aws-kms'\naws_key_id = '{id}'\naws_region = 'a.b'"
        ))
        .err()
        .unwrap();
        assert!(refused.to_string().contains("aws_region"), "{refused}");
    }
}
