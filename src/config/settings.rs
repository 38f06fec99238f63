//! All settings: read from their sources and checked, in one step, at start.

use std::path::Path;

use super::admin::AdminSettings;
use super::audit::AuditSettings;
use super::authentication::AuthenticationSettings;
use super::checkpoint::CheckpointSettings;
use super::database::DatabaseSettings;
use super::error::ConfigError;
use super::kek::{KEK, KekSettings, OTHER_KEK};
use super::limits::LimitSettings;
use super::log::LogSettings;
use super::rate_limit::RateLimitSettings;
use super::server::ServerSettings;
use super::sources::RawSettings;
use super::tls::TlsSettings;
use super::trace::TraceSettings;
use super::validation::ValidationMode;

/// All settings.
#[derive(Clone)]
pub struct Settings {
    /// The HTTP listener.
    pub server: ServerSettings,
    /// The listener for those who run the service.
    pub admin: AdminSettings,
    /// How it is spoken to.
    pub tls: TlsSettings,
    /// Postgres.
    pub database: DatabaseSettings,
    /// The root key.
    pub kek: KekSettings,
    /// Another one, during a rotation.
    pub other_kek: KekSettings,
    /// Tokens and their verification.
    pub authentication: AuthenticationSettings,
    /// Bounds on requests and caches.
    pub limits: LimitSettings,
    /// How much one caller may ask for; none when the limits are switched off.
    pub rate_limit: Option<RateLimitSettings>,
    /// What happens to a credential that cannot work.
    pub validation: ValidationMode,
    /// Logging.
    pub log: LogSettings,
    /// Where audit events are told of besides the audit trail.
    pub audit: AuditSettings,
    /// Where signed checkpoints of the audit trail go.
    pub checkpoint: CheckpointSettings,
    /// Where the spans of requests go; none when there are none.
    pub trace: Option<TraceSettings>,
    effective: Vec<(&'static str, String)>,
}

impl Settings {
    /// Reads and checks the settings.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        Self::load_with(file, &[])
    }

    /// Reads and checks the settings; what the command line says of a key wins over every other source.
    pub fn load_with(file: Option<&Path>, overrides: &[(&str, String)]) -> Result<Self, ConfigError> {
        let raw = RawSettings::read(file, overrides)?;
        let limits = raw.limits.check()?;
        Ok(Self {
            effective: raw.effective(),
            server: raw.server.check()?,
            admin: raw.admin.check()?,
            tls: raw.tls.check()?,
            database: raw.database.check()?,
            kek: raw.kek.check(&KEK, limits.request_time)?,
            other_kek: raw.other_kek.check(&OTHER_KEK, limits.request_time)?,
            authentication: raw.authentication.check()?,
            limits,
            rate_limit: raw.rate_limit.check()?,
            validation: raw.validation.check()?,
            log: raw.log.check()?,
            audit: raw.audit.check()?,
            checkpoint: raw.checkpoint.check()?,
            trace: raw.trace.check()?,
        })
    }

    /// Every key with its value, for people; secrets show only whether they are set.
    pub fn effective(&self) -> &[(&'static str, String)] {
        &self.effective
    }
}

/// Reads how to log, for a command that logs before the rest of its settings can be known.
pub fn load_logging(file: Option<&Path>) -> Result<(LogSettings, AuditSettings), ConfigError> {
    let raw = RawSettings::read(file, &[])?;
    Ok((raw.log.check()?, raw.audit.check()?))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::config::{AuditFile, FileRotation};
    use std::io::Write as _;
    use std::net::IpAddr;

    use secrecy::ExposeSecret as _;

    fn load(toml: &str) -> Result<Settings, ConfigError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(toml.as_bytes()).unwrap();
        Settings::load(Some(file.path()))
    }

    const DATABASE: &str = "[database]\nurl = 'postgres://canary-user:canary-password@localhost/x'\n";

    #[test]
    fn defaults_listen_on_loopback_and_hold_no_secret() {
        let settings = load(DATABASE).unwrap();
        assert_eq!(settings.server.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.admin.listen, None);
        assert!(matches!(settings.kek, KekSettings::Unset));
        assert_eq!(settings.limits.body_bytes, 256 * 1024);
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let refused = load("[server]\nlissten = '127.0.0.1:1'\n").err().unwrap();
        assert!(refused.to_string().contains("lissten"), "{refused}");
    }

