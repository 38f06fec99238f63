//! From the settings as they are written to the settings as they are used: every value checked, in one step, at start.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pushvault_crypto::Argon2Cost;

use super::error::ConfigError;
use super::raw::{
    RawAuthentication, RawDatabase, RawKek, RawLimits, RawLog, RawRateLimit, RawServer, RawSettings, RawValidation,
};
use super::rules::{at_least_one, invalid, networks, or_cores, origin, secret};
use super::settings::{
    AuthenticationSettings, DatabaseSettings, KekSettings, LimitSettings, LogFormat, LogSettings, Rate,
    RateLimitSettings, ServerSettings, Settings, ValidationMode,
};

impl Settings {
    /// Reads and checks the settings.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        Self::load_with(file, &[])
    }

    /// Reads and checks the settings; what the command line says of a key wins over every other source.
    pub fn load_with(file: Option<&Path>, overrides: &[(&str, String)]) -> Result<Self, ConfigError> {
        let raw = RawSettings::read(file, overrides)?;
        Ok(Self {
            effective: raw.effective(),
            server: server(&raw.server)?,
            database: database(raw.database)?,
            kek: kek(raw.kek)?,
            authentication: authentication(&raw.authentication)?,
            limits: limits(&raw.limits)?,
            rate_limit: rate_limit(&raw.rate_limit)?,
            validation: validation(&raw.validation)?,
            log: log(raw.log)?,
        })
    }
}

impl LogSettings {
    /// Reads how to log, for a command that logs before the rest of its settings can be known.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        log(RawSettings::read(file, &[])?.log)
    }
}

fn server(raw: &RawServer) -> Result<ServerSettings, ConfigError> {
    at_least_one("server.keep_alive_seconds", raw.keep_alive_seconds)?;
    Ok(ServerSettings {
        listen: raw
            .listen
            .parse()
            .map_err(|_| invalid("server.listen", "give an IP address and a port, such as 127.0.0.1:8080"))?,
        public_url: origin("server.public_url", &raw.public_url)?,
        trusted_proxies: networks("server.trusted_proxies", &raw.trusted_proxies)?,
        workers: or_cores(raw.workers),
        keep_alive: Duration::from_secs(raw.keep_alive_seconds),
        shutdown_timeout: Duration::from_secs(raw.shutdown_timeout_seconds),
    })
}

fn database(raw: RawDatabase) -> Result<DatabaseSettings, ConfigError> {
    let url = secret("database.url_file", raw.url, &raw.url_file)?.ok_or_else(|| {
        invalid(
            "database.url",
            "say where Postgres is: set PUSHVAULT__DATABASE__URL_FILE or PUSHVAULT__DATABASE__URL \
             (or run `pushvault dev`, which brings its own)",
        )
    })?;
    at_least_one("database.max_connections", raw.max_connections)?;
    at_least_one("database.acquire_timeout_seconds", raw.acquire_timeout_seconds)?;
    at_least_one("database.statement_timeout_seconds", raw.statement_timeout_seconds)?;
    Ok(DatabaseSettings {
        url,
        max_connections: raw.max_connections,
        acquire_timeout: Duration::from_secs(raw.acquire_timeout_seconds),
        statement_timeout: Duration::from_secs(raw.statement_timeout_seconds),
    })
}

fn kek(raw: RawKek) -> Result<KekSettings, ConfigError> {
    at_least_one("kek.passphrase_memory_kib", raw.passphrase_memory_kib)?;
    at_least_one("kek.passphrase_iterations", raw.passphrase_iterations)?;
    at_least_one("kek.passphrase_parallelism", raw.passphrase_parallelism)?;
    match raw.provider.as_str() {
        "file" if raw.file.is_empty() => Ok(KekSettings::Unset),
        "file" => Ok(KekSettings::File(PathBuf::from(raw.file))),
        "passphrase" => match secret("kek.passphrase_file", raw.passphrase, &raw.passphrase_file)? {
            None => Ok(KekSettings::Unset),
            Some(passphrase) => Ok(KekSettings::Passphrase {
                passphrase,
                cost: Argon2Cost {
                    memory_kib: raw.passphrase_memory_kib,
                    iterations: raw.passphrase_iterations,
                    parallelism: raw.passphrase_parallelism,
                },
            }),
        },
        _ => Err(invalid("kek.provider", "use file or passphrase")),
    }
}

