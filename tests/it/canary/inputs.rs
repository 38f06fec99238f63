//! Every way into the service, and a canary for each.
//!
//! Three inputs are told back by design and carry none: a friendly name is no secret, a User-Agent stands in the audit
//! trail, and the name of an operator whose events are asked for stands in the URLs of their pages. A path is told back to the one who sent it, in the message of the 404 (decision 16), so a canary in a path is
//! sent outside the recorded answers: it must not get any further than that answer.

use reqwest::Method;
use serde_json::json;

use super::Canary;
use crate::harness::{
    ENCRYPTED_KEY, OTHER_KEY, TestApp, apns_certificate, apns_pair, apns_private_key, canonical_pem, fresh_number,
    service_account,
};

const LIST: &str = "/v2/Credentials";
const FORM: &str = "application/x-www-form-urlencoded";

/// The parameters that hold secrets, and spellings of them that people get wrong.
const PARAMETERS: [&str; 4] = ["Certificate", "PrivateKey", "ApiKey", "Secret"];
const MISSPELT: [&str; 6] = ["secret", "SECRET", "Secrets", "apiKey", "Api-Key", "AuthToken"];

/// Sends canaries and remembers them.
pub(super) struct Inputs<'a> {
    app: &'a TestApp,
    /// What every secret that is made up here begins with: one search finds any of them.
    marker: String,
    made_up: Vec<String>,
    real: Vec<Canary>,
}

impl<'a> Inputs<'a> {
    pub(super) fn new(app: &'a TestApp) -> Self {
        Self {
            app,
            marker: format!("kanarie{:016x}", fresh_number()),
            made_up: Vec::new(),
            real: vec![Canary::new("the root key", &app.root_key)],
        }
    }

    /// What to search for, and what the made-up secrets were for, by their number.
    pub(super) fn into_canaries(mut self) -> (Vec<Canary>, Vec<String>) {
        self.real.push(Canary::new("a made-up secret", self.marker.as_bytes()));
        (self.real, self.made_up)
    }

    /// A fresh secret. Its first part has no character that any encoding changes; its last part has those that all do.
    fn canary(&mut self, name: impl Into<String>) -> String {
        self.made_up.push(name.into());
        format!("{}n{:03} \"+/=&%é", self.marker, self.made_up.len())
    }

    /// Lines of base64 of a PEM, each a canary: a leak need not be whole.
    fn pem(&mut self, name: &str, pem: &str) {
        let lines: Vec<_> = pem.lines().filter(|line| line.len() == 64).collect();
        for line in [lines[0], lines[lines.len() / 2], lines[lines.len() - 1]] {
            self.real.push(Canary::new(name, line.as_bytes()));
            let der = data_encoding::BASE64.decode(line.as_bytes()).unwrap();
            self.real.push(Canary::new(format!("{name}, decoded"), &der));
        }
    }

    /// Secrets that are taken: created, replaced, and in a body of JSON.
    pub(super) async fn good_secrets(&mut self) {
        let owner = self.app.account("a");
        self.pem("the certificate", &apns_certificate());
        self.pem("the private key", &apns_private_key());
        self.pem("another private key", &canonical_pem(OTHER_KEY, "RSA PRIVATE KEY"));
        let form = [
            ("Type", "apn"),
            ("Certificate", apns_pair()),
            ("PrivateKey", apns_pair()),
        ];
        let created = owner.post(LIST, &form).await.json(201);
        let path = format!("{LIST}/{}", created["sid"].as_str().unwrap());
        owner
            .post(&path, &[("PrivateKey", OTHER_KEY), ("Sandbox", "true")])
            .await
            .json(200);

        for (push_service, parameter) in [("fcm", "Secret"), ("gcm", "ApiKey")] {
            let first = self.canary(format!("{parameter} of {push_service}"));
            let created = owner
                .post(LIST, &[("Type", push_service), (parameter, &first)])
                .await
                .json(201);
            let path = format!("{LIST}/{}", created["sid"].as_str().unwrap());
            let second = self.canary(format!("{parameter} of {push_service}, replaced"));
            owner.post(&path, &[(parameter, &second)]).await.json(200);
            let third = self.canary(format!("{parameter} of {push_service} in JSON"));
            owner.post_json(&path, &json!({ parameter: third })).await.json(200);
            let twice = self.canary(format!("{parameter} of {push_service}, the one that does not count"));
            let body = format!("{parameter}={twice}&{parameter}=x");
            owner.post_body(&path, FORM, body).await.json(200);
            owner.get(&path).await.json(200);
            owner.delete(&path).await;
        }
        let account = service_account(&self.canary("the key of a service account"));
        owner
            .post(LIST, &[("Type", "fcm"), ("Secret", &account)])
            .await
            .json(201);
        owner.get(LIST).await.json(200);
    }

