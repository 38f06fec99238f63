//! Migrations expand: what the previous release reads and writes stays, and no table is locked for long. Two versions of the
//! program run side by side on the schema of the newer one.

use std::fs;

use data_encoding::HEXLOWER;

use crate::source::{read, root};

/// Statements that take away or lock, in a migration that may: the file, how the statement begins, and why it hurts nobody.
const EXCEPTIONS: [(&str, &str, &str); 5] = [
    (
        "0004_key_states.sql",
        "alter table root_keys drop constraint root_keys_state_known",
        "the next statement allows the same and more; the previous release asks for the primary key alone",
    ),
    (
        "0004_key_states.sql",
        "alter table account_keys drop constraint account_keys_state_known",
        "the next statement allows the same and more; the previous release asks for primary keys, and by version",
    ),
    (
        "0004_key_states.sql",
        "alter table account_keys drop constraint account_keys_wrapped_length",
        "the next statement allows more; the previous release reads keys of 60 bytes until a provider makes longer ones",
    ),
    (
        "0006_destroy.sql",
        "alter table accounts drop constraint accounts_status_known",
        "the next statement allows the same and more; no account is destroyed before the new release is everywhere",
    ),
    (
        "0010_audit_queue.sql",
        "create index audit_unsealed_oldest_first",
        "the queue holds what came within a second; right after 0009 it holds a row for each event, and writers wait for it",
    ),
];

/// How the checksum of each migration begins. A database that has run one refuses the next release if the file is another
/// by then: what is wrong with a migration is put right by the next one. A new migration gets a line here.
const CHECKSUMS: [(&str, &str); 11] = [
    ("0001_initial.sql", "11104c72133feaeb"),
    ("0002_idempotency_keys.sql", "f94b9f7d6ffc7875"),
    ("0003_key_channel.sql", "5fb328e8528e3309"),
    ("0004_key_states.sql", "4a648470f50de4cb"),
    ("0005_recovery.sql", "e82b712a052ff5ea"),
    ("0006_destroy.sql", "15181a830689f80d"),
    ("0007_audit_trail.sql", "9e672c38fc546491"),
    ("0008_rights.sql", "5aadc2a0ef0eebdc"),
    ("0009_audit_backlog.sql", "fe84741efb1db111"),
    ("0010_audit_queue.sql", "c2ff25b2ccffde5e"),
    ("0011_audit_written_at.sql", "7d1ac1c66a6ca3ff"),
];

#[test]
fn migrations_that_databases_have_run_do_not_change() {
    let found: Vec<_> = sqlx::migrate!("./migrations")
        .iter()
        .map(|migration| {
            let name = format!(
                "{:04}_{}.sql",
                migration.version,
                migration.description.replace(' ', "_")
            );
            (name, HEXLOWER.encode(&migration.checksum[..8]))
        })
        .collect();
    let expected = CHECKSUMS.map(|(name, checksum)| (name.to_owned(), checksum.to_owned()));
    assert_eq!(found, expected);
}

#[test]
fn migrations_only_expand_unless_a_reason_is_given() {
    let mut found = 0;
    for entry in fs::read_dir(root().join("migrations")).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        for (statement, objection) in objections(&read(&format!("migrations/{file}"))) {
            let is_excepted = |(of, beginning, reason): &(&str, &str, &str)| {
                *of == file && statement.starts_with(beginning) && !reason.is_empty()
            };
            assert!(
                EXCEPTIONS.iter().any(is_excepted),
                "migrations/{file}: {objection}: {statement}"
            );
        }
        found += 1;
    }
    assert!(found > 1, "the migrations were not found");
}

#[test]
fn what_takes_away_or_locks_is_objected_to() {
    for statement in [
        "drop table t",
        "alter table t drop column c",
        "alter table t rename column c to d",
        "alter table t alter column c type bigint",
        "alter table t alter column c set not null",
        "alter table t add column c text not null",
        "alter table t add column c uuid default gen_random_uuid()",
        "alter table t add constraint t_c check (c > 0)",
        "alter table t add column c text references u",
        "create index t_c on t (c)",
        "create unique index concurrently t_c on t (c)",
        "lock table t",
        "truncate t",
        "update t set c = 0",
        "delete from t",
        "revoke insert on t from r",
        "do $$ begin drop table t; end $$",
        "-- not this line\nDrop\n  Table t",
    ] {
        assert_eq!(objections(statement).len(), 1, "{statement}");
    }
}

