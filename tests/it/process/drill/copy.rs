//! What is compared between the database and its copy.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader};

use sqlx::AssertSqlSafe;

use crate::canary::Canary;
use crate::process::support::{Database, Postgres, Shell, clean, run};

/// All rows of a database, as they are at one moment.
#[derive(PartialEq, Eq)]
pub(super) struct Contents {
    /// How many rows each table has, and a fingerprint of all that is in them.
    tables: BTreeMap<String, (i64, String)>,
    /// How many events there are of each action and outcome.
    actions: BTreeMap<String, i64>,
    events: BTreeSet<String>,
}

impl Contents {
    pub(super) async fn of(database: &Database) -> Self {
        let names: Vec<(String,)> = database
            .rows(
                "select relname::text from pg_class
                where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace
                    -- Who lives changes by itself, and so does what is sealed, which `audit verify` looks at.
                    and relname not in (
                        'replicas', 'audit_unsealed', 'audit_leaves', 'audit_hashes', 'audit_checkpoints'
                    )",
            )
            .await;
        let mut tables = BTreeMap::new();
        for (name,) in names {
            let rows = database
                .rows(AssertSqlSafe(format!(
                    "select count(*), coalesce(md5(string_agg(row, '' order by row)), '')
                    from (select md5(t::text) as row from {name} as t) as rows"
                )))
                .await;
            tables.extend(rows.into_iter().map(|row| (name.clone(), row)));
        }
        let actions: Vec<(String, i64)> = database
            .rows("select action || ' ' || outcome, count(*) from audit_events group by 1")
            .await;
        Self {
            tables,
            actions: actions.into_iter().collect(),
            events: events(database).await,
        }
    }

    /// Insists that a copy has the same, no more and no less.
    pub(super) fn assert_same(&self, copy: &Self) {
        assert_eq!(copy.tables, self.tables);
        assert_eq!(copy.actions, self.actions);
        assert_eq!(copy.events, self.events);
    }

    /// The events that the database has got since.
    pub(super) async fn events_since(&self, database: &Database) -> BTreeSet<String> {
        events(database).await.difference(&self.events).cloned().collect()
    }

    pub(super) fn rows(&self, table: &str) -> u64 {
        u64::try_from(self.tables[table].0).unwrap()
    }
}

async fn events(database: &Database) -> BTreeSet<String> {
    let events: Vec<(String,)> = database.rows("select event_sid from audit_events").await;
    events.into_iter().map(|(sid,)| sid).collect()
}

/// The schema with its triggers, constraints and grants, in the words of `pg_dump`.
pub(super) fn schema(server: &Postgres) -> String {
    let mut command = clean(std::process::Command::new(server.programs().join("pg_dump")));
    command.args(["--schema-only", "--dbname", &server.url("pushvault")]);
    let schema = run(command).succeeded().stdout;
    // A word that is another one each time.
    let lines = schema
        .lines()
        .filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"));
    let schema = lines.collect::<Vec<_>>().join("\n");
    assert!(schema.contains("audit_events_append_only"), "{schema}");
    assert!(
        schema.contains("GRANT SELECT,INSERT ON TABLE public.audit_events TO pushvault_service"),
        "{schema}"
    );
    schema
}

/// Insists that a dump, written out as text, holds none of the secrets and yet what it should: the name of a credential.
pub(super) fn assert_dump_is_silent(shell: &Shell, canaries: &[Canary], name: &str) {
    shell.sh("pg_restore --file=plain.sql pushvault.dump").succeeded();
    let plain = BufReader::new(File::open(shell.path().join("plain.sql")).unwrap());
    let mut named = false;
    for line in plain.lines() {
        let line = line.unwrap();
        for canary in canaries {
            assert_eq!(canary.found_in(&line), None, "a secret is in the dump");
        }
        named |= line.contains(name);
    }
    assert!(named, "{name} is not in the dump: it was not read");
}
