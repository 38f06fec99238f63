//! The OpenAPI document, made from what serves the requests: the route table, the parameter tables, the views, the error
//! table.

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ComponentsBuilder, KnownFormat, Object, ObjectBuilder, Ref, SchemaFormat, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, HttpMethod, InfoBuilder, License, OpenApi, OpenApiBuilder, PathsBuilder, SecurityRequirement,
    Server,
};

use super::description::{Body, Description, RequestHeader, Success};
use super::error::ErrorCode;
use super::extract::{PAGE_PARAMETERS, PARAMETERS, ParameterKind};
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

const JSON: &str = "application/json";

/// The media types of a body: the contract's, and the extension.
const BODY_TYPES: [&str; 2] = ["application/x-www-form-urlencoded", JSON];

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
        .schema("CreateCredentialRequest", body_schema(Body::Create))
        .schema("UpdateCredentialRequest", body_schema(Body::Update))
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
    let (status, answer) = success(description);
    operation = operation.response(status, answer);
    if description.success == Success::Health {
        operation = operation.response("503", json_response("Not ready", "Health"));
    }
    for code in description.errors {
        operation = operation.response(code.status().as_u16().to_string(), refusal(*code));
    }
    operation
}

fn sid_parameter() -> Parameter {
    let schema = ObjectBuilder::from(Object::with_type(Type::String))
        .pattern(Some(format!("^{}[0-9a-fA-F]{{32}}$", CredentialSid::PREFIX)))
        .min_length(Some(34))
        .max_length(Some(34));
    ParameterBuilder::new()
        .name("Sid")
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
            "The ETag that the credential must have; 412 if it has another.",
            text.pattern(Some(r#"^(\*|"[!#-~]*")$"#)),
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
    let (schema, required) = match body {
        Body::Create => ("CreateCredentialRequest", utoipa::openapi::Required::True),
        Body::Update => ("UpdateCredentialRequest", utoipa::openapi::Required::False),
    };
    let mut request_body = RequestBodyBuilder::new().required(Some(required));
    for media_type in BODY_TYPES {
        let content = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name(schema)))
            .build();
        request_body = request_body.content(media_type, content);
    }
    request_body.build()
}

fn body_schema(body: Body) -> Object {
    let mut object = ObjectBuilder::from(Object::with_type(Type::Object));
    for parameter in &PARAMETERS {
        let text = ObjectBuilder::from(Object::with_type(Type::String));
        let schema = match parameter.kind {
            ParameterKind::PushService => text.enum_values(Some(PushService::ALL.map(PushService::as_str))),
            ParameterKind::Text => text.max_length(Some(FriendlyName::MAX_CHARACTERS)),
            ParameterKind::Boolean => ObjectBuilder::from(Object::with_type(Type::Boolean)),
            ParameterKind::Secret => text
                .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
                .write_only(true),
        };
        object = object.property(parameter.name, schema.description(Some(parameter.description)));
    }
    if body == Body::Create {
        object = object.required("Type");
    }
    object.build()
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

fn refusal(code: ErrorCode) -> Response {
    let response = json_response(code.text(), "Error");
    match code {
        ErrorCode::TooManyRequests | ErrorCode::Unavailable => {
            response.header("Retry-After", text_header("Seconds to wait.")).build()
        }
        ErrorCode::Unauthenticated => response
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
