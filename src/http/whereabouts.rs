//! Where a request is, and what URLs in its answer begin with.

use actix_web::HttpRequest;

use super::error::{ApiError, ErrorCode};
use super::operation::{Matched, Place};
use super::request_meta::RequestMeta;
use super::state::AppState;
use super::surface::{CHAT_V2, Surface, on_bare_path};
use super::transport::LocalAddress;

/// The surface that a request is on, and how it got there.
pub(super) struct Whereabouts {
    pub(super) surface: &'static Surface,
    /// The public URL, or the origin that the caller used.
    base: String,
    /// Whether the path names no product, and needs none.
    is_bare: bool,
}

impl Whereabouts {
    /// By its path, or else by its host.
    pub(super) fn of(request: &HttpRequest, meta: &RequestMeta, state: &AppState) -> Result<Self, ApiError> {
        let internal = || ApiError::new(ErrorCode::Internal);
        let place = request.app_data::<Matched>().ok_or_else(internal)?.place;
        let (surface, is_bare) = match place {
            Place::Prefixed(surface) => (Some(surface), false),
            Place::Bare(default) => (on_bare_path(meta.host_product(), default), true),
            Place::Probe | Place::Document => (None, false),
        };
        let surface = surface.ok_or_else(internal)?;
        if let Some(public_url) = &state.server.public_url {
            return Ok(Self {
                surface,
                base: public_url.clone(),
                // What the host said is said by the path: the public URL has another host.
                is_bare: is_bare && meta.host_product().is_none(),
            });
        }
        let origin = meta.origin().or_else(|| {
            let LocalAddress(address) = request.conn_data()?;
            Some(format!("{}://{address}", state.scheme))
        });
        Ok(Self {
            surface,
            base: origin.ok_or_else(internal)?,
            is_bare,
        })
    }

    /// The URL of the list that the request used, or is below of.
    pub(super) fn list_url(&self) -> String {
        let path = if self.is_bare {
            self.surface.bare_path()
        } else {
            self.surface.path()
        };
        format!("{}{path}", self.base)
    }

    /// The URL of a list of credentials that is there on every host.
    pub(super) fn credentials_url(&self) -> String {
        format!("{}{}", self.base, CHAT_V2.path())
    }
}
