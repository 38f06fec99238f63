//! The Transit engine of a Vault or OpenBao: `encrypt` and `decrypt` with associated data, over HTTP.

use std::sync::Arc;

use data_encoding::BASE64;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use pushvault_crypto::PackedKey;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::error::KmsError;
use super::failure::ProviderFailure;
use super::question::{Binding, Question};
use crate::config::{TransitSettings, TransitToken};

/// The largest answer: a wrapped key has a hundred bytes or two.
const ANSWER_BYTES: usize = 64 * 1024;

const PROVIDER: &str = "transit";

/// A key in the engine.
pub(super) struct Transit {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    encrypt: Uri,
    decrypt: Uri,
    namespace: Option<HeaderValue>,
    token: TransitToken,
}

/// What is sent.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    plaintext: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ciphertext: Option<&'a str>,
    associated_data: String,
}

#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Deserialize)]
struct Encrypted {
    ciphertext: String,
}

#[derive(Deserialize)]
struct Decrypted {
    plaintext: SecretString,
}

#[derive(Deserialize)]
struct Refusal {
    errors: Vec<String>,
}

impl Transit {
    pub(super) fn new(settings: &TransitSettings) -> Result<Self, KmsError> {
        let TransitSettings { url, mount, key, .. } = settings;
        let uri = |operation: &str| {
            let uri = format!("{url}/v1/{mount}/{operation}/{key}");
            uri.parse::<Uri>().map_err(|_| no_way("transit_url is no address"))
        };
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(settings)?)
            .https_or_http()
            .enable_http1()
            .build();
        let namespace = match settings.namespace.as_str() {
            "" => None,
            text => Some(HeaderValue::from_str(text).map_err(|_| no_way("transit_namespace is no path"))?),
        };
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            encrypt: uri("encrypt")?,
            decrypt: uri("decrypt")?,
            namespace,
            token: settings.token.clone(),
        })
    }

    pub(super) async fn ask(&self, question: Question<'_>, binding: &Binding) -> Result<PackedKey, ProviderFailure> {
        let associated_data = BASE64.encode(&binding.associated_data);
        match question {
            Question::Encrypt(key) => {
                let plaintext = Zeroizing::new(BASE64.encode(key));
                let body = Body {
                    plaintext: Some(&plaintext),
                    ciphertext: None,
                    associated_data,
                };
                let encrypted: Encrypted = self.post(&self.encrypt, &body).await?;
                // What else it may look like is the engine's own affair.
                if encrypted.ciphertext.is_empty() {
                    return Err(ProviderFailure::Garbled);
                }
                Ok(Zeroizing::new(encrypted.ciphertext.into_bytes()))
            }
            Question::Decrypt(wrapped) => {
                let wrapped = std::str::from_utf8(wrapped).map_err(|_| ProviderFailure::DoesNotUnwrap)?;
                let body = Body {
                    plaintext: None,
                    ciphertext: Some(wrapped),
                    associated_data,
                };
                let decrypted: Decrypted = self.post(&self.decrypt, &body).await?;
                let key = BASE64.decode(decrypted.plaintext.expose_secret().as_bytes());
                key.map(Zeroizing::new).map_err(|_| ProviderFailure::Garbled)
            }
        }
    }

    /// Sends with the token of the moment, and once more when it was refused and has changed meanwhile.
    async fn post<T: DeserializeOwned>(&self, uri: &Uri, body: &Body<'_>) -> Result<T, ProviderFailure> {
        let token = self.token().await?;
        match self.post_with(&token, uri, body).await {
            Err(ProviderFailure::Denied(how)) => {
                let newer = self.token().await?;
                if newer == token {
                    return Err(ProviderFailure::Denied(how));
                }
                self.post_with(&newer, uri, body).await
            }
            result => result,
        }
    }

    async fn post_with<T: DeserializeOwned>(
        &self,
        token: &HeaderValue,
        uri: &Uri,
        body: &Body<'_>,
    ) -> Result<T, ProviderFailure> {
        let body = serde_json::to_vec(body).map_err(|_| ProviderFailure::Garbled)?;
        let mut request = Request::new(Full::new(Bytes::from_owner(Zeroizing::new(body))));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri.clone();
        let headers = request.headers_mut();
        headers.insert("x-vault-token", token.clone());
        headers.insert("x-vault-request", HeaderValue::from_static("true"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("pushvault/", env!("CARGO_PKG_VERSION"))),
        );
        if let Some(namespace) = &self.namespace {
            headers.insert("x-vault-namespace", namespace.clone());
        }
        let answer = self.client.request(request).await;
        read(answer.map_err(|error| ProviderFailure::Unreachable(error.into()))?).await
    }

    async fn token(&self) -> Result<HeaderValue, ProviderFailure> {
        let text = match &self.token {
            TransitToken::Fixed(token) => token.clone(),
            TransitToken::File(path) => SecretString::from(tokio::fs::read_to_string(path).await.map_err(
                |source| ProviderFailure::Token {
                    path: path.clone(),
                    source,
                },
            )?),
        };
        let text = text.expose_secret().trim_end_matches(['\r', '\n']);
        let mut token = HeaderValue::from_str(text).map_err(|_| ProviderFailure::MalformedToken)?;
        if token.is_empty() {
            return Err(ProviderFailure::MalformedToken);
        }
        token.set_sensitive(true);
        Ok(token)
    }
}

