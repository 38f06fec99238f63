//! A command whose event cannot be written changes nothing, and says so.

use std::time::{Duration, Instant};

use super::rotation::with_another_key;
use super::support::{Database, Deployment, run};

/// Everything that there is in the database.
const EVERYTHING: &str = "select schema_to_xml('public', true, false, '')::text";

const REFUSE: &str = "create function refuse() returns trigger language plpgsql as
    $$ begin raise exception 'no' using errcode = 'insufficient_privilege'; end $$";

/// What keeps events out, and what lets them in again.
const FAULTS: [(&str, &[&str], &[&str]); 4] = [
    (
        "the audit trail is locked",
        &["begin", "lock table audit_events in share mode"],
        &["rollback"],
    ),
    (
        "the audit trail takes no rows",
        &[
            REFUSE,
            "create trigger refuse before insert on audit_events for each row execute function refuse()",
        ],
        &["drop trigger refuse on audit_events", "drop function refuse()"],
    ),
    (
        "the database is read-only",
        &[
            "do $$ begin execute format('alter database %I set default_transaction_read_only = on', current_database()); end $$",
        ],
        &[
            "set default_transaction_read_only = off",
            "do $$ begin execute format('alter database %I reset default_transaction_read_only', current_database()); end $$",
        ],
    ),
    (
        "the audit trail is gone",
        &["alter table audit_events rename to gone"],
        &["alter table gone rename to audit_events"],
    ),
];

async fn execute(database: &Database, statements: &[&'static str]) {
    for &statement in statements {
        database.execute(statement).await;
    }
}

#[tokio::test]
async fn a_command_whose_event_cannot_be_written_changes_nothing() {
    let deployment = with_another_key(Deployment::migrated());
    let other = deployment.setting("OTHER_KEK__FILE").to_owned();
    let deployment = deployment
        .without("OTHER_KEK__FILE")
        .with("DATABASE__STATEMENT_TIMEOUT_SECONDS", "1");
    let account = deployment.create_account();
    let key = deployment.create_api_key(&account.sid);
    let database = deployment.database().await;
    let sid = account.sid.as_str();
    let commands: [&[&str]; 11] = [
        &["account", "create"],
        &["account", "suspend", sid],
        &["account", "rotate-token", sid],
        &["account", "rotate-token", sid, "--finish"],
        &["account", "rotate-key", sid],
        &["account", "destroy", sid],
        &["api-key", "create", sid],
        &["api-key", "revoke", sid, &key.sid],
        &["recovery", "init"],
        &["kek", "add"],
        // A refusal is an event too.
        &["account", "suspend", "AC00000000000000000000000000000bad"],
    ];
    for (fault, breaking, mending) in FAULTS {
        let before: String = database.value(EVERYTHING).await;
        execute(&database, breaking).await;
        for arguments in commands {
            let mut command = deployment.command(arguments);
            if arguments[0] == "kek" {
                command.env("PUSHVAULT__OTHER_KEK__FILE", &other);
            }
            let begun = Instant::now();
            let ended = run(command);
            assert_eq!(ended.code, Some(1), "{fault}, {arguments:?}: {}", ended.stdout);
            assert!(
                !ended.stdout.contains("auth_token"),
                "{fault}, {arguments:?}: a token that is none"
            );
            assert!(!ended.stderr.contains("\"target\":\"audit\""), "{fault}, {arguments:?}");
            assert!(begun.elapsed() < Duration::from_secs(30), "{fault}, {arguments:?}");
        }
        execute(&database, mending).await;
        let after: String = database.value(EVERYTHING).await;
        assert_eq!(after, before, "{fault}");
    }
    deployment.json(&["account", "suspend", sid]);
}
