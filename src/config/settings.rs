//! The settings as the rest of the vault uses them: typed, one struct per concern. How they come to be is in `check`.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use pushvault_crypto::Argon2Cost;
use secrecy::SecretString;

/// All settings.
#[derive(Clone)]
pub struct Settings {
    /// The HTTP listener.
    pub server: ServerSettings,
    /// Postgres.
    pub database: DatabaseSettings,
    /// The root key.
    pub kek: KekSettings,
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
    pub(super) effective: Vec<(&'static str, String)>,
}

/// The HTTP listener.
#[derive(Clone)]
pub struct ServerSettings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The origin that callers use, without a slash at its end; from the `Host` header when not set.
    pub public_url: Option<String>,
    /// Whose word on forwarded addresses, schemes and hosts is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// Threads that serve HTTP.
    pub workers: usize,
    /// How long a connection may rest between two requests.
    pub keep_alive: Duration,
    /// How long requests under way may take to finish at the end.
    pub shutdown_timeout: Duration,
}

impl ServerSettings {
    /// Why some official SDKs cannot use the public URL: they take a host name apart and put it together again as
    /// `product.edge.region.twilio.com`. The Node and Java SDKs double a name of two labels; they and the Go SDK drop
    /// labels of a name of six or more.
    pub fn public_url_warning(&self) -> Option<&'static str> {
        let host = self.public_url.as_deref()?.split_once("://")?.1;
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        if host.starts_with('[') || name.parse::<IpAddr>().is_ok() {
            return None;
        }
        match name.split('.').count() {
            2 => Some("a host name of two labels is doubled by Twilio's Node and Java SDKs: use one, or three to five"),
            0..=5 => None,
            _ => Some(
                "a host name of six or more labels is cut by Twilio's Node, Go and Java SDKs: use one, or three to five",
            ),
        }
    }
}

/// Postgres.
#[derive(Clone)]
pub struct DatabaseSettings {
    /// Where, as whom, with which password.
    pub url: SecretString,
    /// Connections of this process, at most.
    pub max_connections: u32,
    /// How long to wait for one.
    pub acquire_timeout: Duration,
    /// How long one statement may run.
    pub statement_timeout: Duration,
}

/// Where the root key comes from.
#[derive(Clone)]
pub enum KekSettings {
    /// Nowhere: enough for `migrate`, not for anything that touches a secret.
    Unset,
    /// A file of 32 bytes.
    File(PathBuf),
    /// Derived from a passphrase.
    Passphrase {
        /// The passphrase.
        passphrase: SecretString,
        /// What Argon2id costs when the passphrase is first used.
        cost: Argon2Cost,
    },
}

/// Tokens and their verification.
#[derive(Clone)]
pub struct AuthenticationSettings {
    /// What Argon2id costs for new hashes.
    pub argon2: Argon2Cost,
    /// Argon2 runs at the same time.
    pub argon2_concurrency: usize,
    /// How long a successful verification is remembered.
    pub memo_time: Duration,
    /// How many are.
    pub memo_entries: u64,
}

/// Bounds on requests and caches.
#[derive(Clone)]
pub struct LimitSettings {
    /// The largest request body.
    pub body_bytes: usize,
    /// The largest head of a request: target, names and values of headers.
    pub head_bytes: usize,
    /// The most parameters in a query or a body.
    pub parameters: usize,
    /// How long a client may take to send the head of a request.
    pub head_time: Duration,
    /// How long it may take to send the body.
    pub body_time: Duration,
    /// How long it may take nothing of an answer.
    pub stall_time: Duration,
    /// How long the vault may take over one request.
    pub request_time: Duration,
    /// How long an unwrapped account key stays in memory.
    pub account_key_time: Duration,
    /// How many do.
    pub account_key_entries: u64,
}

/// How much one caller may ask for.
#[derive(Clone)]
pub struct RateLimitSettings {
    /// Requests of one account.
    pub account: Rate,
    /// Requests of one address.
    pub address: Rate,
    /// Failed authentications of one address in a minute.
    pub failed_authentications_per_minute: NonZeroU32,
}

/// A rate, and what may come at once after a rest.
#[derive(Clone, Copy)]
pub struct Rate {
    /// In each second.
    pub per_second: NonZeroU32,
    /// At once.
    pub burst: NonZeroU32,
}

/// What happens to a credential that cannot work, although each of its values is well formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValidationMode {
    /// It is stored, as Twilio does, and a finding is logged.
    Lenient,
    /// It is refused.
    Strict,
}

/// Logging.
#[derive(Clone)]
pub struct LogSettings {
    /// `EnvFilter` directives.
    pub filter: String,
    /// For machines or for people.
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text for people.
    Text,
}

impl Settings {
    /// Every key with its value, for people; secrets show only whether they are set.
    pub fn effective(&self) -> &[(&'static str, String)] {
        &self.effective
    }
}
