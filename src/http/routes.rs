//! The routes, as a table: surfaces, and the operations that each of them has. Registration, the 405 answer, the audit of
//! refused mutations and the coverage tests all read this one table.

use actix_web::guard::{self, Guard as _};
use actix_web::http::Method;
use actix_web::{Resource, web};

use super::handlers::{credentials, health, other};
use super::operation::{Matched, Operation, Surface};
use crate::domain::audit::Action;

/// Every surface. A bare path is chat for `/v2` and notify for `/v1`.
static SURFACES: [Surface; 8] = [
    Surface::new("", "v2", 1000),
    Surface::new("", "v1", 1000),
    Surface::new("/chat", "v2", 1000),
    Surface::new("/chat", "v1", 1000),
    Surface::new("/ip-messaging", "v2", 1000),
    Surface::new("/ip-messaging", "v1", 1000),
    Surface::new("/notify", "v1", 1000),
    Surface::new("/conversations", "v1", 100),
];

static LIST_OPERATIONS: [Operation; 2] = [
    Operation {
        method: Method::GET,
        action: None,
        route: || web::to(credentials::list),
    },
    Operation {
        method: Method::POST,
        action: Some(Action::CredentialCreate),
        route: || web::to(credentials::create),
    },
];

static INSTANCE_OPERATIONS: [Operation; 3] = [
    Operation {
        method: Method::GET,
        action: None,
        route: || web::to(credentials::fetch),
    },
    Operation {
        method: Method::POST,
        action: Some(Action::CredentialUpdate),
        route: || web::to(credentials::update),
    },
    Operation {
        method: Method::DELETE,
        action: Some(Action::CredentialDelete),
        route: || web::to(credentials::delete),
    },
];

static ALIVE_OPERATIONS: [Operation; 1] = [Operation {
    method: Method::GET,
    action: None,
    route: || web::to(health::alive),
}];

static READY_OPERATIONS: [Operation; 1] = [Operation {
    method: Method::GET,
    action: None,
    route: || web::to(health::ready),
}];

/// The resources: path template, surface, operations.
fn resources() -> impl Iterator<Item = (String, Matched)> {
    let own = [("/healthz", &ALIVE_OPERATIONS), ("/readyz", &READY_OPERATIONS)]
        .into_iter()
        .map(|(path, operations)| {
            let matched = Matched {
                surface: None,
                operations,
            };
            (path.to_owned(), matched)
        });
    let credentials = SURFACES.iter().flat_map(|surface| {
        let list = Matched {
            surface: Some(surface),
            operations: &LIST_OPERATIONS,
        };
        let instance = Matched {
            surface: Some(surface),
            operations: &INSTANCE_OPERATIONS,
        };
        let path = surface.list_path();
        [(format!("{path}/{{sid}}"), instance), (path, list)]
    });
    own.chain(credentials)
}

/// Registers every route.
pub(super) fn register(config: &mut web::ServiceConfig) {
    for (path, matched) in resources() {
        config.service(resource(&path, matched));
    }
    config.default_service(web::to(other::not_found));
}

fn resource(path: &str, matched: Matched) -> Resource {
    // A trailing slash is the same resource, never a redirect.
    let mut resource = web::resource([path.to_owned(), format!("{path}/")]).app_data(matched);
    for operation in matched.operations {
        let method = operation.method.clone();
        resource = resource.route((operation.route)().guard(guard::fn_guard(move |context| {
            // HEAD is GET without its body.
            guard::Method(method.clone()).check(context) || (method == Method::GET && guard::Head().check(context))
        })));
    }
    resource.default_service(web::to(other::method_not_allowed))
}

/// A route as the coverage tests see it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The HTTP method.
    pub method: String,
    /// The path, with `{sid}` where a credential's SID belongs.
    pub path: String,
    /// The name of the mutation; none for a read.
    pub action: Option<&'static str>,
    /// Whether a caller must authenticate.
    pub authenticated: bool,
}

/// Every route.
pub fn endpoints() -> Vec<Endpoint> {
    resources()
        .flat_map(|(path, matched)| {
            matched.operations.iter().map(move |operation| Endpoint {
                method: operation.method.to_string(),
                path: path.clone(),
                action: operation.action.map(Action::as_str),
                authenticated: matched.surface.is_some(),
            })
        })
        .collect()
}
