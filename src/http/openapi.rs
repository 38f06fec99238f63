//! The OpenAPI document, made from what serves the requests: the route table, the parameter tables, the views, the error
//! table.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::link::{Link, LinkBuilder};
use utoipa::openapi::path::{OperationBuilder, PathItem};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{
    ComponentsBuilder, KnownFormat, Object, ObjectBuilder, Ref, Schema, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, HttpMethod, InfoBuilder, License, OpenApi, OpenApiBuilder, PathsBuilder, RefOr,
    SecurityRequirement, Server,
};

use super::audit_view::{AuditEventPageView, AuditEventView};
use super::description::{
    Body, CREATE, DELETE, Description, FETCH, FETCH_AUDIT_EVENT, FETCH_EVENT, LIST_AUDIT_EVENTS, LIST_EVENTS, Success,
    UPDATE,
};
use super::error::ErrorCode;
use super::extract::{PARAMETERS, Parameter as BodyParameter, ParameterKind};
use super::monitor_view::{MonitorEventPageView, MonitorEventView};
use super::openapi_parameters::{SID, parameters};
use super::operation::Place;
use super::routes;
use super::view::{ChecksView, CredentialPageView, CredentialView, ErrorView, HealthView, PageMeta};
use crate::domain::push_service::PushService;
use crate::domain::text::FriendlyName;

/// Twilio's name for HTTP Basic with an account's SID and token.
const BASIC: &str = "accountSid_authToken";

/// What the head of any request may be refused with.
const EVERYWHERE: &[ErrorCode] = &[ErrorCode::InvalidRequest, ErrorCode::TooSlow, ErrorCode::HeadTooLarge];

/// What any request of an account may be refused with.
const OF_AN_ACCOUNT: &[ErrorCode] = &[
    ErrorCode::Unauthenticated,
    ErrorCode::Suspended,
    ErrorCode::Forbidden,
    ErrorCode::TooManyRequests,
    ErrorCode::Internal,
    ErrorCode::Unavailable,
];

const JSON: &str = "application/json";

/// The contract's media type of a body; JSON is an extension.
const FORM: &str = "application/x-www-form-urlencoded";

/// The document.
pub(super) fn document() -> OpenApi {
    let info = InfoBuilder::new()
        .title("pushvault")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "The vault for push-notification credentials, behind the Twilio Credentials REST API. Secrets go in and \
             never come out. The surfaces below are doors to one store: a credential that is made on one is read on \
             every other.",
        ))
        .license(Some(License::new("Apache-2.0")))
        .build();
    let components = ComponentsBuilder::new()
        .schema_from::<AuditEventPageView>()
        .schema_from::<AuditEventView>()
        .schema_from::<MonitorEventPageView>()
        .schema_from::<MonitorEventView>()
        .schema_from::<CredentialPageView>()
        .schema_from::<CredentialView>()
        .schema_from::<ErrorView<'_>>()
        .schema_from::<HealthView>()
        .schema_from::<ChecksView>()
        .schema_from::<PageMeta>()
        .schema("CreateCredentialRequest", form_schema(Body::Create))
        .schema("UpdateCredentialRequest", form_schema(Body::Update))
        .schema("CreateCredentialJson", json_schema(Body::Create))
        .schema("UpdateCredentialJson", json_schema(Body::Update))
        .security_scheme(BASIC, SecurityScheme::Http(Http::new(HttpAuthScheme::Basic)))
        .build();
    let mut paths = PathsBuilder::new();
    for (path, matched) in routes::resources() {
        for operation in matched.operations {
            let Some(description) = operation.description else {
                continue;
            };
            let Some(method) = http_method(operation.method.as_str()) else {
                continue;
            };
            let item = PathItem::new(method, describe(description, matched.place, path.contains("{sid}")));
            paths = paths.path(path.replace("{sid}", "{Sid}"), item);
        }
    }
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([Server::new("/")]))
        .paths(paths)
        .components(Some(components))
        .build()
}

