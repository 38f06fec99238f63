//! Where a request came from and where it was sent to, through proxies: what they say of it is taken from those alone that
//! the settings trust.

use std::net::{IpAddr, SocketAddr};

use actix_web::dev::RequestHead;
use actix_web::http::header::{HOST, HeaderMap, HeaderName};
use ipnet::IpNet;
use url::Url;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The schemes that a proxy may say.
const SCHEMES: [&str; 2] = ["http", "https"];

/// The two ends of a request as the client has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ends {
    /// The client's address.
    pub(super) source: Option<IpAddr>,
    /// `http` or `https`.
    pub(super) scheme: &'static str,
    /// The host and port that the client asked.
    pub(super) host: Host,
    /// Whether somebody who is not trusted said otherwise: an attempt, or a proxy that the settings forgot.
    pub(super) has_disbelieved: bool,
}

/// What a request says of the host that it asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    /// Nothing, as HTTP/1.0 may.
    Unsaid,
    /// This host and port.
    Said(String),
    /// Something that is no host and port, and is repeated to nobody.
    Unusable,
}

impl Host {
    /// The host in the target, or else in the header. There is one header at most, and it is no list (RFC 9112, section
    /// 3.2): one that is wrong makes the request wrong, whatever the target says.
    fn of(head: &RequestHead) -> Self {
        let mut values = head.headers.get_all(HOST);
        let header = match (values.next(), values.next()) {
            (None, _) => Self::Unsaid,
            (Some(value), None) => value.to_str().map_or(Self::Unusable, |host| Self::parse(host.trim())),
            (Some(_), Some(_)) => Self::Unusable,
        };
        match head.uri.authority() {
            Some(authority) if header != Self::Unusable => Self::parse(authority.as_str()),
            _ => header,
        }
    }

    /// SDKs send credentials to where this points: it must be a name or an address (RFC 3986, section 3.2) and nothing
    /// that could begin a path or a user name.
    fn parse(text: &str) -> Self {
        let is_of_a_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        let parses = || Url::parse(&format!("http://{text}/")).is_ok_and(|url| url.path() == "/");
        if text.bytes().all(is_of_a_host) && !text.ends_with(':') && parses() {
            Self::Said(text.to_owned())
        } else {
            Self::Unusable
        }
    }
}

impl Ends {
    /// What is known of a request on a connection of that scheme.
    pub(super) fn of(head: &RequestHead, scheme: &'static str, trusted: &[IpNet]) -> Self {
        let peer = head.peer_addr.map(|address| address.ip().to_canonical());
        let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
        let headers = &head.headers;
        let mut ends = Self {
            source: peer,
            scheme,
            host: Host::of(head),
            has_disbelieved: false,
        };
        if !peer.is_some_and(is_trusted) {
            ends.has_disbelieved = [FORWARDED_FOR, FORWARDED_PROTO, FORWARDED_HOST]
                .iter()
                .any(|name| headers.contains_key(name));
            return ends;
        }
        // Each proxy adds at the end the address that it was called from; before the first trusted one stands what a
        // client may have made up.
        for address in forwarded_for(headers).into_iter().rev() {
            ends.source = Some(address);
            if !is_trusted(address) {
                break;
            }
        }
        if let Some(said) = last(headers, &FORWARDED_PROTO) {
            let known = SCHEMES.into_iter().find(|scheme| said.eq_ignore_ascii_case(scheme));
            ends.scheme = known.unwrap_or(scheme);
        }
        if let Some(host) = last(headers, &FORWARDED_HOST) {
            ends.host = Host::parse(&host);
        }
        ends
    }
}

/// The addresses of `X-Forwarded-For`, from the end as far as they can be read, in their order.
fn forwarded_for(headers: &HeaderMap) -> Vec<IpAddr> {
    let mut addresses: Vec<_> = headers
        .get_all(FORWARDED_FOR)
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .map(|text| address(text.trim()))
        .collect();
    let readable = addresses.iter().rev().take_while(|address| address.is_some()).count();
    addresses
        .split_off(addresses.len() - readable)
        .into_iter()
        .flatten()
        .collect()
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    text.parse()
        .or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()))
        .or_else(|_| text.trim_start_matches('[').trim_end_matches(']').parse())
        .ok()
        .map(|address: IpAddr| address.to_canonical())
}

