//! The OpenAPI document, made from what serves the requests: the route table, the parameter tables, the views, the error
//! table.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::link::{Link, LinkBuilder};
use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem};
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

use super::description::{Body, DELETE, Description, FETCH, RequestHeader, Success, UPDATE};
use super::error::ErrorCode;
use super::extract::{PAGE_PARAMETERS, PARAMETERS, Parameter as BodyParameter, ParameterKind};
use super::operation::Place;
use super::routes;
use super::view::{ChecksView, CredentialPageView, CredentialView, ErrorView, HealthView, PageMeta};
use crate::domain::idempotency::IdempotencyKey;
use crate::domain::precondition::Precondition;
use crate::domain::push_service::PushService;
use crate::domain::sid::CredentialSid;
use crate::domain::text::FriendlyName;

/// Twilio's name for HTTP Basic with an account's SID and token.
const BASIC: &str = "accountSid_authToken";

/// The parameter of a path below a list.
const SID: &str = "Sid";

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
    let (tag, prefix, max_page_size) = match place {
        Place::Prefixed(surface) => (
            format!("{} {}", surface.product, surface.version),
            format!("{}-{}-", surface.product, surface.version),
            surface.max_page_size,
        ),
        Place::Bare(surface) => (
            "bare paths: the product is the host's first label".to_owned(),
            format!("{}-", surface.version),
            surface.max_page_size,
        ),
        Place::Probe | Place::Document => ("service".to_owned(), String::new(), 0),
    };
    let mut operation = OperationBuilder::new()
        .operation_id(Some(format!("{prefix}{}", description.id)))
        .summary(Some(description.summary))
        .tag(tag)
        .request_body(description.body.map(request_body));
    if has_sid {
        operation = operation.parameter(sid_parameter());
    }
    if description.takes_page {
        for parameter in page_parameters(max_page_size) {
            operation = operation.parameter(parameter);
        }
    }
    for header in description.headers {
        operation = operation.parameter(header_parameter(*header));
    }
    if matches!(place, Place::Prefixed(_) | Place::Bare(_)) {
        operation = operation.security(SecurityRequirement::new(BASIC, Vec::<String>::new()));
    }
    let (status, mut answer) = success(description);
    if description.success == Success::Created {
        for linked in [&FETCH, &UPDATE, &DELETE] {
            answer.links.insert(linked.id.to_owned(), link(&prefix, linked).into());
        }
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

/// What can be done next with the credential that was made.
fn link(prefix: &str, description: &Description) -> Link {
    LinkBuilder::new()
        .operation_id(format!("{prefix}{}", description.id))
        .parameter(SID, "$response.body#/sid")
        .description(description.summary)
        .build()
}

fn sid_parameter() -> Parameter {
    let schema = ObjectBuilder::from(Object::with_type(Type::String))
        .pattern(Some(format!("^{}[0-9a-fA-F]{{32}}$", CredentialSid::PREFIX)))
        .min_length(Some(34))
        .max_length(Some(34));
    ParameterBuilder::new()
        .name(SID)
        .parameter_in(ParameterIn::Path)
        .required(utoipa::openapi::Required::True)
        .description(Some("The SID of the credential."))
        .schema(Some(schema))
        .build()
}

fn page_parameters(max_page_size: u32) -> impl Iterator<Item = Parameter> {
    PAGE_PARAMETERS.iter().map(move |parameter| {
        let schema = match parameter.minimum {
            Some(minimum) => ObjectBuilder::from(Object::with_type(Type::Integer))
                .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
                .minimum(Some(minimum)),
            None => ObjectBuilder::from(Object::with_type(Type::String)),
        };
        let description = parameter
            .description
            .replace("the maximum", &format!("the maximum, {max_page_size},"));
        ParameterBuilder::new()
            .name(parameter.name)
            .parameter_in(ParameterIn::Query)
            .description(Some(description))
            .schema(Some(schema))
            .build()
    })
}

fn header_parameter(header: RequestHeader) -> Parameter {
    let text = ObjectBuilder::from(Object::with_type(Type::String));
    let (name, description, schema) = match header {
        RequestHeader::IdempotencyKey => (
            IdempotencyKey::HEADER,
            "The client's own name for this request. Sent again within 24 hours it answers what the first one made, and \
             makes nothing.",
            text.min_length(Some(1))
                .max_length(Some(IdempotencyKey::MAX_LENGTH))
                .pattern(Some("^[!-~]+$")),
        ),
        RequestHeader::IfMatch => (
            Precondition::HEADER,
            "The ETag that the credential must have, several of which one must be it, or * for any; 412 if it has another.",
            text.pattern(Some(r#"^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$"#)),
        ),
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .description(Some(description))
        .schema(Some(schema))
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
        Success::Page => ("200", json_response("OK", "CredentialPage").build()),
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