fn http_method(name: &str) -> Option<HttpMethod> {
    match name {
        "GET" => Some(HttpMethod::Get),
        "POST" => Some(HttpMethod::Post),
        "DELETE" => Some(HttpMethod::Delete),
        _ => None,
    }
}

fn describe(description: &'static Description, place: Place, has_sid: bool) -> OperationBuilder {
    let (tag, prefix, surface) = match place {
        Place::Prefixed(surface) => (
            format!("{} {}", surface.product, surface.version),
            format!("{}-{}-", surface.product, surface.version),
            Some(surface),
        ),
        Place::Bare(surface) => (
            "bare paths: the product is the host's first label".to_owned(),
            format!("{}-", surface.version),
            Some(surface),
        ),
        Place::Probe | Place::Document => ("service".to_owned(), String::new(), None),
    };
    let mut operation = OperationBuilder::new()
        .operation_id(Some(format!("{prefix}{}", description.id)))
        .summary(Some(description.summary))
        .tag(tag)
        .request_body(description.body.map(request_body));
    for parameter in parameters(description, surface, has_sid) {
        operation = operation.parameter(parameter);
    }
    if matches!(place, Place::Prefixed(_) | Place::Bare(_)) {
        operation = operation.security(SecurityRequirement::new(BASIC, Vec::<String>::new()));
    }
    let (status, mut answer) = success(description);
    for (_, linked, sid) in LINKS.iter().filter(|(from, ..)| from.id == description.id) {
        answer
            .links
            .insert(linked.id.to_owned(), link(&prefix, linked, sid).into());
    }
    operation = operation.response(status, answer);
    if description.success == Success::Health {
        operation = operation.response("503", json_response("Not ready", "Health"));
    }
    // On a host whose product does not have the version there is no such path.
    let by_host = matches!(place, Place::Bare(_)).then_some(&ErrorCode::NotFound);
    let of_an_account = match place {
        Place::Prefixed(_) | Place::Bare(_) => OF_AN_ACCOUNT,
        Place::Probe | Place::Document => &[],
    };
    let errors = description.errors.iter().chain(EVERYWHERE);
    let mut refusals = BTreeMap::<u16, Vec<ErrorCode>>::new();
    for code in errors.chain(of_an_account).chain(by_host) {
        refusals.entry(code.status().as_u16()).or_default().push(*code);
    }
    for (status, codes) in refusals {
        operation = operation.response(status.to_string(), refusal(&codes));
    }
    operation
}

/// What can be done next with a SID that was answered, and where in the answer it is.
static LINKS: [(&Description, &Description, &str); 5] = [
    (&CREATE, &FETCH, "sid"),
    (&CREATE, &UPDATE, "sid"),
    (&CREATE, &DELETE, "sid"),
    (&LIST_EVENTS, &FETCH_EVENT, "events/0/sid"),
    (&LIST_AUDIT_EVENTS, &FETCH_AUDIT_EVENT, "audit_events/0/sid"),
];

fn link(prefix: &str, description: &Description, sid: &str) -> Link {
    LinkBuilder::new()
        .operation_id(format!("{prefix}{}", description.id))
        .parameter(SID, format!("$response.body#/{sid}"))
        .description(description.summary)
        .build()
}

fn request_body(body: Body) -> RequestBody {
    let (form, json, required, example) = match body {
        Body::Create => (
            "CreateCredentialRequest",
            "CreateCredentialJson",
            utoipa::openapi::Required::True,
            json!({ "Type": "fcm", "FriendlyName": "shop", "Secret": "replace-me" }),
        ),
        Body::Update => (
            "UpdateCredentialRequest",
            "UpdateCredentialJson",
            utoipa::openapi::Required::False,
            json!({ "FriendlyName": "shop, production" }),
        ),
    };
    let content = |schema| {
        ContentBuilder::new()
            .schema(Some(Ref::from_schema_name(schema)))
            .example(Some(example.clone()))
            .build()
    };
    RequestBodyBuilder::new()
        .required(Some(required))
        .content(FORM, content(form))
        .content(JSON, content(json))
        .build()
}

