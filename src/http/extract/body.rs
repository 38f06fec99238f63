//! The body of a create or an update: a form, or JSON with the same names.

use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web;
use futures_util::StreamExt as _;
use zeroize::Zeroizing;

use super::json::Members;
use super::parameters::{PARAMETERS, Parameter};
use crate::config::LimitSettings;
use crate::domain::credential::CredentialInput;
use crate::domain::form;
use crate::domain::sid::AccountSid;
use crate::http::activity::Activity;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::request_meta::RequestMeta;
use crate::http::room::SMALL;
use crate::http::shares::Share;
use crate::http::state::AppState;

/// The room that a large body takes up, until what it asks for is done.
type BodyRoom = Option<Share<AccountSid>>;

/// Reads the parameters of a create or an update. Unknown ones are ignored; of a name that comes twice the last counts.
pub(in crate::http) async fn credential_input(
    request: &HttpRequest,
    meta: &RequestMeta,
    payload: web::Payload,
    state: &AppState,
) -> Result<(CredentialInput, BodyRoom), ApiError> {
    if let Some(activity) = request.conn_data::<Activity>() {
        activity.want_body();
    }
    let limits = &state.limits;
    let (body, room) = tokio::time::timeout(limits.body_time, read(meta, payload, state))
        .await
        .map_err(|_| ApiError::new(ErrorCode::TooSlow))??;
    let mut input = CredentialInput::default();
    if body.is_empty() {
        return Ok((input, room));
    }
    match media_type(meta).as_str() {
        "application/x-www-form-urlencoded" => {
            not_too_many(form::pairs(&body), limits)?;
            for (name, value) in form::pairs(&body) {
                set(&mut input, &name, &value)?;
            }
        }
        "application/json" => {
            let Members(members) = serde_json::from_slice(&body).map_err(|_| no_json_of_texts())?;
            not_too_many(members.iter(), limits)?;
            for (name, value) in members {
                if let Some(parameter) = parameter(name.as_bytes()) {
                    let text = value.into_text(parameter.kind).ok_or_else(no_json_of_texts)?;
                    (parameter.put)(&mut input, &text);
                }
            }
        }
        _ => return Err(ApiError::new(ErrorCode::UnsupportedMediaType)),
    }
    Ok((input, room))
}

fn no_json_of_texts() -> ApiError {
    ApiError::with_message(
        ErrorCode::InvalidRequest,
        "Could not parse the JSON body: send one object whose values are strings, such as {\"Type\": \"apn\"}",
    )
}

/// Stops at the first one too many: to count is to decode.
fn not_too_many<T>(mut parameters: impl Iterator<Item = T>, limits: &LimitSettings) -> Result<(), ApiError> {
    if parameters.nth(limits.parameters).is_some() {
        return Err(ApiError::with_message(
            ErrorCode::InvalidRequest,
            format!("Too many parameters: send at most {}", limits.parameters),
        ));
    }
    Ok(())
}

async fn read(
    meta: &RequestMeta,
    mut payload: web::Payload,
    state: &AppState,
) -> Result<(Zeroizing<Vec<u8>>, BodyRoom), ApiError> {
    let max_bytes = state.limits.body_bytes;
    let (mut body, mut room) = (Zeroizing::new(Vec::new()), None);
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| {
            ApiError::with_message(
                ErrorCode::InvalidRequest,
                "The request body ended early: send it whole, with the right Content-Length or in whole chunks",
            )
        })?;
        if body.len() + chunk.len() > max_bytes {
            return Err(ApiError::with_message(
                ErrorCode::BodyTooLarge,
                format!("Request Entity Too Large: send at most {max_bytes} bytes"),
            ));
        }
        if room.is_none() && body.len() + chunk.len() > SMALL {
            room = Some(state.room.for_body(meta.account_sid(), content_length(meta))?);
        }
        body.extend_from_slice(&chunk);
    }
    Ok((body, room))
}

fn content_length(meta: &RequestMeta) -> Option<usize> {
    meta.headers().get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

fn media_type(meta: &RequestMeta) -> String {
    meta.headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

/// Names are case-sensitive.
fn parameter(name: &[u8]) -> Option<&'static Parameter> {
    PARAMETERS.iter().find(|parameter| parameter.name.as_bytes() == name)
}

/// Puts a parameter where it belongs.
fn set(input: &mut CredentialInput, name: &[u8], value: &[u8]) -> Result<(), ApiError> {
    let Some(parameter) = parameter(name) else {
        return Ok(());
    };
    let text = std::str::from_utf8(value).map_err(|_| {
        ApiError::with_message(
            ErrorCode::InvalidRequest,
            format!("Invalid value for parameter {}: send text in UTF-8", parameter.name),
        )
    })?;
    (parameter.put)(input, text);
    Ok(())
}
