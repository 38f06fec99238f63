//! Real providers: an OpenBao, and moto's AWS. `tests/kms/run` installs them and says where they are.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::until;
use crate::harness::ReservedPort;

/// Lets in whoever has it.
const ROOT_TOKEN: &str = "canary-root-token";

/// A server that is stopped when dropped.
struct Server {
    child: Child,
    _directory: TempDir,
    _port: ReservedPort,
}

/// An OpenBao with a Transit engine in it.
pub(crate) struct OpenBao {
    pub(crate) url: String,
    http: reqwest::Client,
    pub(super) ca_file: Option<PathBuf>,
    _server: Server,
}

/// AWS as moto has it.
pub(super) struct Moto {
    pub(super) url: String,
    http: reqwest::Client,
    _server: Server,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program(variable: &str) -> PathBuf {
    PathBuf::from(std::env::var_os(variable).expect("start this test by tests/kms/run"))
}

fn client() -> reqwest::ClientBuilder {
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10))
}

impl OpenBao {
    pub(crate) async fn start() -> Self {
        let this = Self::start_with(&[]);
        this.prepare().await;
        this
    }

    /// One that speaks TLS with a certificate of its own CA. It is not asked by the tests themselves, which know no CA.
    pub(super) fn start_with_tls() -> Self {
        let mut this = Self::start_with(&["-dev-tls"]);
        this.url = this.url.replace("http://", "https://");
        this
    }

    fn start_with(options: &[&str]) -> Self {
        let (directory, port) = (tempfile::tempdir().unwrap(), ReservedPort::new());
        let child = Command::new(program("PUSHVAULT_OPENBAO"))
            .args(["server", "-dev", "-dev-no-store-token"])
            .arg(format!("-dev-root-token-id={ROOT_TOKEN}"))
            .arg(format!("-dev-listen-address={}", port.address()))
            .args(options.iter().map(|option| (*option).to_owned()))
            .args(
                options
                    .iter()
                    .map(|_| format!("-dev-tls-cert-dir={}", directory.path().display())),
            )
            .env("HOME", directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            url: format!("http://{}", port.address()),
            http: client().build().unwrap(),
            ca_file: (!options.is_empty()).then(|| directory.path().join("vault-ca.pem")),
            _server: Server {
                child,
                _directory: directory,
                _port: port,
            },
        }
    }

    async fn prepare(&self) {
        until(|| async {
            let health = self.http.get(format!("{}/v1/sys/health", self.url)).send().await.ok()?;
            health.status().is_success().then_some(())
        })
        .await;
        self.ask("sys/mounts/transit", &json!({ "type": "transit" })).await;
        self.ask("transit/keys/pushvault", &json!({})).await;
        // What docs/operations.md says: encrypt and decrypt, and not make a key by the way.
        let policy = "path \"transit/encrypt/pushvault\" { capabilities = [\"update\"] }
            path \"transit/decrypt/pushvault\" { capabilities = [\"update\"] }";
        self.ask("sys/policies/acl/pushvault", &json!({ "policy": policy }))
            .await;
    }

    /// Asks as root, and is not refused.
    pub(super) async fn ask(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.call(Method::POST, path, body).await;
        assert!(status < 300, "{path}: {status} {answer}");
        answer
    }

    pub(super) async fn call(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let request = self.http.request(method, format!("{}/v1/{path}", self.url));
        let answer = request
            .header("x-vault-token", ROOT_TOKEN)
            .json(body)
            .send()
            .await
            .unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    /// A token that may use the key, and no more.
    pub(crate) async fn token(&self) -> String {
        let body = json!({ "policies": ["pushvault"], "no_parent": true });
        let answer = self.ask("auth/token/create", &body).await;
        answer["auth"]["client_token"].as_str().unwrap().to_owned()
    }

    pub(super) async fn revoke(&self, token: &str) {
        self.ask("auth/token/revoke", &json!({ "token": token })).await;
    }
}

impl Moto {
    pub(super) async fn start() -> Self {
        for variable in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
            assert!(std::env::var_os(variable).is_some(), "start this test by tests/kms/run");
        }
        let (directory, port) = (tempfile::tempdir().unwrap(), ReservedPort::new());
        let child = Command::new(program("PUSHVAULT_MOTO"))
            .args(["-H", "127.0.0.1", "-p", &port.number().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let this = Self {
            url: format!("http://{}", port.address()),
            http: client().build().unwrap(),
            _server: Server {
                child,
                _directory: directory,
                _port: port,
            },
        };
        until(|| async { this.http.get(&this.url).send().await.ok().map(drop) }).await;
        this
    }

    /// Asks without a signature, which moto does not look at.
    pub(super) async fn ask(&self, operation: &str, body: &Value) -> (u16, Value) {
        let request = self
            .http
            .post(&self.url)
            .header("x-amz-target", format!("TrentService.{operation}"))
            .header("content-type", "application/x-amz-json-1.1")
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=a/20260101/eu-central-1/kms/aws4_request, SignedHeaders=host, Signature=0",
            )
            .body(body.to_string());
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (
            status,
            serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default(),
        )
    }

    /// Makes a key; its ARN.
    pub(super) async fn new_key(&self) -> String {
        let (status, answer) = self.ask("CreateKey", &json!({})).await;
        assert_eq!(status, 200, "{answer}");
        answer["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
    }

    /// Takes everything away.
    pub(super) async fn reset(&self) {
        let answer = self
            .http
            .post(format!("{}/moto-api/reset", self.url))
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success());
    }
}