fn form_schema(body: Body) -> Object {
    let mut object = ObjectBuilder::from(Object::with_type(Type::Object));
    for parameter in &PARAMETERS {
        object = object.property(parameter.name, parameter_schema(parameter));
    }
    if body == Body::Create {
        object = object.required("Type");
    }
    object.build()
}

/// As the form has it, and null counts as an empty value.
fn json_schema(body: Body) -> Object {
    let mut object = form_schema(body);
    for (name, schema) in &mut object.properties {
        if let (RefOr::T(Schema::Object(schema)), false) = (schema, object.required.contains(name)) {
            if let SchemaType::Type(kind) = &schema.schema_type {
                schema.schema_type = SchemaType::Array(vec![kind.clone(), Type::Null]);
            }
            if let Some(values) = &mut schema.enum_values {
                values.push(Value::Null);
            }
        }
    }
    object
}

fn parameter_schema(parameter: &BodyParameter) -> Object {
    let text = ObjectBuilder::from(Object::with_type(Type::String));
    let schema = match parameter.kind {
        ParameterKind::PushService => text.enum_values(Some(PushService::ALL.map(PushService::as_str))),
        ParameterKind::Text => text
            .max_length(Some(FriendlyName::MAX_CHARACTERS))
            .pattern(Some(r"^[^\u0000]*$")),
        ParameterKind::Boolean => ObjectBuilder::from(Object::with_type(Type::Boolean)),
        ParameterKind::Secret => text
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
            .write_only(true),
    };
    schema.description(Some(parameter.description)).build()
}

fn success(description: &Description) -> (&'static str, Response) {
    match description.success {
        Success::Created => {
            let replayed = text_header("`true` when an earlier request with the same Idempotency-Key made it.");
            let response = json_response("Created", "Credential").header("Idempotent-Replayed", replayed);
            ("201", with_tag(response))
        }
        Success::Credential => ("200", with_tag(json_response("OK", "Credential"))),
        Success::Ok(schema) => ("200", json_response("OK", schema).build()),
        Success::Nothing => (
            "204",
            common_headers(ResponseBuilder::new().description("Deleted")).build(),
        ),
        Success::Health => ("200", json_response("OK", "Health").build()),
    }
}

/// The refusals of one status.
fn refusal(codes: &[ErrorCode]) -> Response {
    let texts: Vec<_> = codes.iter().map(|code| code.text()).collect();
    let response = json_response(&texts.join("; or "), "Error");
    match codes {
        [ErrorCode::TooManyRequests | ErrorCode::Unavailable] => {
            response.header("Retry-After", text_header("Seconds to wait.")).build()
        }
        [ErrorCode::Unauthenticated] => response
            .header("WWW-Authenticate", text_header("Always `Basic realm=\"Twilio API\"`."))
            .build(),
        _ => response.build(),
    }
}

fn json_response(description: &str, schema: &str) -> ResponseBuilder {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(schema)))
        .build();
    common_headers(ResponseBuilder::new().description(description).content(JSON, content))
}

fn with_tag(response: ResponseBuilder) -> Response {
    response
        .header("ETag", text_header("For If-Match; another one after each change."))
        .build()
}

fn common_headers(response: ResponseBuilder) -> ResponseBuilder {
    response.header(
        "Twilio-Request-Id",
        text_header("`RQ` and 32 hexadecimal digits; the log and the audit trail carry it."),
    )
}

fn text_header(description: &str) -> utoipa::openapi::Header {
    HeaderBuilder::new()
        .schema(Some(Object::with_type(Type::String)))
        .description(Some(description))
        .build()
}
