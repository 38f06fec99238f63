//! `[admin]`: the listener for those who run the service.

use std::net::SocketAddr;

use serde::Deserialize;

use super::error::ConfigError;
use super::rules::invalid;

/// The listener for those who run the service.
#[derive(Clone)]
pub struct AdminSettings {
    /// Where to listen; none when there is to be no such listener.
    pub listen: Option<SocketAddr>,
}

/// The section as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAdmin {
    listen: String,
}

impl RawAdmin {
    pub(super) fn effective(&self) -> Vec<(&'static str, String)> {
        vec![("admin.listen", self.listen.clone())]
    }

    pub(super) fn check(&self) -> Result<AdminSettings, ConfigError> {
        let listen = match self.listen.as_str() {
            "" => None,
            text => Some(
                text.parse()
                    .map_err(|_| invalid("admin.listen", "give an IP address and a port, such as 127.0.0.1:9464"))?,
            ),
        };
        Ok(AdminSettings { listen })
    }
}
