//! What is known of a request before anyone looks at its body.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;

use actix_web::http::header::{HeaderMap, HeaderName, USER_AGENT};

use super::forwarded::{Ends, Host};
use super::surface;
use crate::domain::audit::{Actor, RequestContext};
use crate::domain::principal::Principal;
use crate::domain::sid::{AccountSid, RequestSid};

const USER_AGENT_CHARACTERS: usize = 256;

/// The SID of the request, where it came from, what its headers say, and who turned out to be asking.
///
/// The headers are here and not where the framework has them: there they would lie in a pool, tokens too, until another
/// request takes their place.
#[derive(Clone)]
pub(super) struct RequestMeta {
    pub(super) request_sid: RequestSid,
    ends: Rc<Ends>,
    headers: Rc<HeaderMap>,
    caller: Rc<RefCell<Caller>>,
    limit: Rc<Cell<Option<&'static str>>>,
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
    pub(super) fn new(request_sid: RequestSid, ends: Ends, headers: HeaderMap) -> Self {
        Self {
            request_sid,
            ends: Rc::new(ends),
            headers: Rc::new(headers),
            caller: Rc::new(RefCell::new(Caller::Unknown(None))),
            limit: Rc::default(),
        }
    }

    pub(super) fn set_caller(&self, caller: Caller) {
        *self.caller.borrow_mut() = caller;
    }

    /// Notes which limit the request ran into.
    pub(super) fn set_limit(&self, limit: &'static str) {
        self.limit.set(Some(limit));
    }

    pub(super) fn limit(&self) -> Option<&'static str> {
        self.limit.get()
    }

    pub(super) fn account_sid(&self) -> Option<AccountSid> {
        match &*self.caller.borrow() {
            Caller::Unknown(claimed) => claimed.clone(),
            Caller::Known(principal) => Some(principal.account_sid().clone()),
        }
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The address that the request came from.
    pub(super) fn source_address(&self) -> Option<IpAddr> {
        self.ends.source
    }

    /// How the client asked: `http` or `https`.
    pub(super) fn scheme(&self) -> &'static str {
        self.ends.scheme
    }

    /// The product that the host names.
    pub(super) fn host_product(&self) -> Option<&'static str> {
        match &self.ends.host {
            Host::Said(host) => surface::product_of_host(host),
            Host::Unsaid | Host::Unusable => None,
        }
    }

    /// Whether the request names a host that is none.
    pub(super) fn has_unusable_host(&self) -> bool {
        self.ends.host == Host::Unusable
    }

    /// The origin that the caller used, as far as the request tells it.
    pub(super) fn origin(&self) -> Option<String> {
        match &self.ends.host {
            Host::Said(host) => Some(format!("{}://{host}", self.ends.scheme)),
            Host::Unsaid | Host::Unusable => None,
        }
    }

    /// What a mutation by this request is recorded with.
    pub(super) fn context(&self) -> RequestContext {
        RequestContext {
            actor: match &*self.caller.borrow() {
                Caller::Unknown(_) => Actor::Anonymous,
                Caller::Known(principal) => Actor::from(principal),
            },
            request_sid: Some(self.request_sid.clone()),
            source_address: self.source_address(),
            user_agent: self
                .header(&USER_AGENT)
                .map(|text| text.chars().take(USER_AGENT_CHARACTERS).collect()),
            traceparent: self.traceparent().map(str::to_owned),
        }
    }

    /// The trace that the caller says the request belongs to.
    pub(super) fn traceparent(&self) -> Option<&str> {
        self.header(&HeaderName::from_static("traceparent"))
            .filter(|text| is_traceparent(text))
    }

    fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
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
}