    /// Every secret parameter on every type, under its own name and under wrong ones, as text and as other JSON values.
    pub(super) async fn secrets_where_they_do_not_belong(&mut self) {
        let owner = self.app.account("a");
        let existing = owner.post(LIST, &[("Type", "fcm"), ("Secret", "s")]).await.json(201);
        let path = format!("{LIST}/{}", existing["sid"].as_str().unwrap());
        for push_service in ["apn", "fcm", "gcm", "none"] {
            for parameter in PARAMETERS {
                let secret = self.canary(format!("{parameter} on {push_service}"));
                owner.post(LIST, &[("Type", push_service), (parameter, &secret)]).await;
                let secret = self.canary(format!("{parameter} on {push_service}, update"));
                owner.post(&path, &[("Type", push_service), (parameter, &secret)]).await;
                let secret = self.canary(format!("{parameter} on {push_service}, with another fault"));
                let form = [("Type", push_service), (parameter, &secret), ("Sandbox", "perhaps")];
                owner.post(LIST, &form).await;
            }
        }
        for parameter in MISSPELT {
            let secret = self.canary(format!("misspelt {parameter}"));
            owner
                .post(LIST, &[("Type", "fcm"), (parameter, &secret)])
                .await
                .json(201);
            owner
                .post_json(LIST, &json!({ "Type": "fcm", parameter: secret }))
                .await
                .json(201);
        }
        for parameter in ["Type", "Sandbox"] {
            let secret = self.canary(format!("a secret as {parameter}"));
            owner
                .post(LIST, &[("Type", "apn"), (parameter, &secret)])
                .await
                .json(400);
        }
        // A name too long is refused, so it is told to nobody: perhaps it is a secret in the wrong field.
        let secret = self.canary("a secret as a name too long").repeat(3);
        owner
            .post(LIST, &[("Type", "apn"), ("FriendlyName", &secret)])
            .await
            .json(400);
        for parameter in PARAMETERS {
            let secret = self.canary(format!("{parameter} as an array"));
            owner
                .post_json(LIST, &json!({ "Type": "fcm", parameter: [secret] }))
                .await
                .json(400);
            let secret = self.canary(format!("{parameter} as an object"));
            owner
                .post_json(LIST, &json!({ "Type": "fcm", parameter: { "x": secret } }))
                .await
                .json(400);
            let secret = self.canary(format!("{parameter} as the name in an object"));
            owner
                .post_json(LIST, &json!({ "Type": "fcm", parameter: { secret: 1 } }))
                .await
                .json(400);
        }
    }

    /// Bodies that end in a parser, in a decoder or at a limit.
    pub(super) async fn broken_bodies(&mut self) {
        let owner = self.app.account("a");
        for (name, damage) in [
            (
                "PEM with a secret for base64",
                "-----BEGIN PRIVATE KEY-----\nCANARY\n-----END PRIVATE KEY-----",
            ),
            ("PEM without an end", "-----BEGIN PRIVATE KEY-----\nCANARY"),
            (
                "PEM with a secret for a label",
                "-----BEGIN CANARY-----\nAAAA\n-----END CANARY-----",
            ),
            (
                "a secret around PEM",
                "CANARY\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\nCANARY",
            ),
        ] {
            for parameter in ["Certificate", "PrivateKey"] {
                let pem = damage.replace("CANARY", &self.canary(format!("{name}, {parameter}")));
                owner.post(LIST, &[("Type", "apn"), (parameter, &pem)]).await.json(400);
            }
        }
        let around = format!("{}\n{}", self.canary("text around a good key"), apns_pair());
        owner
            .post(LIST, &[("Type", "apn"), ("PrivateKey", &around)])
            .await
            .json(201);
        self.pem("an encrypted key", ENCRYPTED_KEY);
        owner
            .post(LIST, &[("Type", "apn"), ("PrivateKey", ENCRYPTED_KEY)])
            .await
            .json(400);

        for (name, body) in [
            ("JSON cut off", "{\"Type\": \"fcm\", \"Secret\": \"CANARY"),
            ("JSON with a secret outside quotes", "{\"Type\": CANARY}"),
            ("JSON with a secret after its end", "{\"Type\": \"fcm\"} CANARY"),
            ("JSON that is a secret", "\"CANARY\""),
            ("JSON with a bad escape", "{\"Secret\": \"CANARY\\ud800\"}"),
        ] {
            let body = body.replace("CANARY", &self.canary(name).replace('"', ""));
            owner.post_body(LIST, "application/json", body).await.json(400);
        }
        for (name, content_type) in [
            ("plain text", "text/plain"),
            ("multipart", "multipart/form-data; boundary=x"),
        ] {
            let body = format!("Type=fcm&Secret={}", self.canary(name));
            owner.post_body(LIST, content_type, body).await.json(415);
        }
        let secret = self.canary("a media type");
        let content_type = secret.split(' ').next().unwrap();
        owner.post_body(LIST, content_type, "x").await.json(415);
        let body = format!("Type=fcm&Secret=%ff{}", self.canary("text that is not UTF-8"));
        owner.post_body(LIST, FORM, body).await.json(400);
        let long = self.canary("a secret too long to seal").repeat(3000);
        owner.post(LIST, &[("Type", "fcm"), ("Secret", &long)]).await.json(400);
        let longer = format!("Type=fcm&Secret={}", self.canary("a body too long").repeat(12_000));
        owner.post_body(LIST, FORM, longer).await.json(413);
        let cut_off = format!(
            "POST {LIST} HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nContent-Type: {FORM}\r\nContent-Length: 999\r\n\r\n\
             Type=fcm&Secret={}",
            self.app.host(),
            owner.authorization(),
            self.canary("a body cut off")
        );
        self.app.raw_recorded(cut_off.as_bytes());
    }

