//! The body of a create or an update: a form, or JSON with the same names.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, web};
use futures_util::StreamExt as _;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use zeroize::Zeroizing;

use super::form;
use super::parameters::PARAMETERS;
use crate::config::LimitSettings;
use crate::domain::credential::CredentialInput;
use crate::http::error::{ApiError, ErrorCode};

/// Reads the parameters of a create or an update. Unknown ones are ignored; of a name that comes twice the last counts.
pub(in crate::http) async fn credential_input(
    request: &HttpRequest,
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
    match media_type(request).as_str() {
        "application/x-www-form-urlencoded" => {
            not_too_many(form::pairs(&body).count(), limits)?;
            for (name, value) in form::pairs(&body) {
                set(&mut input, &name, &value)?;
            }
        }
        "application/json" => {
            let Pairs(pairs) = serde_json::from_slice(&body).map_err(|_| {
                ApiError::with_message(
                    ErrorCode::InvalidRequest,
                    "Could not parse the JSON body: send one object whose values are strings, such as {\"Type\": \"apn\"}",
                )
            })?;
            not_too_many(pairs.len(), limits)?;
            for (name, value) in pairs {
                set(&mut input, name.as_bytes(), value.0.as_bytes())?;
            }
        }
        _ => return Err(ApiError::new(ErrorCode::UnsupportedMediaType)),
    }
    Ok(input)
}

fn not_too_many(count: usize, limits: &LimitSettings) -> Result<(), ApiError> {
    if count > limits.parameters {
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

fn media_type(request: &HttpRequest) -> String {
    request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

/// Puts a parameter where it belongs. Names are case-sensitive.
fn set(input: &mut CredentialInput, name: &[u8], value: &[u8]) -> Result<(), ApiError> {
    let Some(parameter) = PARAMETERS.iter().find(|parameter| parameter.name.as_bytes() == name) else {
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

/// The pairs of a JSON object in their order, names that come again included.
struct Pairs(Vec<(String, Text)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;

        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = object.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(PairsVisitor)
    }
}

/// A JSON value as the form would have spelt it: a string, `true`, `false`, or nothing for null.
struct Text(Zeroizing<String>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl Visitor<'_> for TextVisitor {
            type Value = Text;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a string")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(Zeroizing::new(text.to_owned())))
            }

            fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Text, E> {
                self.visit_str(if value { "true" } else { "false" })
            }

            fn visit_unit<E: serde::de::Error>(self) -> Result<Text, E> {
                self.visit_str("")
            }

            fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<Text, E> {
                Err(E::custom("a number is no text"))
            }
        }

        deserializer
            .deserialize_any(TextVisitor)
            .map_err(|_| D::Error::custom("a value is no text"))
    }
}
