//! The service's own OpenAPI document: it has what the routes have, it has all that Twilio's documents have, and it can be
//! read in a browser without a network.

use std::collections::{BTreeMap, BTreeSet};

use pushvault::http::endpoints;
use serde_json::{Map, Value, json};

use crate::harness::TestApp;

/// Twilio's documents, and the path under which their paths stand here.
const TWILIO: [(&str, &str); 7] = [
    (
        "/chat",
        include_str!("../data/twilio-openapi/twilio_chat_v1_credentials.json"),
    ),
    (
        "/chat",
        include_str!("../data/twilio-openapi/twilio_chat_v2_credentials.json"),
    ),
    (
        "/ip-messaging",
        include_str!("../data/twilio-openapi/twilio_ip_messaging_v1_credentials.json"),
    ),
    (
        "/ip-messaging",
        include_str!("../data/twilio-openapi/twilio_ip_messaging_v2_credentials.json"),
    ),
    (
        "/notify",
        include_str!("../data/twilio-openapi/twilio_notify_v1_credentials.json"),
    ),
    (
        "/conversations",
        include_str!("../data/twilio-openapi/twilio_conversations_v1_credentials.json"),
    ),
    (
        "/monitor",
        include_str!("../data/twilio-openapi/twilio_monitor_v1_events.json"),
    ),
];

/// A document whose references can be followed.
struct Document(Value);

impl Document {
    async fn ours(app: &TestApp) -> Self {
        Self(app.anonymous().get("/openapi.json").await.json(200))
    }

    /// The operations: method, path, operation.
    fn operations(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        object(&self.0["paths"]).iter().flat_map(|(path, item)| {
            object(item)
                .iter()
                .filter(|(method, _)| ["get", "post", "put", "patch", "delete"].contains(&method.as_str()))
                .map(move |(method, operation)| (method.as_str(), path.as_str(), operation))
        })
    }

    /// What a schema is, behind its reference if it is one.
    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            None => schema,
            Some(reference) => {
                let pointer = reference.strip_prefix('#').unwrap();
                let target = self.0.pointer(pointer);
                self.resolve(target.unwrap_or_else(|| panic!("{reference} leads nowhere")))
            }
        }
    }
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap_or_else(|| panic!("no object: {value}"))
}

/// The types that a schema allows, in the spelling of either version of OpenAPI.
fn types(schema: &Value) -> BTreeSet<&str> {
    let mut types: BTreeSet<_> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        other => other.as_str().into_iter().collect(),
    };
    if schema["nullable"] == true {
        types.insert("null");
    }
    types
}

