//! What is answered. No field of a view can hold secret material.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;

use super::error::ErrorCode;
use crate::domain::credential::Credential;
use crate::domain::text::iso_8601;
use crate::service::CredentialPage;

/// A credential: Twilio's eight keys.
#[derive(Serialize)]
pub(super) struct CredentialView {
    sid: String,
    account_sid: String,
    friendly_name: Option<String>,
    #[serde(rename = "type")]
    push_service: &'static str,
    /// A text, never a JSON boolean: one SDK decodes nothing else.
    sandbox: &'static str,
    date_created: String,
    date_updated: String,
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
#[derive(Serialize)]
pub(super) struct CredentialPageView {
    credentials: Vec<CredentialView>,
    meta: PageMeta,
}

#[derive(Serialize)]
struct PageMeta {
    page: u64,
    page_size: u32,
    first_page_url: String,
    previous_page_url: Option<String>,
    url: String,
    next_page_url: Option<String>,
    key: &'static str,
}

impl CredentialPageView {
    /// A page of the list at this URL.
    pub(super) fn new(page: &CredentialPage, list_url: &str) -> Self {
        let (size, index) = (page.request.size, page.request.index);
        let url = |index: u64, token: Option<&String>| {
            let token = token.map(|token| format!("&PageToken={token}")).unwrap_or_default();
            format!("{list_url}?PageSize={size}&Page={index}{token}")
        };
        Self {
            credentials: page
                .credentials
                .iter()
                .map(|credential| CredentialView::new(credential, list_url))
                .collect(),
            meta: PageMeta {
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
                key: "credentials",
            },
        }
    }
}

/// The error body: four keys, every time.
#[derive(Serialize)]
pub(super) struct ErrorView<'a> {
    code: u16,
    message: &'a str,
    more_info: String,
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

pub(super) fn json(status: StatusCode, view: &impl Serialize) -> HttpResponse {
    HttpResponse::build(status)
        .content_type("application/json; charset=utf-8")
        // Views hold texts and numbers alone, which always serialise.
        .body(serde_json::to_vec(view).unwrap_or_default())
}
