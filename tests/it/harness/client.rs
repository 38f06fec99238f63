//! Callers, as roles. Every answer that any of them gets is held against the rules for all answers.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::{Value, json};

/// A caller: nobody, an account, or an API key.
#[derive(Clone)]
pub(crate) struct Client {
    pub(super) http: reqwest::Client,
    pub(super) origin: String,
    /// User name and secret of HTTP Basic.
    pub(crate) credentials: Option<(String, String)>,
    /// Every answer as text, for tests that search them all.
    pub(super) transcript: Arc<Mutex<String>>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Client {
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// Posts a form, as every Twilio client does.
    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.send(self.request(Method::POST, path).form(form)).await
    }

    pub(crate) async fn post_json(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn post_body(&self, path: &str, content_type: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.request(Method::POST, path).header(CONTENT_TYPE, content_type);
        self.send(request.body(body)).await
    }

    /// A request to a path of this service, or to a whole URL that it answered.
    pub(crate) fn request(&self, method: Method, target: &str) -> reqwest::RequestBuilder {
        let url = if target.starts_with("http") {
            target.to_owned()
        } else {
            format!("{}{target}", self.origin)
        };
        let request = self.http.request(method, url);
        match &self.credentials {
            None => request,
            Some((user_name, secret)) => request.basic_auth(user_name, Some(secret)),
        }
    }

    /// The value of the header `Authorization`.
    pub(crate) fn authorization(&self) -> String {
        let (user_name, secret) = self.credentials.as_ref().expect("a caller with credentials");
        let encoded = data_encoding::BASE64.encode(format!("{user_name}:{secret}").as_bytes());
        format!("Basic {encoded}")
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.expect("the service answers");
        let answer = Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.text().await.expect("the body is whole"),
        };
        let mut transcript = self.transcript.lock().unwrap();
        writeln!(transcript, "{answer:?}\n{}", answer.body).unwrap();
        drop(transcript);
        answer.keeps_the_rules_for_all_answers();
        answer
    }
}

impl Answer {
    /// The body, once the status is the expected one.
    #[track_caller]
    pub(crate) fn json(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.header("content-type"), Some("application/json; charset=utf-8"));
        serde_json::from_str(&self.body).expect("the body is JSON")
    }

    /// The one shape of errors, byte for byte in its values: four keys and no more.
    #[track_caller]
    pub(crate) fn is_error(&self, status: u16, code: u16, message: &str) {
        let expected = json!({
            "code": code,
            "message": message,
            "more_info": format!("https://www.twilio.com/docs/errors/{code}"),
            "status": status,
        });
        assert_eq!(self.json(status), expected);
    }

    #[track_caller]
    pub(crate) fn is_not_found(&self, path: &str) {
        let message = format!("The requested resource {path} was not found");
        self.is_error(404, 20404, &message);
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The SID of the request, under which the audit trail knows it.
    pub(crate) fn request_sid(&self) -> &str {
        self.header("twilio-request-id")
            .expect("every answer has a request SID")
    }

    /// Decision 29, and that no answer is a redirect (decision 24).
    pub(super) fn keeps_the_rules_for_all_answers(&self) {
        let sid = self.request_sid();
        let digits = sid.strip_prefix("RQ").expect("a request SID begins with RQ");
        assert!(
            digits.len() == 32 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
            "{sid}"
        );
        let duration = self.header("twilio-request-duration").expect("a duration");
        assert!(
            duration.parse::<f64>().is_ok_and(|seconds| seconds >= 0.0),
            "{duration}"
        );
        let concurrent = self.header("twilio-concurrent-requests").expect("a count");
        assert!(concurrent.parse::<u32>().is_ok_and(|count| count >= 1), "{concurrent}");
        assert_eq!(self.header("cache-control"), Some("no-store"));
        assert!(!(300..400).contains(&self.status), "a redirect: {self:?}");
    }
}

/// Runs as many requests as are asked for, all at once.
pub(crate) async fn at_once<F: Future<Output = Answer> + Send + 'static>(
    count: usize,
    request: impl Fn(usize) -> F,
) -> Vec<Answer> {
    let running: Vec<_> = (0..count).map(|number| tokio::spawn(request(number))).collect();
    let mut answers = Vec::new();
    for answer in running {
        answers.push(answer.await.unwrap());
    }
    answers
}