#[test]
fn what_adds_is_not_objected_to() {
    for file in [
        "alter table t add column c text; alter table t add column d integer not null default 0;",
        "alter table t add constraint t_c check (c > 0) not valid; alter table t validate constraint t_c;",
        "-- no-transaction\ncreate index concurrently t_c on t (c);",
        "create table u (c text, constraint u_c check (c <> 'drop; truncate')); create unique index u_c on u (c);",
        "create function f() returns trigger language plpgsql as $$ begin return new; end $$;
         create trigger t_f after update or delete on t for each row execute function f();",
        "do $$ begin if exists (select) then grant select, update on t to r; end if; end $$;",
    ] {
        assert_eq!(objections(file), [], "{file}");
    }
}

/// The statements of a migration that take away or lock, each with what is wrong with it.
fn objections(text: &str) -> Vec<(String, &'static str)> {
    let statements = statements(text);
    let made_here: Vec<_> = statements
        .iter()
        .filter_map(|statement| statement.strip_prefix("create table ")?.split(' ').next())
        .collect();
    statements
        .iter()
        .filter(|statement| !table_of(statement).is_some_and(|table| made_here.contains(&table)))
        .filter_map(|statement| Some((statement.clone(), objection(statement)?)))
        .collect()
}

fn objection(statement: &str) -> Option<&'static str> {
    let has = |words: &str| format!(" {statement} ").contains(&format!(" {words} "));
    let begins = |words: &str| format!("{statement} ").starts_with(&format!("{words} "));
    let alters = begins("alter table");
    let adds_column = alters && has("add column");
    if has("drop") || has("rename") || has("revoke") {
        Some("the previous release may still use what this takes away")
    } else if alters && has("type") {
        Some("the previous release may not read the other type, and the table is written anew under a lock")
    } else if alters && (has("set not null") || (has("not null") && !has("default"))) {
        Some("the previous release does not write this column")
    } else if adds_column && has("default") && statement.contains('(') && !has("default now()") {
        Some("a default that is computed for each row writes the table anew under a lock")
    } else if alters && (has("add constraint") || has("references") || has("check")) && !has("not valid") {
        Some("a constraint is checked under a lock: add it `not valid`, and validate it in a statement of its own")
    } else if begins("create unique index") {
        Some("the previous release may write what this refuses")
    } else if begins("create index") && !has("concurrently") {
        Some("writers wait for the index: make it `concurrently`, alone in a file that begins with `-- no-transaction`")
    } else if ["lock", "truncate", "cluster", "vacuum", "reindex"]
        .iter()
        .any(|word| begins(word))
    {
        Some("this locks a whole table")
    } else if begins("update") || begins("delete") {
        Some("rows that are changed stay locked until the end of the migration")
    } else {
        None
    }
}

/// The table that a statement is about, where it is one that others may use already.
fn table_of(statement: &str) -> Option<&str> {
    let words: Vec<_> = statement.split(' ').collect();
    match words.as_slice() {
        ["alter", "table", table, ..] => Some(table),
        ["create", ..] => {
            let on = words.iter().position(|word| *word == "on")?;
            words.get(on + 1).copied()
        }
        _ => None,
    }
}

/// The statements of a file, in lower case, with one blank between words and without comments and texts in quotes. A body
/// between `$$` counts as statements of its own if `do` runs it, and not at all if it is that of a function.
fn statements(text: &str) -> Vec<String> {
    let code: String = text
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default().to_lowercase() + " ")
        .collect();
    let code: String = code.split('\'').step_by(2).collect::<Vec<_>>().join("''");
    let mut outside = String::new();
    for (index, part) in code.split("$$").enumerate() {
        let is_body = index % 2 == 1;
        if !is_body {
            outside.push_str(part);
        } else if outside.trim_end().ends_with("do") {
            // What is run conditionally begins after a word of the language.
            let words = part
                .replace(" begin ", ";")
                .replace(" then ", ";")
                .replace(" else ", ";");
            outside.extend([";", &words, ";"]);
        }
    }
    outside
        .split(';')
        .map(|statement| statement.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|statement| !statement.is_empty())
        .collect()
}
