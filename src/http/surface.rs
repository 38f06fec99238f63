//! The surfaces: Twilio's products under which the same credentials and events are seen, and one of our own; and how a
//! request says which of them it means.

/// A resource of one version of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Surface {
    /// The product: the first label of its host at Twilio, and what stands before the version in a path here.
    pub(super) product: &'static str,
    pub(super) version: &'static str,
    pub(super) collection: Collection,
    /// A page holds no more rows than this.
    pub(super) max_page_size: u32,
}

/// What a surface shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Collection {
    Credentials,
    /// Audit events in the shape of Twilio's Monitor.
    Events,
    /// Audit events in a shape of our own.
    AuditEvents,
}

pub(super) const CHAT_V2: Surface = Surface::new("chat", "v2", Collection::Credentials, 1000);
const NOTIFY_V1: Surface = Surface::new("notify", "v1", Collection::Credentials, 1000);
const MONITOR_V1: Surface = Surface::new("monitor", "v1", Collection::Events, 1000);

/// Every surface of Twilio's.
pub(super) static SURFACES: [Surface; 7] = [
    CHAT_V2,
    Surface::new("chat", "v1", Collection::Credentials, 1000),
    Surface::new("ip-messaging", "v2", Collection::Credentials, 1000),
    Surface::new("ip-messaging", "v1", Collection::Credentials, 1000),
    NOTIFY_V1,
    Surface::new("conversations", "v1", Collection::Credentials, 100),
    MONITOR_V1,
];

/// Ours. It has no host: many a vault's name begins with that label.
pub(super) static VAULT_V1: Surface = Surface::new("vault", "v1", Collection::AuditEvents, 1000);

/// The paths without a product, as Twilio's own hosts have them, and the surface that each is on where the host names no
/// product either.
pub(super) static BARE_PATHS: [Surface; 3] = [CHAT_V2, NOTIFY_V1, MONITOR_V1];

impl Collection {
    /// As it stands in a path.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Credentials => "Credentials",
            Self::Events => "Events",
            Self::AuditEvents => "AuditEvents",
        }
    }
}

impl Surface {
    const fn new(product: &'static str, version: &'static str, collection: Collection, max_page_size: u32) -> Self {
        Self {
            product,
            version,
            collection,
            max_page_size,
        }
    }

    /// The path of the list where the host names the product.
    pub(super) fn bare_path(&self) -> String {
        format!("/{}/{}", self.version, self.collection.as_str())
    }

    /// The path of the list on any host.
    pub(super) fn path(&self) -> String {
        format!("/{}{}", self.product, self.bare_path())
    }
}

/// The product that the first label of a host names: Notify in `notify.dublin.ie1.twilio.com`.
pub(super) fn product_of_host(host: &str) -> Option<&'static str> {
    let label = host.split(['.', ':']).next().unwrap_or_default();
    SURFACES
        .iter()
        .map(|surface| surface.product)
        .find(|product| product.eq_ignore_ascii_case(label))
}

/// The surface of a bare path on a host that names this product; none where the product does not have that path.
pub(super) fn on_bare_path(product: Option<&str>, default: &'static Surface) -> Option<&'static Surface> {
    match product {
        None => Some(default),
        Some(product) => SURFACES
            .iter()
            .find(|surface| surface.product == product && surface.bare_path() == default.bare_path()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_label_of_a_host_names_the_product_decision_26() {
        for (host, product) in [
            ("chat.twilio.com", "chat"),
            ("notify.dublin.ie1.twilio.com", "notify"),
            ("CONVERSATIONS.vault.internal:8443", "conversations"),
            ("ip-messaging", "ip-messaging"),
            ("chat:8080", "chat"),
            ("monitor.twilio.com", "monitor"),
        ] {
            assert_eq!(product_of_host(host), Some(product), "{host}");
        }
        for host in [
            "",
            "127.0.0.1:8080",
            "[::1]:8080",
            "vault.chat.internal",
            "vault.internal",
            "chats.example.com",
        ] {
            assert_eq!(product_of_host(host), None, "{host}");
        }
    }

    #[test]
    fn a_bare_path_is_on_the_product_of_the_host_decision_26() {
        let on = |host: &str, default: &'static Surface| on_bare_path(product_of_host(host), default);
        assert_eq!(on("localhost", &BARE_PATHS[0]), Some(&CHAT_V2));
        assert_eq!(on("localhost", &BARE_PATHS[1]), Some(&NOTIFY_V1));
        assert_eq!(
            on("chat.x.y", &BARE_PATHS[1]).map(Surface::path).as_deref(),
            Some("/chat/v1/Credentials")
        );
        assert_eq!(
            on("conversations.x.y", &BARE_PATHS[1]).map(|surface| surface.max_page_size),
            Some(100)
        );
        assert_eq!(on("notify.x.y", &BARE_PATHS[0]), None);
        assert_eq!(on("localhost", &BARE_PATHS[2]), Some(&MONITOR_V1));
        assert_eq!(on("monitor.x.y", &BARE_PATHS[2]), Some(&MONITOR_V1));
        assert_eq!(on("monitor.x.y", &BARE_PATHS[1]), None);
        assert_eq!(on("chat.x.y", &BARE_PATHS[2]), None);
    }
}
