//! What a route is made of: the place it is at, the operations it has. The tables of them are in `routes`.

use actix_web::Route;
use actix_web::http::Method;

use super::description::Description;
use super::surface::Surface;
use crate::domain::audit::Action;

/// One method of a resource.
pub(super) struct Operation {
    pub(super) method: Method,
    /// What a mutation is called in the audit trail; none for a read.
    pub(super) action: Option<Action>,
    pub(super) route: fn() -> Route,
    /// What the OpenAPI document says of it; none where it says nothing.
    pub(super) description: Option<&'static Description>,
}

/// Where a resource is.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// Where orchestrators look, for anyone.
    Probe,
    /// Where the interface is described, for anyone.
    Document,
    /// Below a product's name in the path.
    Prefixed(&'static Surface),
    /// On a path as Twilio's hosts have it; on this surface where the host names no product.
    Bare(&'static Surface),
}

/// Marks an application whose requests have no spans: what is asked there is no part of anybody's trace.
pub(super) struct Untraced;

/// The path template of the matched resource.
#[derive(Clone, Copy)]
pub(super) struct Template(pub(super) &'static str);

/// What the matched resource is: handlers and the edge ask it.
#[derive(Clone, Copy)]
pub(super) struct Matched {
    pub(super) place: Place,
    pub(super) operations: &'static [Operation],
}

impl Matched {
    pub(super) const fn new(place: Place, operations: &'static [Operation]) -> Self {
        Self { place, operations }
    }

    /// The name of the mutation that a method asks for.
    pub(super) fn action(&self, method: &Method) -> Option<Action> {
        self.operations
            .iter()
            .find(|operation| operation.method == *method)
            .and_then(|operation| operation.action)
    }

    /// The header `Allow`.
    pub(super) fn allow(&self) -> String {
        let mut methods = Vec::new();
        for operation in self.operations {
            methods.push(operation.method.as_str());
            methods.extend((operation.method == Method::GET).then_some("HEAD"));
        }
        methods.push("OPTIONS");
        methods.join(", ")
    }
}

/// The name of a method that HTTP knows: any other is text of the caller's choice.
pub(super) fn known_method(method: &Method) -> Option<&'static str> {
    Some(match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => return None,
    })
}
