//! `[server]`: the HTTP listener.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;

use super::error::ConfigError;
use super::rules::{at_least_one, invalid, networks, or_cores, origin};

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
    /// Connections of callers at once, at most.
    pub max_connections: usize,
    /// Those of one address, unless it is a trusted proxy.
    pub max_connections_per_address: usize,
    /// How long a connection may rest between two requests.
    pub keep_alive: Duration,
    /// How long to go on as before after a stop signal, while readiness says that this is the end.
    pub drain_time: Duration,
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

/// The section as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawServer {
    listen: String,
    public_url: String,
    trusted_proxies: String,
    workers: usize,
    max_connections: usize,
    max_connections_per_address: usize,
    keep_alive_seconds: u64,
    drain_seconds: u64,
    shutdown_timeout_seconds: u64,
}

impl RawServer {
    pub(super) fn effective(&self) -> Vec<(&'static str, String)> {
        vec![
            ("server.listen", self.listen.clone()),
            ("server.public_url", self.public_url.clone()),
            ("server.trusted_proxies", self.trusted_proxies.clone()),
            ("server.workers", self.workers.to_string()),
            ("server.max_connections", self.max_connections.to_string()),
            (
                "server.max_connections_per_address",
                self.max_connections_per_address.to_string(),
            ),
            ("server.keep_alive_seconds", self.keep_alive_seconds.to_string()),
            ("server.drain_seconds", self.drain_seconds.to_string()),
            (
                "server.shutdown_timeout_seconds",
                self.shutdown_timeout_seconds.to_string(),
            ),
        ]
    }

    pub(super) fn check(&self) -> Result<ServerSettings, ConfigError> {
        at_least_one("server.keep_alive_seconds", self.keep_alive_seconds)?;
        for (key, count) in [
            ("server.max_connections", self.max_connections),
            ("server.max_connections_per_address", self.max_connections_per_address),
        ] {
            if count == 0 {
                return Err(invalid(key, "give at least 1"));
            }
        }
        Ok(ServerSettings {
            listen: self
                .listen
                .parse()
                .map_err(|_| invalid("server.listen", "give an IP address and a port, such as 127.0.0.1:8080"))?,
            public_url: origin("server.public_url", &self.public_url)?,
            trusted_proxies: networks("server.trusted_proxies", &self.trusted_proxies)?,
            workers: or_cores(self.workers),
            max_connections: self.max_connections,
            max_connections_per_address: self.max_connections_per_address,
            keep_alive: Duration::from_secs(self.keep_alive_seconds),
            drain_time: Duration::from_secs(self.drain_seconds),
            shutdown_timeout: Duration::from_secs(self.shutdown_timeout_seconds),
        })
    }
}
