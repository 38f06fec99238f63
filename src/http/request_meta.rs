//! What is known of a request before anyone looks at its body.

use std::cell::RefCell;
use std::rc::Rc;

use actix_web::HttpRequest;
use actix_web::http::header::{HOST, HeaderName, USER_AGENT};

use crate::domain::audit::{Actor, RequestContext};
use crate::domain::principal::Principal;
use crate::domain::sid::{AccountSid, RequestSid};

const USER_AGENT_CHARACTERS: usize = 256;

/// The SID of the request, and who turned out to be asking.
#[derive(Clone)]
pub(super) struct RequestMeta {
    pub(super) request_sid: RequestSid,
    caller: Rc<RefCell<Caller>>,
}

/// Who is asking, as far as it is known.
#[derive(Clone)]
pub(super) enum Caller {
    /// Nothing is known yet, or nothing could be proved; the account that was claimed, when it exists.
    Unknown(Option<AccountSid>),
    /// Proved.
    Known(Principal),
}

impl RequestMeta {
    pub(super) fn new(request_sid: RequestSid) -> Self {
        Self {
            request_sid,
            caller: Rc::new(RefCell::new(Caller::Unknown(None))),
        }
    }

    pub(super) fn set_caller(&self, caller: Caller) {
        *self.caller.borrow_mut() = caller;
    }

    pub(super) fn account_sid(&self) -> Option<AccountSid> {
        match &*self.caller.borrow() {
            Caller::Unknown(claimed) => claimed.clone(),
            Caller::Known(principal) => Some(principal.account_sid().clone()),
        }
    }

    /// What a mutation by this request is recorded with.
    pub(super) fn context(&self, request: &HttpRequest) -> RequestContext {
        RequestContext {
            actor: match &*self.caller.borrow() {
                Caller::Unknown(_) => Actor::Anonymous,
                Caller::Known(principal) => Actor::from(principal),
            },
            request_sid: Some(self.request_sid.clone()),
            source_address: request.peer_addr().map(|address| address.ip()),
            user_agent: header(request, &USER_AGENT).map(|text| text.chars().take(USER_AGENT_CHARACTERS).collect()),
            traceparent: header(request, &HeaderName::from_static("traceparent"))
                .filter(|text| is_traceparent(text))
                .map(str::to_owned),
        }
    }
}

/// The origin that the caller used: the configured one, else what the request's `Host` says.
pub(super) fn origin(request: &HttpRequest, public_url: Option<&str>) -> String {
    if let Some(url) = public_url {
        return url.to_owned();
    }
    let host = header(request, &HOST).filter(|host| is_host(host));
    match host {
        Some(host) => format!("http://{host}"),
        None => format!("http://{}", request.app_config().local_addr()),
    }
}

fn header<'a>(request: &'a HttpRequest, name: &HeaderName) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

/// RFC 3986 host and port, without anything that could begin a path or a user name: SDKs send credentials to where this
/// points.
fn is_host(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte))
}

/// W3C Trace Context, version 00: `00-<32 hex>-<16 hex>-<2 hex>`.
fn is_traceparent(text: &str) -> bool {
    let lengths = [2, 32, 16, 2];
    let parts: Vec<_> = text.split('-').collect();
    parts.len() == lengths.len()
        && parts.iter().zip(lengths).all(|(part, length)| {
            part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_well_formed_traceparents_are_kept() {
        assert!(is_traceparent(
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        ));
        for wrong in ["", "00-xyz", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"] {
            assert!(!is_traceparent(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_host_that_could_lead_elsewhere_is_not_believed() {
        assert!(is_host("127.0.0.1:8080") && is_host("[::1]:8080") && is_host("vault.internal.example.com"));
        for wrong in ["", "a/b", "user@host", "host?x", "a b"] {
            assert!(!is_host(wrong), "{wrong}");
        }
    }
}