    /// Tokens, right and wrong, and headers that are none.
    pub(super) async fn credentials_of_callers(&mut self) {
        let account = self.app.account_named("a");
        let key = self.app.api_key("a");
        for client in [self.app.account("a"), key] {
            client.get(LIST).await.json(200);
            client.post(LIST, &[]).await.json(400);
            let (user_name, secret) = client.credentials.clone().unwrap();
            self.real
                .push(Canary::new(format!("the secret of {user_name}"), secret.as_bytes()));
        }
        let secret = self.canary("a wrong token");
        for user_name in [account.sid.as_str(), "AC0123456789abcdef0123456789abcdef", "admin"] {
            let client = self.app.with_credentials(user_name, &secret);
            client.get(LIST).await.json(401);
            client.post(LIST, &[("Type", "fcm")]).await.json(401);
        }
        // People paste the token where the SID belongs.
        let secret = self.canary("a secret as a user name");
        self.app
            .with_credentials(&secret, "x")
            .post(LIST, &[("Type", "fcm")])
            .await
            .json(401);
        let anonymous = self.app.anonymous();
        for header in [
            "authorization",
            "x-twilio-signature",
            "cookie",
            "idempotency-key",
            "traceparent",
            "if-match",
        ] {
            let secret = self.canary(format!("the header {header}")).replace('é', "");
            for value in [secret.clone(), format!("Bearer {secret}"), format!("Basic {secret}")] {
                let request = anonymous.request(Method::POST, LIST).header(header, value);
                anonymous.send(request.form(&[("Type", "fcm")])).await.json(401);
            }
        }
    }

    /// Secrets in places that proxies log. A query is told back to nobody, but where it is a filter of events that makes
    /// sense.
    pub(super) async fn paths_and_queries(&mut self) {
        let owner = self.app.account("a");
        for (list, filters) in [
            (
                "/vault/v1/AuditEvents",
                &["Credential", "Action", "StartDate", "EndDate"][..],
            ),
            (
                "/v1/Events",
                &[
                    "ActorSid",
                    "EventType",
                    "ResourceSid",
                    "SourceIpAddress",
                    "StartDate",
                    "EndDate",
                ],
            ),
        ] {
            for parameter in filters {
                let secret = self.canary(format!("{parameter} in the query of {list}"));
                let request = owner.request(Method::GET, list).query(&[(parameter, &secret)]);
                owner.send(request).await.json(400);
            }
            // All that was recorded of what was sent before.
            owner.get(&format!("{list}?PageSize=1000")).await.json(200);
        }
        for parameter in ["PageSize", "Page", "PageToken", "Secret", "AuthToken"] {
            for target in [LIST, "/v2/Credentials/CR1", "/nowhere", "/healthz"] {
                let secret = self.canary(format!("{parameter} in the query of {target}"));
                let request = owner.request(Method::GET, target).query(&[(parameter, &secret)]);
                owner.send(request).await;
            }
        }
        let secret = self.canary("a method").split(' ').next().unwrap().to_owned();
        owner.send(owner.request(secret.parse().unwrap(), LIST)).await.json(405);
        for path in ["/v2/Credentials/CANARY", "/CANARY", "/v2/CANARY/CR1"] {
            let secret = self.canary(format!("the path {path}"));
            let secret = secret.split(' ').next().unwrap();
            for method in ["GET", "POST", "DELETE", "PUT"] {
                let request = format!(
                    "{method} {} HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                    path.replace("CANARY", secret),
                    self.app.host(),
                    owner.authorization()
                );
                assert!(self.app.raw(request.as_bytes()).contains(" 40"), "{method} {path}");
            }
        }
    }
}
