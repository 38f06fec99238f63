//! The HTTP API as a caller sees it.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Method};
use serde_json::Value;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The secret in every credential that is registered: nothing that the program prints may hold it.
pub(crate) const SECRET: &str = "canary-credential-secret";

/// Somebody with a user name and a secret.
#[derive(Clone)]
pub(crate) struct Caller {
    client: Client,
    url: String,
    user_name: String,
    secret: String,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// What the header `Retry-After` says.
    pub(crate) retry_after: Option<String>,
    pub(crate) body: Value,
}

impl Caller {
    pub(crate) fn new(url: &str, user_name: &str, secret: &str) -> Self {
        Self {
            client: Client::builder()
                .redirect(Policy::none())
                .timeout(PATIENCE)
                .no_proxy()
                .build()
                .unwrap(),
            url: url.to_owned(),
            user_name: user_name.to_owned(),
            secret: secret.to_owned(),
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) async fn create(&self, form: &[(&str, &str)]) -> Answer {
        self.post("/v2/Credentials", form).await.unwrap()
    }

    /// Creates a credential that is not expected to be refused, and returns its SID.
    pub(crate) async fn register(&self, name: &str) -> String {
        let answer = self
            .create(&[("Type", "fcm"), ("FriendlyName", name), ("Secret", SECRET)])
            .await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.text("sid").to_owned()
    }

    pub(crate) async fn fetch(&self, sid: &str) -> Answer {
        self.get(&format!("/v2/Credentials/{sid}")).await
    }

    /// The status with which this caller is let in or not, and the error code.
    pub(crate) async fn is_let_in(&self) -> (u16, Option<i64>) {
        let answer = self.get("/v2/Credentials").await;
        (answer.status, answer.body["code"].as_i64())
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.try_get(path).await.unwrap()
    }

    pub(crate) async fn try_get(&self, path: &str) -> reqwest::Result<Answer> {
        self.call(Method::GET, path, None, None).await
    }

    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> reqwest::Result<Answer> {
        self.post_with(path, form, None).await
    }

    /// The same with a header.
    pub(crate) async fn post_with(
        &self,
        path: &str,
        form: &[(&str, &str)],
        header: Option<(&str, &str)>,
    ) -> reqwest::Result<Answer> {
        self.call(Method::POST, path, Some(form), header).await
    }

    pub(crate) async fn delete(&self, path: &str) -> reqwest::Result<Answer> {
        self.call(Method::DELETE, path, None, None).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        form: Option<&[(&str, &str)]>,
        header: Option<(&str, &str)>,
    ) -> reqwest::Result<Answer> {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.url))
            .basic_auth(&self.user_name, Some(&self.secret));
        if let Some(form) = form {
            request = request.form(form);
        }
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get("retry-after");
        let retry_after = retry_after.map(|value| value.to_str().unwrap().to_owned());
        // What was not received to its end was not answered: a body that is cut off is an error here.
        let body = response.bytes().await?;
        Ok(Answer {
            status,
            retry_after,
            body: if body.is_empty() {
                Value::Null
            } else {
                serde_json::from_slice(&body).expect("every body is JSON")
            },
        })
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn text(&self, key: &str) -> &str {
        self.body[key].as_str().unwrap_or_else(|| panic!("{key} in {self:?}"))
    }
}
