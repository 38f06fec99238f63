//! The parameters of operations, as the OpenAPI document tells them.

use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, Object, ObjectBuilder, SchemaFormat, Type};

use super::description::{Description, RequestHeader};
use super::extract::PAGE_PARAMETERS;
use super::filters::{FilterKind, FilterParameter};
use super::surface::{Collection, Surface};
use crate::domain::idempotency::IdempotencyKey;
use crate::domain::precondition::Precondition;
use crate::domain::sid::{CredentialSid, EventSid, SID_LENGTH};

/// The parameter of a path below a list.
pub(super) const SID: &str = "Sid";

/// All that an operation on a surface takes beside a body.
pub(super) fn parameters(description: &Description, surface: Option<&Surface>, has_sid: bool) -> Vec<Parameter> {
    let Some(surface) = surface else {
        return Vec::new();
    };
    let mut parameters = Vec::new();
    if has_sid {
        parameters.push(sid_parameter(surface.collection));
    }
    parameters.extend(description.filters.iter().map(filter_parameter));
    if description.takes_page {
        parameters.extend(page_parameters(surface.max_page_size));
    }
    parameters.extend(description.headers.iter().map(|header| header_parameter(*header)));
    parameters
}

fn sid_parameter(collection: Collection) -> Parameter {
    let (prefix, description) = match collection {
        Collection::Credentials => (CredentialSid::PREFIX, "The SID of the credential."),
        Collection::Events | Collection::AuditEvents => (EventSid::PREFIX, "The SID of the event."),
    };
    ParameterBuilder::new()
        .name(SID)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(description))
        .schema(Some(sid_schema(prefix)))
        .build()
}

/// A SID that begins with what the pattern says.
fn sid_schema(prefix: &str) -> ObjectBuilder {
    ObjectBuilder::from(Object::with_type(Type::String))
        .pattern(Some(format!("^{prefix}[0-9a-fA-F]{{32}}$")))
        .min_length(Some(SID_LENGTH))
        .max_length(Some(SID_LENGTH))
}

fn filter_parameter(parameter: &FilterParameter) -> Parameter {
    let text = ObjectBuilder::from(Object::with_type(Type::String));
    let schema = match parameter.kind {
        FilterKind::Sid(prefix) => sid_schema(prefix),
        FilterKind::Instant => text.format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))),
        FilterKind::Text => text,
    };
    ParameterBuilder::new()
        .name(parameter.name)
        .parameter_in(ParameterIn::Query)
        .description(Some(parameter.description))
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