    #[test]
    fn without_a_database_the_error_says_what_to_set() {
        let refused = load("").err().unwrap();
        assert!(
            refused.to_string().contains("PUSHVAULT__DATABASE__URL_FILE"),
            "{refused}"
        );
    }

    #[test]
    fn a_secret_comes_from_its_file_without_the_last_newline_and_wins() {
        let mut secret = tempfile::NamedTempFile::new().unwrap();
        secret.write_all(b"postgres://from-file\n").unwrap();
        let settings = load(&format!("{DATABASE}url_file = '{}'\n", secret.path().display())).unwrap();
        assert_eq!(settings.database.url.expose_secret(), "postgres://from-file");
    }

    #[test]
    fn neither_errors_nor_the_effective_settings_repeat_a_secret() {
        let both = format!("{DATABASE}list_url = 'postgres://canary-user:canary-password@replica/x'\n");
        let shown = format!("{:?}", load(&both).unwrap().effective());
        assert!(shown.contains("[redacted]") && !shown.contains("canary"), "{shown}");
        for broken in [
            "[database]\nurl = 'canary-password\n",
            "[database]\nmax_connections = 'canary-password'\n",
            "[server]\nlisten = 'canary-password'\n",
            "[admin]\nlisten = 'canary-password'\n",
            "[kek]\nprovider = 'canary-password'\n",
        ] {
            let refused = load(broken).err().unwrap();
            assert!(!refused.to_string().contains("canary"), "{refused}");
        }
    }

    #[test]
    fn a_timeout_a_limit_and_a_cost_of_zero_are_refused_by_name() {
        for (section, key) in [
            ("database", "acquire_timeout_seconds"),
            ("kek", "passphrase_parallelism"),
            ("authentication", "argon2_iterations"),
            ("limits", "body_bytes"),
            ("limits", "stall_seconds"),
            ("rate_limit", "account_burst"),
        ] {
            let header = if section == "database" {
                String::new()
            } else {
                format!("[{section}]\n")
            };
            let refused = load(&format!("{DATABASE}{header}{key} = 0\n")).err().unwrap();
            assert!(refused.to_string().contains(&format!("{section}.{key}")), "{refused}");
        }
    }

    #[test]
    fn a_public_url_that_sdks_would_mangle_is_warned_of() {
        let warning = |url: &str| {
            let settings = load(&format!("{DATABASE}[server]\npublic_url = '{url}'\n")).unwrap();
            settings
                .server
                .public_url_warning()
                .map(|text| text.split_once(" labels").unwrap().0)
        };
        for good in [
            "http://localhost:8080",
            "http://pushvault",
            "http://10.0.0.7:8080",
            "http://[::1]:8080",
            "https://vault.example.com",
            "https://svc.ns.svc.cluster.local:443",
        ] {
            assert_eq!(warning(good), None, "{good}");
        }
        assert_eq!(warning("https://example.com:8443"), Some("a host name of two"));
        assert_eq!(warning("https://a.b.c.d.e.f"), Some("a host name of six or more"));
    }

    #[test]
    fn trusted_proxies_are_addresses_and_networks() {
        let with = |text: &str| load(&format!("{DATABASE}[server]\ntrusted_proxies = '{text}'\n"));
        assert_eq!(with("").unwrap().server.trusted_proxies, []);
        let proxies = with("10.0.0.7, 10.1.0.0/16,::1").unwrap().server.trusted_proxies;
        let believes = |address: &str| {
            proxies
                .iter()
                .any(|network| network.contains(&address.parse::<IpAddr>().unwrap()))
        };
        assert!(believes("10.0.0.7") && believes("10.1.255.1") && believes("::1"));
        assert!(!believes("10.0.0.8") && !believes("10.2.0.0") && !believes("::2"));
        assert!(with("proxy.internal").is_err());
    }

    #[test]
    fn plain_http_is_spoken_on_loopback_alone_unless_the_switch_says_who_ends_tls() {
        let permit = |tls: &str, listen: &str| {
            let settings = load(&format!("{DATABASE}[tls]\n{tls}\n")).unwrap();
            settings.tls.permit(listen.parse().unwrap())
        };
        for loopback in ["127.0.0.1:80", "127.9.9.9:80", "[::1]:80", "[::ffff:127.0.0.1]:80"] {
            assert!(permit("", loopback).is_ok(), "{loopback}");
        }
        let pair = "certificate_file = 'a'\nprivate_key_file = 'b'";
        for beyond in ["0.0.0.0:80", "[::]:80", "10.0.0.7:80", "[::ffff:10.0.0.7]:80"] {
            let refused = permit("", beyond).err().unwrap().to_string();
            for way_out in ["tls.certificate_file", "127.0.0.1", "tls.terminated_by_proxy"] {
                assert!(refused.contains(way_out), "{refused}");
            }
            assert!(permit("terminated_by_proxy = true", beyond).is_ok(), "{beyond}");
            assert!(permit(pair, beyond).is_ok(), "{beyond}");
        }
    }

