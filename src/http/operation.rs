//! What a route is made of: the place it is at, the operations it has. The tables of them are in `routes`.

use actix_web::Route;
use actix_web::http::Method;

use super::description::Description;
use super::surface::Surface;
use crate::domain::audit::Action;
use crate::domain::right::Right;

/// One method of a resource.
pub(super) struct Operation {
    pub(super) method: Method,
    pub(super) access: Access,
    pub(super) route: fn() -> Route,
    /// What the OpenAPI document says of it; none where it says nothing.
    pub(super) description: Option<&'static Description>,
}

impl Operation {
    /// Whether it is what a method asks for. HEAD is GET without its body.
    pub(super) fn is(&self, method: &Method) -> bool {
        self.method == *method || (self.method == Method::GET && *method == Method::HEAD)
    }
}

/// Who may ask for an operation.
#[derive(Clone, Copy)]
pub(super) enum Access {
    Anyone,
    /// Whoever has proved to be an account's, and has the right. The audit trail calls it by the name.
    With(Right, Action),
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

    /// The right that a method asks for, and its name in the audit trail; none where it asks for no right, or where there is
    /// no such method.
    pub(super) fn right(&self, method: &Method) -> Option<(Right, Action)> {
        let operation = self.operations.iter().find(|operation| operation.is(method))?;
        match operation.access {
            Access::Anyone => None,
            Access::With(right, action) => Some((right, action)),
        }
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