/// The last value of a header that may be a list: what the nearest proxy said.
fn last(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    // What is no text is no host either.
    let value = headers.get_all(name).last()?.to_str().unwrap_or("?");
    value.rsplit(',').next().map(|value| value.trim().to_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn ends(peer: &str, headers: &[(&'static str, &'static str)]) -> Ends {
        ends_of("http", peer, headers)
    }

    fn ends_of(scheme: &'static str, peer: &str, headers: &[(&'static str, &'static str)]) -> Ends {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        let mut request = TestRequest::default().peer_addr(SocketAddr::new(peer.parse().unwrap(), 1));
        for header in headers {
            request = request.append_header(*header);
        }
        Ends::of(request.to_srv_request().head(), scheme, &trusted)
    }

    fn source(peer: &str, forwarded_for: &'static str) -> String {
        let ends = ends(peer, &[("x-forwarded-for", forwarded_for)]);
        ends.source.unwrap().to_string()
    }

    #[test]
    fn a_stranger_is_not_believed_decision_27() {
        let seen = ends(
            "192.0.2.1",
            &[
                ("host", "vault.internal:8080"),
                ("x-forwarded-for", "198.51.100.1"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "evil.example.com"),
            ],
        );
        let expected = Ends {
            source: Some("192.0.2.1".parse().unwrap()),
            scheme: "http",
            host: Host::Said("vault.internal:8080".to_owned()),
            has_disbelieved: true,
        };
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_trusted_proxy_is_believed_decision_27() {
        let seen = ends(
            "10.0.0.7",
            &[
                ("host", "pushvault:8080"),
                ("x-forwarded-for", "198.51.100.1"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "chat.vault.example.com"),
            ],
        );
        let expected = Ends {
            source: Some("198.51.100.1".parse().unwrap()),
            scheme: "https",
            host: Host::Said("chat.vault.example.com".to_owned()),
            has_disbelieved: false,
        };
        assert_eq!(seen, expected);
    }

    #[test]
    fn the_scheme_is_the_connections_unless_a_trusted_proxy_says_another_decision_27() {
        let said = |scheme, peer: &str, proto| ends_of(scheme, peer, &[("x-forwarded-proto", proto)]).scheme;
        assert_eq!(ends_of("https", "10.0.0.7", &[]).scheme, "https");
        assert_eq!(said("https", "10.0.0.7", "HTTP"), "http");
        assert_eq!(said("http", "10.0.0.7", "HTTPS"), "https");
        assert_eq!(said("https", "10.0.0.7", "gopher"), "https");
        assert_eq!(said("https", "192.0.2.1", "http"), "https");
    }

    #[test]
    fn the_source_is_the_last_address_that_no_trusted_proxy_has() {
        assert_eq!(
            source("10.0.0.7", "203.0.113.9, 198.51.100.1, 10.1.1.1"),
            "198.51.100.1"
        );
        assert_eq!(source("10.0.0.7", "10.2.2.2, 10.1.1.1"), "10.2.2.2");
        assert_eq!(source("10.0.0.7", "made up, 198.51.100.1"), "198.51.100.1");
        assert_eq!(source("10.0.0.7", "198.51.100.1, made up"), "10.0.0.7");
        assert_eq!(source("::1", "[2001:db8::1]:4711"), "2001:db8::1");
        assert_eq!(source("::1", "198.51.100.1:4711"), "198.51.100.1");
        assert_eq!(source("::ffff:10.0.0.7", "198.51.100.1"), "198.51.100.1");
    }

    #[test]
    fn a_host_is_said_once_and_is_no_list() {
        let host = |headers: &[(&'static str, &'static str)]| ends("192.0.2.1", headers).host;
        assert_eq!(host(&[("host", "a")]), Host::Said("a".to_owned()));
        assert_eq!(host(&[]), Host::Unsaid);
        assert_eq!(host(&[("host", "a, b")]), Host::Unusable);
        assert_eq!(host(&[("host", "a,b")]), Host::Unusable);
        assert_eq!(host(&[("host", "a"), ("host", "b")]), Host::Unusable);
        let absolute = |header: &'static str| {
            let request = TestRequest::with_uri("http://a/").append_header(("host", header));
            Host::of(request.to_srv_request().head())
        };
        assert_eq!(absolute("b"), Host::Said("a".to_owned()));
        assert_eq!(absolute("b, c"), Host::Unusable);
    }

    #[test]
    fn a_host_that_could_lead_elsewhere_is_not_believed() {
        for host in [
            "127.0.0.1:8080",
            "[::1]:8080",
            "vault.internal.example.com",
            "push_vault",
            "pushvault:8080",
        ] {
            assert_eq!(Host::parse(host), Host::Said(host.to_owned()));
        }
        for wrong in [
            "",
            "a/b",
            "user@host",
            "host?x",
            "a b",
            "a:b:c]",
            "host:",
            "host:99999",
            ":8080",
            "[::1",
            "é",
        ] {
            assert_eq!(Host::parse(wrong), Host::Unusable, "{wrong}");
        }
    }
}
