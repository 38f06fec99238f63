//! What is answered. No field of a view can hold secret material.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use super::error::ErrorCode;
use crate::domain::credential::Credential;
use crate::domain::push_service::PushService;
use crate::domain::text::iso_8601;
use crate::service::Page;

/// A credential: Twilio's eight keys.
#[derive(Serialize, ToSchema)]
#[schema(as = Credential)]
pub(super) struct CredentialView {
    /// The SID of the credential.
    #[schema(pattern = "^CR[0-9a-fA-F]{32}$", min_length = 34, max_length = 34)]
    sid: String,
    /// The SID of the account that it belongs to.
    #[schema(pattern = "^AC[0-9a-fA-F]{32}$", min_length = 34, max_length = 34)]
    account_sid: String,
    /// What a person calls it.
    #[schema(max_length = 64, required)]
    friendly_name: Option<String>,
    /// The service that it signs in to.
    #[serde(rename = "type")]
    #[schema(schema_with = push_service_schema)]
    push_service: &'static str,
    /// A text, never a JSON boolean: one SDK decodes nothing else.
    #[schema(pattern = "^(True|False)$")]
    sandbox: &'static str,
    /// When it was made, in UTC and whole seconds.
    #[schema(format = DateTime)]
    date_created: String,
    /// When it last changed, in UTC and whole seconds.
    #[schema(format = DateTime)]
    date_updated: String,
    /// Where it is, on the surface of the request.
    #[schema(format = "uri")]
    url: String,
}

impl CredentialView {
    /// A credential as it is seen in the list at this URL.
    pub(super) fn new(credential: &Credential, list_url: &str) -> Self {
        Self {
            sid: credential.credential_sid.to_string(),
            account_sid: credential.account_sid.to_string(),
            friendly_name: credential.friendly_name.as_ref().map(|name| name.as_str().to_owned()),
            push_service: credential.push_service.as_str(),
            sandbox: if credential.sandbox { "True" } else { "False" },
            date_created: iso_8601(credential.date_created),
            date_updated: iso_8601(credential.date_updated),
            url: format!("{list_url}/{}", credential.credential_sid),
        }
    }
}

/// A page of credentials in Twilio's list shape.
#[derive(Serialize, ToSchema)]
#[schema(as = CredentialPage)]
pub(super) struct CredentialPageView {
    credentials: Vec<CredentialView>,
    meta: PageMeta,
}

/// Which page it is, and how to get to the ones beside it.
#[derive(Serialize, ToSchema)]
pub(super) struct PageMeta {
    /// The client's own count of pages.
    page: u64,
    /// How many rows a page holds at most, after clamping.
    #[schema(minimum = 1)]
    page_size: u32,
    #[schema(format = "uri")]
    first_page_url: String,
    /// Null on the first page.
    #[schema(format = "uri", required)]
    previous_page_url: Option<String>,
    #[schema(format = "uri")]
    url: String,
    /// Null on the last page; never the URL of an empty one.
    #[schema(format = "uri", required)]
    next_page_url: Option<String>,
    /// The name of what holds the rows.
    key: &'static str,
}

impl CredentialPageView {
    /// A page of the list at this URL.
    pub(super) fn new(page: &Page<Credential>, list_url: &str) -> Self {
        Self {
            credentials: page
                .rows
                .iter()
                .map(|credential| CredentialView::new(credential, list_url))
                .collect(),
            meta: PageMeta::new(page, list_url, "", "credentials"),
        }
    }
}

impl PageMeta {
    /// Of a page of the list at this URL; what is repeated stands in the query of each.
    pub(super) fn new<T>(page: &Page<T>, list_url: &str, repeated: &str, key: &'static str) -> Self {
        let (size, index) = (page.request.size, page.request.index);
        let url = |index: u64, token: Option<&String>| {
            let token = token.map(|token| format!("&PageToken={token}")).unwrap_or_default();
            format!("{list_url}?{repeated}PageSize={size}&Page={index}{token}")
        };
        Self {
            page: index,
            page_size: size,
            first_page_url: url(0, None),
            previous_page_url: page
                .previous_token
                .as_ref()
                .map(|token| url(index.saturating_sub(1), Some(token))),
            url: url(index, page.token.as_ref()),
            next_page_url: page
                .next_token
                .as_ref()
                .map(|token| url(index.saturating_add(1), Some(token))),
            key,
        }
    }
}

/// The error body: four keys, every time.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub(super) struct ErrorView<'a> {
    /// Twilio's number.
    code: u16,
    /// What is wrong and what to do about it; never a value that was sent.
    message: &'a str,
    /// Twilio's page about the code.
    #[schema(format = "uri")]
    more_info: String,
    /// The HTTP status.
    status: u16,
}

impl<'a> ErrorView<'a> {
    /// An error with the text of its code, or with one of its own.
    pub(super) fn new(code: ErrorCode, message: Option<&'a str>) -> Self {
        Self {
            code: code.number(),
            message: message.unwrap_or(code.text()),
            more_info: format!("https://www.twilio.com/docs/errors/{}", code.number()),
            status: code.status().as_u16(),
        }
    }
}

/// The state of the service, for orchestrators.
#[derive(Serialize, ToSchema)]
#[schema(as = Health)]
pub(super) struct HealthView {
    /// `alive`, `ready`, `not ready`, or `draining` after the service was asked to stop.
    pub(super) status: &'static str,
    /// Each thing that is looked at, and whether it is there; of readiness alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) checks: Option<ChecksView>,
}

/// Each is `ok` or `failed`. The service is ready if no other than `clock` failed.
#[derive(Serialize, ToSchema)]
#[schema(as = HealthChecks)]
pub(super) struct ChecksView {
    pub(super) database: &'static str,
    pub(super) schema: &'static str,
    pub(super) keyring: &'static str,
    pub(super) audit: &'static str,
    pub(super) clock: &'static str,
}

fn push_service_schema() -> Object {
    ObjectBuilder::from(Object::with_type(Type::String))
        .enum_values(Some(PushService::ALL.map(PushService::as_str)))
        .build()
}

pub(super) fn json(status: StatusCode, view: &impl Serialize) -> HttpResponse {
    HttpResponse::build(status)
        .content_type("application/json; charset=utf-8")
        // Views hold texts and numbers alone, which always serialise.
        .body(serde_json::to_vec(view).unwrap_or_default())
}
