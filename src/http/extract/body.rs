//! The body of a create or an update: a form, or JSON with the same names.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::web;
use futures_util::StreamExt as _;
use zeroize::Zeroizing;

use super::json::Members;
use super::parameters::{PARAMETERS, Parameter};
use crate::config::LimitSettings;
use crate::domain::credential::CredentialInput;
use crate::domain::form;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::request_meta::RequestMeta;

/// Reads the parameters of a create or an update. Unknown ones are ignored; of a name that comes twice the last counts.
pub(in crate::http) async fn credential_input(
    meta: &RequestMeta,
    payload: web::Payload,
    limits: &LimitSettings,
) -> Result<CredentialInput, ApiError> {
    let body = tokio::time::timeout(limits.body_time, read(payload, limits.body_bytes))
        .await
        .map_err(|_| ApiError::new(ErrorCode::TooSlow))??;
    let mut input = CredentialInput::default();
    if body.is_empty() {
        return Ok(input);
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
    Ok(input)
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

async fn read(mut payload: web::Payload, max_bytes: usize) -> Result<Zeroizing<Vec<u8>>, ApiError> {
    let mut body = Zeroizing::new(Vec::new());
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| {
            ApiError::with_message(
                ErrorCode::InvalidRequest,
                "The request body ended early: send it whole, with the right Content-Length",
            )
        })?;
        if body.len() + chunk.len() > max_bytes {
            return Err(ApiError::with_message(
                ErrorCode::BodyTooLarge,
                format!("Request Entity Too Large: send at most {max_bytes} bytes"),
            ));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
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