    #[test]
    fn of_the_files_of_tls_none_is_given_without_those_that_it_needs() {
        for (alone, missing) in [
            ("certificate_file", "tls.private_key_file"),
            ("private_key_file", "tls.certificate_file"),
            ("client_ca_file", "tls.certificate_file"),
        ] {
            let refused = load(&format!("{DATABASE}[tls]\n{alone} = 'a'\n")).err().unwrap();
            assert!(refused.to_string().contains(missing), "{refused}");
        }
    }

    #[test]
    fn rate_limits_have_one_switch() {
        assert!(load(DATABASE).unwrap().rate_limit.is_some());
        assert!(
            load(&format!("{DATABASE}[rate_limit]\nenabled = false\n"))
                .unwrap()
                .rate_limit
                .is_none()
        );
    }

    #[test]
    fn traces_are_off_until_they_have_somewhere_to_go() {
        assert!(load(DATABASE).unwrap().trace.is_none());
        let with = |text: &str| load(&format!("{DATABASE}[trace]\n{text}\n"));
        let on = with("otlp_endpoint = 'http://collector:4318/'\nsample_ratio = 0.25").unwrap();
        let on = on.trace.unwrap();
        assert_eq!(on.otlp_endpoint, "http://collector:4318");
        assert!((on.sample_ratio - 0.25).abs() < f64::EPSILON);
        for wrong in ["http://canary:1/v1/traces", "canary:1", "http://canary@x"] {
            let refused = with(&format!("otlp_endpoint = '{wrong}'")).err().unwrap().to_string();
            assert!(
                refused.contains("trace.otlp_endpoint") && !refused.contains("canary"),
                "{refused}"
            );
        }
        for wrong in ["-0.1", "1.1", "nan"] {
            let refused = with(&format!("sample_ratio = {wrong}")).err().unwrap().to_string();
            assert!(refused.contains("trace.sample_ratio"), "{refused}");
        }
    }

    #[test]
    fn audit_events_go_to_the_log_alone_until_a_file_or_a_collector_is_named() {
        let with = |text: &str| load(&format!("{DATABASE}[audit]\n{text}\n"));
        let alone = load(DATABASE).unwrap().audit;
        assert!(alone.log && alone.file.is_none() && alone.otlp_endpoint.is_none());
        let all = "file = '/logs/audit.jsonl'\nfile_rotation = 'hourly'\nfile_keep = 3\notlp_endpoint = 'http://c:1/'";
        let all = with(all).unwrap().audit;
        let expected = AuditFile {
            directory: "/logs".into(),
            name: "audit.jsonl".to_owned(),
            rotation: FileRotation::Hourly,
            keep: 3,
        };
        assert_eq!(
            (all.file, all.otlp_endpoint.as_deref()),
            (Some(expected), Some("http://c:1"))
        );
        for (wrong, key) in [
            ("file = 'canary'", "audit.file"),
            ("file = '/canary/'", "audit.file"),
            ("file_rotation = 'canary'", "audit.file_rotation"),
            ("otlp_endpoint = 'canary:1'", "audit.otlp_endpoint"),
        ] {
            let refused = with(wrong).err().unwrap().to_string();
            assert!(refused.contains(key) && !refused.contains("canary"), "{refused}");
        }
    }

    #[test]
    fn a_public_url_is_an_origin() {
        let with = |url: &str| load(&format!("{DATABASE}[server]\npublic_url = '{url}'\n"));
        assert_eq!(
            with("https://vault.example.com/").unwrap().server.public_url.as_deref(),
            Some("https://vault.example.com")
        );
        for wrong in [
            "vault.example.com",
            "https://",
            "https://a/b",
            "https://a?b",
            "https://user@a",
            "ftp://a",
            "https://a:b:c",
            "https://:8080",
            "https://a:99999",
            "https://exa\"mple",
        ] {
            assert!(with(wrong).is_err(), "{wrong}");
        }
    }
}