async fn read<T: DeserializeOwned>(answer: Response<Incoming>) -> Result<T, ProviderFailure> {
    let status = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES).collect().await;
    let body = body.map_err(|_| ProviderFailure::Garbled)?.to_bytes();
    if status.is_success() {
        let answer: Answer<T> = serde_json::from_slice(&body).map_err(|_| ProviderFailure::Garbled)?;
        return Ok(answer.data);
    }
    let refusal = serde_json::from_slice::<Refusal>(&body).map(|refusal| refusal.errors);
    let says = |text: &str| refusal.iter().flatten().any(|error| error.contains(text));
    let told = format!("status {}", status.as_u16());
    Err(match status {
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => ProviderFailure::Denied(told),
        StatusCode::NOT_FOUND => ProviderFailure::NoKey,
        StatusCode::BAD_REQUEST if says("key not found") => ProviderFailure::NoKey,
        StatusCode::BAD_REQUEST if says("authentication failed") || says("invalid ciphertext") => {
            ProviderFailure::DoesNotUnwrap
        }
        StatusCode::BAD_REQUEST => ProviderFailure::Unusable(told),
        _ => ProviderFailure::Failing(told),
    })
}

fn tls(settings: &TransitSettings) -> Result<ClientConfig, KmsError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| no_way("TLS cannot be set up"))?;
    let builder = match &settings.ca_file {
        Some(path) => {
            let broken = || {
                no_way(&format!(
                    "transit_ca_file: {} holds no certificate in PEM, or a broken one",
                    path.display()
                ))
            };
            let unreadable = |error| no_way(&format!("transit_ca_file: cannot read {}: {error}", path.display()));
            let pem = std::fs::read(path).map_err(unreadable)?;
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                roots.add(certificate.map_err(|_| broken())?).map_err(|_| broken())?;
            }
            if roots.is_empty() {
                return Err(broken());
            }
            builder.with_root_certificates(roots)
        }
        None if settings.url.starts_with("https:") => builder
            .with_native_roots()
            .map_err(|_| no_way("this machine has no CA certificates: install them, or give transit_ca_file"))?,
        None => builder.with_root_certificates(RootCertStore::empty()),
    };
    Ok(builder.with_no_client_auth())
}

fn no_way(remedy: &str) -> KmsError {
    KmsError::NoWay {
        provider: PROVIDER,
        remedy: remedy.to_owned(),
    }
}
