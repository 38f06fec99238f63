//! The OpenAPI document, and a page to read it in a browser: everything comes from this process, nothing from elsewhere.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpResponse, HttpResponseBuilder};
use utoipa_swagger_ui::Config;

use crate::http::answer_body::AnswerBody;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::state::AppState;

const PAGE: &str = include_str!("documentation.html");

const SCRIPT: &str = include_str!("documentation.js");

/// The page may load from here and from nowhere else, and no other page may frame it: a token may be typed into it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The files of Swagger UI that the page loads.
const FILES: [&str; 3] = ["swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"];

/// Their contents, in memory once, for however many clients read them.
static LOADED: LazyLock<HashMap<&'static str, File>> = LazyLock::new(|| FILES.into_iter().filter_map(load).collect());

/// A file that the page loads.
struct File {
    bytes: Bytes,
    content_type: String,
    is_gzipped: bool,
}

/// The document.
pub(in crate::http) async fn openapi(state: Data<AppState>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json; charset=utf-8")
        .body(AnswerBody::shared(&state.openapi))
}

/// The page.
pub(in crate::http) async fn page() -> HttpResponse {
    headed("text/html; charset=utf-8").body(PAGE)
}

/// What the page loads.
pub(in crate::http) async fn file(name: Path<String>) -> Result<HttpResponse, ApiError> {
    let not_found = || ApiError::new(ErrorCode::NotFound);
    if *name == "pushvault.js" {
        return Ok(headed("text/javascript; charset=utf-8").body(SCRIPT));
    }
    let file = LOADED.get(name.as_str()).ok_or_else(not_found)?;
    let mut response = headed(&file.content_type);
    if file.is_gzipped {
        response.insert_header((CONTENT_ENCODING, "gzip"));
    }
    Ok(response.body(AnswerBody::shared(&file.bytes)))
}

fn load(name: &'static str) -> Option<(&'static str, File)> {
    let config = Arc::new(Config::from("/openapi.json"));
    let file = utoipa_swagger_ui::serve(name, config).ok().flatten()?;
    let file = File {
        bytes: match file.bytes {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => bytes.into(),
        },
        content_type: file.content_type,
        is_gzipped: file.gzpipped,
    };
    Some((name, file))
}

fn headed(content_type: &str) -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CONTENT_TYPE, content_type))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY));
    response
}
