//! The routes, as a table: surfaces, and the operations that each of them has. Registration, the 405 answer, the audit of
//! refused mutations, the OpenAPI document and the coverage tests all read this one table.

use std::sync::LazyLock;

use actix_web::guard;
use actix_web::http::Method;
use actix_web::{Resource, web};

use super::description;
use super::handlers::{audit_events, credentials, documentation, health, monitor_events, other};
use super::operation::{Access, Matched, Operation, Place, Template};
use super::request_meta::RequestMeta;
use super::surface::{BARE_PATHS, Collection, SURFACES, Surface, VAULT_V1, on_bare_path};
use crate::domain::audit::Action;
use crate::domain::right::Right;

static LIST_OPERATIONS: [Operation; 2] = [
    Operation {
        method: Method::GET,
        access: Access::With(Right::CredentialsRead, Action::CredentialList),
        route: || web::to(credentials::list),
        description: Some(&description::LIST),
    },
    Operation {
        method: Method::POST,
        access: Access::With(Right::CredentialsWrite, Action::CredentialCreate),
        route: || web::to(credentials::create),
        description: Some(&description::CREATE),
    },
];

static INSTANCE_OPERATIONS: [Operation; 3] = [
    Operation {
        method: Method::GET,
        access: Access::With(Right::CredentialsRead, Action::CredentialFetch),
        route: || web::to(credentials::fetch),
        description: Some(&description::FETCH),
    },
    Operation {
        method: Method::POST,
        access: Access::With(Right::CredentialsWrite, Action::CredentialUpdate),
        route: || web::to(credentials::update),
        description: Some(&description::UPDATE),
    },
    Operation {
        method: Method::DELETE,
        access: Access::With(Right::CredentialsWrite, Action::CredentialDelete),
        route: || web::to(credentials::delete),
        description: Some(&description::DELETE),
    },
];

static EVENTS_OPERATIONS: [Operation; 1] = [Operation {
    method: Method::GET,
    access: Access::With(Right::AuditRead, Action::AuditEventList),
    route: || web::to(monitor_events::list),
    description: Some(&description::LIST_EVENTS),
}];

static EVENT_OPERATIONS: [Operation; 1] = [Operation {
    method: Method::GET,
    access: Access::With(Right::AuditRead, Action::AuditEventFetch),
    route: || web::to(monitor_events::fetch),
    description: Some(&description::FETCH_EVENT),
}];

static AUDIT_EVENTS_OPERATIONS: [Operation; 1] = [Operation {
    method: Method::GET,
    access: Access::With(Right::AuditRead, Action::AuditEventList),
    route: || web::to(audit_events::list),
    description: Some(&description::LIST_AUDIT_EVENTS),
}];

static AUDIT_EVENT_OPERATIONS: [Operation; 1] = [Operation {
    method: Method::GET,
    access: Access::With(Right::AuditRead, Action::AuditEventFetch),
    route: || web::to(audit_events::fetch),
    description: Some(&description::FETCH_AUDIT_EVENT),
}];

pub(super) static ALIVE_OPERATIONS: [Operation; 1] = [Operation {
    method: Method::GET,
    access: Access::Anyone,
    route: || web::to(health::alive),
    description: Some(&description::ALIVE),
}];

pub(super) static READY_OPERATIONS: [Operation; 1] = [Operation {
    method: Method::GET,
    access: Access::Anyone,
    route: || web::to(health::ready),
    description: Some(&description::READY),
}];

static OPENAPI_OPERATIONS: [Operation; 1] = [Operation {
    method: Method::GET,
    access: Access::Anyone,
    route: || web::to(documentation::openapi),
    description: None,
}];

static PAGE_OPERATIONS: [Operation; 1] = [Operation {
    method: Method::GET,
    access: Access::Anyone,
    route: || web::to(documentation::page),
    description: None,
}];

static FILE_OPERATIONS: [Operation; 1] = [Operation {
    method: Method::GET,
    access: Access::Anyone,
    route: || web::to(documentation::file),
    description: None,
}];

