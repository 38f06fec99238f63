//! What a route is made of: the surface it is on, the operations it has. The tables of them are in `routes`.

use actix_web::Route;
use actix_web::http::Method;

use crate::domain::audit::Action;

/// One of Twilio's products under which the same credentials are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Surface {
    /// What stands before the version in the path.
    prefix: &'static str,
    version: &'static str,
    /// A page holds no more rows than this.
    pub(super) max_page_size: u32,
}

impl Surface {
    pub(super) const fn new(prefix: &'static str, version: &'static str, max_page_size: u32) -> Self {
        Self {
            prefix,
            version,
            max_page_size,
        }
    }

    /// The path of the list of credentials.
    pub(super) fn list_path(&self) -> String {
        format!("{}/{}/Credentials", self.prefix, self.version)
    }
}

/// One method of a resource.
pub(super) struct Operation {
    pub(super) method: Method,
    /// What a mutation is called in the audit trail; none for a read.
    pub(super) action: Option<Action>,
    pub(super) route: fn() -> Route,
}

/// What the matched resource is: handlers and the edge ask it.
#[derive(Clone, Copy)]
pub(super) struct Matched {
    /// The surface; none for the service's own paths.
    pub(super) surface: Option<&'static Surface>,
    pub(super) operations: &'static [Operation],
}

impl Matched {
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