fn texts(values: &Value) -> BTreeSet<&str> {
    values
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// Everything that their schema says of an answer or a parameter, ours says too. Ours may say more: a value that is never
/// null, a parameter that they do not have.
fn holds(place: &str, theirs: (&Document, &Value), ours: (&Document, &Value)) {
    let (their, our) = (theirs.0.resolve(theirs.1), ours.0.resolve(ours.1));
    // A schema of theirs that names no type allows every one.
    assert!(
        (their["type"].is_null() || types(our).is_subset(&types(their))) && !types(our).is_empty(),
        "{place}: {:?} is not {:?}",
        types(our),
        types(their)
    );
    assert_eq!(texts(&our["enum"]), texts(&their["enum"]), "{place}: enum");
    // Their prose says that an actor may be an account; their pattern knows users alone, whom nobody here is.
    let is_actor = ["actor_sid", "ActorSid"].iter().any(|name| place.contains(name));
    for key in ["format", "pattern", "minLength", "maxLength", "minimum"] {
        if !their[key].is_null() && (key != "pattern" || !is_actor) {
            assert_eq!(our[key], their[key], "{place}: {key}");
        }
    }
    assert!(
        texts(&our["required"]).is_superset(&texts(&their["required"])),
        "{place}: required"
    );
    if let Some(properties) = their["properties"].as_object() {
        for (name, property) in properties {
            let place = format!("{place}.{name}");
            assert!(!our["properties"][name].is_null(), "{place} is missing");
            holds(&place, (theirs.0, property), (ours.0, &our["properties"][name]));
        }
    }
    if !their["items"].is_null() {
        holds(
            &format!("{place}[]"),
            (theirs.0, &their["items"]),
            (ours.0, &our["items"]),
        );
    }
}

fn parameters_hold(place: &str, theirs: (&Document, &Value), ours: (&Document, &Value)) {
    for their in theirs.1["parameters"].as_array().into_iter().flatten() {
        let our = ours.1["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|our| our["name"] == their["name"] && our["in"] == their["in"])
            .unwrap_or_else(|| panic!("{place}: {} is missing", their["name"]));
        let place = format!("{place} {}", their["name"]);
        assert_eq!(our["required"] == true, their["required"] == true, "{place}: required");
        holds(&place, (theirs.0, &their["schema"]), (ours.0, &our["schema"]));
    }
    for (media_type, content) in theirs.1["requestBody"]["content"].as_object().into_iter().flatten() {
        let our = &ours.1["requestBody"]["content"][media_type]["schema"];
        holds(
            &format!("{place} {media_type}"),
            (theirs.0, &content["schema"]),
            (ours.0, our),
        );
    }
}

fn answers_hold(place: &str, theirs: (&Document, &Value), ours: (&Document, &Value)) {
    for (status, their) in object(&theirs.1["responses"]) {
        let place = format!("{place} {status}");
        let our = &ours.1["responses"][status];
        assert!(!our.is_null(), "{place} is missing");
        for (media_type, content) in their["content"].as_object().into_iter().flatten() {
            let schema = &our["content"][media_type]["schema"];
            holds(&place, (theirs.0, &content["schema"]), (ours.0, schema));
        }
    }
}

#[tokio::test]
async fn every_path_parameter_status_and_schema_of_twilios_documents_is_in_ours() {
    let ours = Document::ours(&TestApp::spawn().await).await;
    let mut compared = 0;
    for (prefix, text) in TWILIO {
        let theirs = Document(serde_json::from_str(text).unwrap());
        for (method, path, their) in theirs.operations() {
            let path = format!("{prefix}{path}");
            let our = &ours.0["paths"][&path][method];
            let place = format!("{method} {path}");
            assert!(!our.is_null(), "{place} is missing");
            let id = their["operationId"].as_str().unwrap();
            assert!(our["operationId"].as_str().unwrap().ends_with(id), "{place}: {id}");
            assert_eq!(our["security"], their["security"], "{place}");
            parameters_hold(&place, (&theirs, their), (&ours, our));
            answers_hold(&place, (&theirs, their), (&ours, our));
            compared += 1;
        }
    }
    assert_eq!(
        compared,
        6 * 5 + 2,
        "six surfaces have five operations each, and Monitor two"
    );
}

#[tokio::test]
async fn the_document_has_the_routes_and_no_other() {
    let ours = Document::ours(&TestApp::spawn().await).await;
    let documented: BTreeSet<_> = ours
        .operations()
        .map(|(method, path, _)| (method.to_uppercase(), path.replace("{Sid}", "{sid}")))
        .collect();
    let routed: BTreeSet<_> = endpoints()
        .into_iter()
        .filter(|endpoint| !endpoint.path.starts_with("/docs") && endpoint.path != "/openapi.json")
        .map(|endpoint| (endpoint.method, endpoint.path))
        .collect();
    assert_eq!(documented, routed);
    let ids: BTreeSet<_> = ours
        .operations()
        .map(|(.., operation)| operation["operationId"].to_string())
        .collect();
    assert_eq!(ids.len(), documented.len(), "an operation's name is not its own");
}

#[tokio::test]
async fn the_document_has_no_reference_that_leads_nowhere() {
    let ours = Document::ours(&TestApp::spawn().await).await;
    let mut open = vec![&ours.0];
    let mut references = 0;
    while let Some(value) = open.pop() {
        if !value["$ref"].is_null() {
            ours.resolve(value);
            references += 1;
        }
        match value {
            Value::Object(members) => open.extend(members.values()),
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    assert!(references > 50, "only {references} references");
}

#[tokio::test]
async fn a_link_leads_from_a_create_to_what_can_be_done_with_the_credential() {
    let ours = Document::ours(&TestApp::spawn().await).await;
    let paths: BTreeMap<_, _> = ours
        .operations()
        .map(|(_, path, operation)| (operation["operationId"].as_str().unwrap(), path))
        .collect();
    let mut creates = 0;
    for (_, path, operation) in ours.operations() {
        let Some(links) = operation["responses"]["201"]["links"].as_object() else {
            continue;
        };
        let names: Vec<_> = links.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            ["DeleteCredential", "FetchCredential", "UpdateCredential"],
            "{path}"
        );
        for link in links.values() {
            let target = paths[link["operationId"].as_str().unwrap()];
            assert_eq!(target, format!("{path}/{{Sid}}"));
            assert_eq!(link["parameters"], json!({ "Sid": "$response.body#/sid" }), "{path}");
        }
        creates += 1;
    }
    assert_eq!(creates, 8, "six surfaces, and two bare paths");
}

#[tokio::test]
async fn the_examples_of_bodies_are_accepted() {
    let app = TestApp::spawn().await;
    let owner = app.account("a");
    let ours = Document::ours(&app).await;
    let credential = owner
        .post_json("/v2/Credentials", &json!({ "Type": "fcm" }))
        .await
        .json(201);
    let mut sent = 0;
    for (_, path, operation) in ours.operations() {
        let path = path.replace("{Sid}", credential["sid"].as_str().unwrap());
        for (media_type, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
            let example = object(&content["example"]);
            let answer = if media_type == "application/json" {
                owner.post_json(&path, &content["example"]).await
            } else {
                let form: Vec<_> = example
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
                    .collect();
                owner.post(&path, &form).await
            };
            assert!([200, 201].contains(&answer.status), "{path}: {}", answer.body);
            sent += 1;
        }
    }
    assert_eq!(sent, 8 * 2 * 2);
}

#[tokio::test]
async fn the_page_loads_everything_from_the_service_itself() {
    let app = TestApp::spawn().await;
    let anonymous = app.anonymous();
    let page = anonymous.get("/docs").await;
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(!page.body.contains("//"), "the page names another place: {}", page.body);

    let loaded: Vec<_> = ["src=\"", "href=\""]
        .into_iter()
        .flat_map(|attribute| page.body.split(attribute).skip(1))
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert_eq!(loaded.len(), 4, "{loaded:?}");
    for (path, content_type) in loaded.iter().map(|path| {
        let extension = path.rsplit('.').next().unwrap();
        let content_type = match extension {
            "css" => "text/css",
            "js" => "text/javascript",
            _ => "image/png",
        };
        (path, content_type)
    }) {
        let file = anonymous.get(path).await;
        assert_eq!(file.status, 200, "{path}");
        assert!(file.header("content-type").unwrap().starts_with(content_type), "{path}");
        assert!(!file.body.is_empty(), "{path}");
    }
    let script = anonymous.get("/docs/pushvault.js").await;
    assert!(script.body.contains("url: \"/openapi.json\""));
    anonymous.get("/docs/index.html").await.is_not_found("/docs/index.html");
}
