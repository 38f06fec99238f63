//! `pushvault serve` from the empty database to its end.

use super::support::{Caller, Deployment};

#[tokio::test]
async fn migrate_then_an_account_then_serve() {
    let deployment = Deployment::empty();
    deployment.run(&["migrate"]).succeeded();
    let account = deployment.create_account();
    let service = deployment.serve();

    let caller = service.caller(&account);
    let sid = caller.register("a-name").await;
    assert_eq!(caller.fetch(&sid).await.status, 200);
    let wrong = service.caller_with(&account.sid, "canary-of-a-wrong-token");
    assert_eq!(wrong.is_let_in().await, (401, Some(20003)));
    assert_eq!(deployment.json(&["kek", "verify"])["opened"], 1);

    deployment.keep("canary-of-a-wrong-token");
    let printed = service.stop();
    assert!(printed.contains("pushvault stopped"), "{printed}");
    for line in printed.lines() {
        let event: serde_json::Value = serde_json::from_str(line).expect("each line of the log is JSON");
        assert!(event["timestamp"].is_string(), "{line}");
    }
}

#[tokio::test]
async fn health_readiness_and_the_verb_that_asks() {
    let deployment = Deployment::migrated();
    let service = deployment.serve();
    let anonymous = Caller::new(&service.url, "", "");
    let alive = anonymous.get("/healthz").await;
    assert_eq!((alive.status, alive.text("status")), (200, "alive"));
    let ready = anonymous.get("/readyz").await;
    assert_eq!((ready.status, ready.text("status")), (200, "ready"));
    let checks = ready.body["checks"].as_object().unwrap();
    let names: Vec<_> = checks.keys().map(String::as_str).collect();
    assert_eq!(names, ["audit", "clock", "database", "keyring", "schema"]);
    assert!(checks.values().all(|state| state == "ok"), "{ready:?}");

    let address = service.url.strip_prefix("http://").unwrap().to_owned();
    let port = address.rsplit_once(':').unwrap().1.to_owned();
    let asking = |listen: &str| {
        let mut command = deployment.command(&["healthcheck"]);
        command.env("PUSHVAULT__SERVER__LISTEN", listen);
        super::support::run(command)
    };
    asking(&address).succeeded();
    asking(&format!("0.0.0.0:{port}")).succeeded();

    let database = deployment.database().await;
    database.execute("delete from _sqlx_migrations").await;
    let ready = anonymous.get("/readyz").await;
    assert_eq!((ready.status, &ready.body["checks"]["schema"]), (503, &"failed".into()));
    asking(&address).succeeded();

    service.stop();
    asking(&address).refused(1, &[&address]);
}

#[tokio::test]
async fn what_will_lead_clients_astray_is_warned_of_once() {
    let deployment = Deployment::migrated().with("SERVER__PUBLIC_URL", "https://example.com");
    let service = deployment.serve();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for _ in 0..2 {
        let request = client
            .get(format!("{}/healthz", service.url))
            .header("X-Forwarded-Proto", "https");
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
    let printed = service.stop();
    let warnings: Vec<_> = printed
        .lines()
        .filter(|line| line.contains("\"WARN\""))
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["setting"].clone())
        .collect();
    assert_eq!(warnings, ["server.public_url", "server.trusted_proxies"], "{printed}");
}

#[tokio::test]
async fn the_root_key_from_a_passphrase_and_secrets_from_their_files() {
    let deployment = Deployment::empty();
    let address = deployment.write(
        "database-url",
        format!("{}\n", deployment.setting("DATABASE__URL")),
        0o600,
    );
    let passphrase = deployment.write("passphrase", "canary-passphrase-right\n", 0o600);
    let deployment = deployment
        .without("KEK__FILE")
        .with("KEK__PROVIDER", "passphrase")
        .with("KEK__PASSPHRASE_FILE", &passphrase.to_string_lossy())
        .with("KEK__PASSPHRASE", "canary-passphrase-of-the-environment")
        .with("DATABASE__URL_FILE", &address.to_string_lossy())
        .with("DATABASE__URL", "canary-passphrase-no-address-at-all");
    deployment.keep("canary-passphrase");
    deployment.run(&["migrate"]).succeeded();
    let account = deployment.create_account();
    let service = deployment.serve();
    let sid = service.caller(&account).register("sealed-under-a-passphrase").await;
    service.stop();

    // Other costs count for a new passphrase only: the ones it was first used with stand in the database.
    let deployment = deployment.with("KEK__PASSPHRASE_ITERATIONS", "1");
    let service = deployment.serve();
    assert_eq!(service.caller(&account).fetch(&sid).await.status, 200);
    let report = deployment.json(&["kek", "verify"]);
    assert_eq!(
        (&report["opened"], &report["findings"]),
        (&serde_json::json!(1), &serde_json::json!([]))
    );
    service.stop();

    // Were the passphrase of the environment the one that counts, this would be the wrong one.
    let deployment = deployment.without("KEK__PASSPHRASE_FILE");
    deployment.run(&["serve"]).refused(1, &["wrong root key"]);
    deployment.write("passphrase", "", 0o600);
    let deployment = deployment.with("KEK__PASSPHRASE_FILE", &passphrase.to_string_lossy());
    deployment.run(&["serve"]).refused(1, &["kek.passphrase_file", "empty"]);
}