fn authentication(raw: &RawAuthentication) -> Result<AuthenticationSettings, ConfigError> {
    // RFC 9106 section 3.1: at least one pass, and 8 KiB of memory for each lane.
    at_least_one("authentication.argon2_iterations", raw.argon2_iterations)?;
    at_least_one("authentication.argon2_parallelism", raw.argon2_parallelism)?;
    if raw.argon2_memory_kib > Argon2Cost::MAX_TOKEN_MEMORY_KIB {
        return Err(invalid(
            "authentication.argon2_memory_kib",
            "give at most 262144 (256 MiB)",
        ));
    }
    if raw.argon2_memory_kib / 8 < raw.argon2_parallelism {
        return Err(invalid(
            "authentication.argon2_memory_kib",
            "give at least 8 KiB for each lane",
        ));
    }
    Ok(AuthenticationSettings {
        argon2: Argon2Cost {
            memory_kib: raw.argon2_memory_kib,
            iterations: raw.argon2_iterations,
            parallelism: raw.argon2_parallelism,
        },
        argon2_concurrency: or_cores(raw.argon2_concurrency),
        memo_time: Duration::from_secs(raw.memo_seconds),
        memo_entries: raw.memo_entries,
    })
}

fn limits(raw: &RawLimits) -> Result<LimitSettings, ConfigError> {
    for (key, count) in [
        ("limits.body_bytes", raw.body_bytes),
        ("limits.head_bytes", raw.head_bytes),
        ("limits.parameters", raw.parameters),
    ] {
        if count == 0 {
            return Err(invalid(key, "give at least 1"));
        }
    }
    at_least_one("limits.head_seconds", raw.head_seconds)?;
    at_least_one("limits.body_seconds", raw.body_seconds)?;
    at_least_one("limits.stall_seconds", raw.stall_seconds)?;
    at_least_one("limits.request_seconds", raw.request_seconds)?;
    Ok(LimitSettings {
        body_bytes: raw.body_bytes,
        head_bytes: raw.head_bytes,
        parameters: raw.parameters,
        head_time: Duration::from_secs(raw.head_seconds),
        body_time: Duration::from_secs(raw.body_seconds),
        stall_time: Duration::from_secs(raw.stall_seconds),
        request_time: Duration::from_secs(raw.request_seconds),
        account_key_time: Duration::from_secs(raw.account_key_seconds),
        account_key_entries: raw.account_key_entries,
    })
}

fn rate_limit(raw: &RawRateLimit) -> Result<Option<RateLimitSettings>, ConfigError> {
    let count = |key, value| {
        NonZeroU32::new(value).ok_or_else(|| invalid(key, "give at least 1, or switch off with rate_limit.enabled"))
    };
    let settings = RateLimitSettings {
        account: Rate {
            per_second: count("rate_limit.account_per_second", raw.account_per_second)?,
            burst: count("rate_limit.account_burst", raw.account_burst)?,
        },
        address: Rate {
            per_second: count("rate_limit.address_per_second", raw.address_per_second)?,
            burst: count("rate_limit.address_burst", raw.address_burst)?,
        },
        failed_authentications_per_minute: count(
            "rate_limit.failed_authentications_per_minute",
            raw.failed_authentications_per_minute,
        )?,
    };
    Ok(raw.enabled.then_some(settings))
}

fn validation(raw: &RawValidation) -> Result<ValidationMode, ConfigError> {
    match raw.mode.as_str() {
        "lenient" => Ok(ValidationMode::Lenient),
        "strict" => Ok(ValidationMode::Strict),
        _ => Err(invalid("validation.mode", "use lenient or strict")),
    }
}

fn log(raw: RawLog) -> Result<LogSettings, ConfigError> {
    Ok(LogSettings {
        filter: raw.filter,
        format: match raw.format.as_str() {
            "json" => LogFormat::Json,
            "text" => LogFormat::Text,
            _ => return Err(invalid("log.format", "use json or text")),
        },
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
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
        let shown = format!("{:?}", load(DATABASE).unwrap().effective());
        assert!(shown.contains("[redacted]") && !shown.contains("canary"), "{shown}");
        for broken in [
            "[database]\nurl = 'canary-password\n",
            "[database]\nmax_connections = 'canary-password'\n",
            "[server]\nlisten = 'canary-password'\n",
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