/// The service's own resources, for anyone.
static OPEN_RESOURCES: [(&str, Matched); 5] = [
    ("/healthz", Matched::new(Place::Probe, &ALIVE_OPERATIONS)),
    ("/readyz", Matched::new(Place::Probe, &READY_OPERATIONS)),
    ("/openapi.json", Matched::new(Place::Document, &OPENAPI_OPERATIONS)),
    ("/docs", Matched::new(Place::Document, &PAGE_OPERATIONS)),
    ("/docs/{file}", Matched::new(Place::Document, &FILE_OPERATIONS)),
];

/// The resources: path template, place, operations.
static RESOURCES: LazyLock<Vec<(String, Matched)>> = LazyLock::new(|| {
    let open = OPEN_RESOURCES
        .iter()
        .map(|(path, matched)| ((*path).to_owned(), *matched));
    let prefixed = SURFACES
        .iter()
        .chain([&VAULT_V1])
        .map(|surface| (surface, surface.path(), Place::Prefixed(surface)));
    let bare = BARE_PATHS
        .iter()
        .map(|surface| (surface, surface.bare_path(), Place::Bare(surface)));
    let of_accounts = prefixed.chain(bare).flat_map(|(surface, path, place)| {
        let (list, instance) = operations(surface.collection);
        [
            (format!("{path}/{{sid}}"), Matched::new(place, instance)),
            (path, Matched::new(place, list)),
        ]
    });
    open.chain(of_accounts).collect()
});

/// What a collection has: the operations of its list, and those of each of its rows.
fn operations(collection: Collection) -> (&'static [Operation], &'static [Operation]) {
    match collection {
        Collection::Credentials => (&LIST_OPERATIONS, &INSTANCE_OPERATIONS),
        Collection::Events => (&EVENTS_OPERATIONS, &EVENT_OPERATIONS),
        Collection::AuditEvents => (&AUDIT_EVENTS_OPERATIONS, &AUDIT_EVENT_OPERATIONS),
    }
}

/// The resources: path template, place, operations.
pub(super) fn resources() -> impl Iterator<Item = (&'static str, Matched)> {
    RESOURCES.iter().map(|(path, matched)| (path.as_str(), *matched))
}

/// Whether a path is that of a probe.
pub(super) fn is_probe(path: &str) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path);
    OPEN_RESOURCES
        .iter()
        .any(|(probe, matched)| *probe == path && matches!(matched.place, Place::Probe))
}

/// Registers every route.
pub(super) fn register(config: &mut web::ServiceConfig) {
    for (path, matched) in resources() {
        config.service(resource(path, matched));
    }
    config.default_service(web::to(other::not_found));
}

pub(super) fn resource(path: &'static str, matched: Matched) -> Resource {
    // A trailing slash is the same resource, never a redirect.
    let mut resource = web::resource([path.to_owned(), format!("{path}/")])
        .app_data(matched)
        .app_data(Template(path));
    for operation in matched.operations {
        resource = resource
            .route((operation.route)().guard(guard::fn_guard(move |context| operation.is(&context.head().method))));
    }
    if let Place::Bare(surface) = matched.place {
        resource = resource.guard(guard::fn_guard(move |context| is_on_host(context, surface)));
    }
    resource.default_service(web::to(other::method_not_allowed))
}

/// Whether the product that the host names has a bare path: Notify has no v2, and Chat no events.
fn is_on_host(context: &guard::GuardContext<'_>, default: &'static Surface) -> bool {
    context
        .req_data()
        .get::<RequestMeta>()
        .is_some_and(|meta| on_bare_path(meta.host_product(), default).is_some())
}

/// A route as the coverage tests see it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The HTTP method.
    pub method: String,
    /// The path, with `{sid}` where a SID belongs.
    pub path: String,
    /// The right that a caller must have; none where anyone may ask.
    pub right: Option<&'static str>,
    /// What the audit trail calls it; none where anyone may ask.
    pub action: Option<&'static str>,
    /// Whether it changes nothing.
    pub is_read: bool,
}

/// Every route.
pub fn endpoints() -> Vec<Endpoint> {
    resources()
        .flat_map(|(path, matched)| {
            matched.operations.iter().map(move |operation| {
                let (right, action) = matched.right(&operation.method).unzip();
                Endpoint {
                    method: operation.method.to_string(),
                    path: path.to_owned(),
                    right: right.map(Right::as_str),
                    action: action.map(Action::as_str),
                    is_read: action.is_none_or(Action::is_read),
                }
            })
        })
        .collect()
}
