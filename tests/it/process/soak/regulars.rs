//! Callers as they should be: they create, read, list, update and delete, and a monitor asks how it is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use serde_json::Value;

use super::crowd::{Place, Tally};
use crate::process::load::{APNS_PAIR, Random};

/// How many credentials one caller keeps. It deletes the oldest beyond.
const KEPT: usize = 40;

/// How long a monitor rests.
const PROBE_PAUSE: Duration = Duration::from_millis(250);

const PATIENCE: Duration = Duration::from_secs(30);

struct Regular {
    client: Client,
    url: String,
    login: (String, String),
    random: Random,
    tally: Arc<Tally>,
    credentials: VecDeque<Credential>,
    /// A number for each secret.
    secrets: usize,
}

struct Credential {
    url: String,
    /// The parameter that an update replaces.
    secret: &'static str,
}

/// Works until it is over, one request after the other.
pub(super) async fn work(url: String, login: (String, String), random: Random, tally: Arc<Tally>) {
    let mut regular = Regular {
        client: client(),
        url: format!("{url}/v2/Credentials"),
        login,
        random,
        tally,
        credentials: VecDeque::new(),
        secrets: 0,
    };
    while !regular.tally.is_over() {
        regular.step().await;
    }
}

/// Asks for health, readiness and metrics until it is over.
pub(super) async fn probe(place: Arc<Place>, tally: Arc<Tally>) {
    let client = client();
    while !tally.is_over() {
        let (url, admin_url) = (&place.url, &place.admin_url);
        for url in [
            format!("{url}/healthz"),
            format!("{url}/readyz"),
            format!("{url}/openapi.json"),
            format!("{admin_url}/metrics"),
        ] {
            let (status, _) = answer(client.get(url)).await;
            tally.count("probe", status, &[200]);
        }
        tokio::time::sleep(PROBE_PAUSE).await;
    }
}

impl Regular {
    async fn step(&mut self) {
        let count = self.credentials.len();
        match self.random.below(20) {
            _ if count > KEPT => self.delete().await,
            0..2 => self.create().await,
            _ if count == 0 => self.create().await,
            2..4 => self.update().await,
            4 => self.delete().await,
            5..8 => self.list().await,
            _ => self.read().await,
        }
    }

    async fn create(&mut self) {
        let secret = self.next_secret();
        let (kind, parameter) = [("apn", "Sandbox"), ("gcm", "ApiKey"), ("fcm", "Secret")][self.random.below(3)];
        let mut form = vec![("Type", kind), ("FriendlyName", secret.as_str())];
        match kind {
            "apn" => form.extend([("Certificate", APNS_PAIR), ("PrivateKey", APNS_PAIR)]),
            _ => form.push((parameter, &secret)),
        }
        let mut request = self.client.post(&self.url).form(&form);
        if self.random.below(4) == 0 {
            request = request.header("Idempotency-Key", format!("key-{:016x}", self.random.number()));
        }
        let (status, body) = self.send(request).await;
        self.tally.count("create", status, &[201]);
        if let Some(sid) = body["sid"].as_str() {
            self.credentials.push_back(Credential {
                url: format!("{}/{sid}", self.url),
                secret: parameter,
            });
        }
    }

    async fn update(&mut self) {
        let secret = self.next_secret();
        let credential = self.any();
        let (url, parameter) = (credential.url.clone(), credential.secret);
        let form = match (self.random.below(2), parameter) {
            (0, _) => ("FriendlyName", secret),
            (_, "Sandbox") => ("Sandbox", self.random.below(2).eq(&0).to_string()),
            _ => (parameter, secret),
        };
        let (status, _) = self.send(self.client.post(url).form(&[form])).await;
        self.tally.count("update", status, &[200]);
    }

    async fn delete(&mut self) {
        if let Some(credential) = self.credentials.pop_front() {
            let (status, _) = self.send(self.client.delete(credential.url)).await;
            self.tally.count("delete", status, &[204]);
        }
    }

    async fn list(&mut self) {
        let (status, body) = self.send(self.client.get(format!("{}?PageSize=20", self.url))).await;
        self.tally.count("list", status, &[200]);
        if let Some(next) = body["meta"]["next_page_url"].as_str() {
            let (status, _) = self.send(self.client.get(next)).await;
            self.tally.count("list", status, &[200]);
        }
    }

    async fn read(&mut self) {
        let url = self.any().url.clone();
        let (status, _) = self.send(self.client.get(url)).await;
        self.tally.count("read", status, &[200]);
    }

    fn any(&mut self) -> &Credential {
        &self.credentials[self.random.below(self.credentials.len())]
    }

    fn next_secret(&mut self) -> String {
        self.secrets += 1;
        format!("soak {}", self.secrets)
    }

    async fn send(&self, request: RequestBuilder) -> (u16, Value) {
        answer(request.basic_auth(&self.login.0, Some(&self.login.1))).await
    }
}

pub(super) fn client() -> Client {
    Client::builder().timeout(PATIENCE).no_proxy().build().unwrap()
}

/// The status and the body of an answer; 0 and nothing if there was none.
pub(super) async fn answer(request: RequestBuilder) -> (u16, Value) {
    let Ok(response) = request.send().await else {
        return (0, Value::Null);
    };
    let status = response.status().as_u16();
    match response.bytes().await {
        Ok(body) => (status, serde_json::from_slice(&body).unwrap_or(Value::Null)),
        Err(_) => (0, Value::Null),
    }
}
