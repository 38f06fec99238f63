//! The schema can be distributed by account: every key of an account's data has the account in it.

use crate::harness::TestApp;

/// Tables that hold nothing of an account: they are copied to every node, or stay on one.
const NOT_OF_AN_ACCOUNT: [&str; 9] = [
    "_sqlx_migrations",
    "audit_checkpoints",
    "audit_hashes",
    "audit_prunings",
    "deployment",
    "recovery_recipients",
    "replicas",
    "root_keys",
    "signing_keys",
];

async fn names(app: &TestApp, query: &'static str) -> Vec<String> {
    sqlx::query_scalar(query).fetch_all(&app.pool).await.unwrap()
}

#[tokio::test]
async fn every_table_has_the_account_in_it_or_is_known_to_have_none() {
    let app = TestApp::spawn().await;
    let without = names(
        &app,
        "select relname::text from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
            and not exists (select from pg_attribute where attrelid = pg_class.oid and attname = 'account_sid')
        order by 1",
    )
    .await;
    assert_eq!(without, NOT_OF_AN_ACCOUNT);
}

#[tokio::test]
async fn every_key_of_an_accounts_data_begins_with_the_account() {
    let app = TestApp::spawn().await;
    // The leaves of the audit trail are in one order over all accounts.
    let unique = "select pg_class.relname || '.' || index.relname || ' ' || coalesce(first.attname, '(expression)')
        from pg_index
            join pg_class on pg_class.oid = indrelid
            join pg_class as index on index.oid = indexrelid
            left join pg_attribute as first on first.attrelid = indrelid and first.attnum = indkey[0]
            join pg_attribute as account on account.attrelid = indrelid and account.attname = 'account_sid'
        where pg_class.relnamespace = 'public'::regnamespace and indisunique
            and pg_class.relname <> 'audit_leaves'";
    let keys = names(&app, unique).await;
    assert!(keys.len() >= 8, "the keys were not found: {keys:?}");
    for key in keys {
        assert!(key.ends_with(" account_sid"), "{key}");
    }
    let without_primary_key = names(
        &app,
        "select relname::text from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
            and not exists (select from pg_index where indrelid = pg_class.oid and indisprimary)",
    )
    .await;
    assert_eq!(without_primary_key, Vec::<String>::new());
}

#[tokio::test]
async fn every_reference_between_accounts_data_is_within_one_account() {
    let app = TestApp::spawn().await;
    // A reference to a table that is on every node may be anything.
    let references = "select conrelid::regclass || '.' || conname || ' ' || coalesce(
            (select 'within'
            from unnest(conkey, confkey) as pair (from_column, to_column)
                join pg_attribute as f on f.attrelid = conrelid and f.attnum = from_column
                join pg_attribute as t on t.attrelid = confrelid and t.attnum = to_column
            where f.attname = 'account_sid' and t.attname = 'account_sid'), 'across')
        from pg_constraint
        where contype = 'f' and confrelid not in ('root_keys'::regclass, 'recovery_recipients'::regclass)";
    let references = names(&app, references).await;
    assert!(references.len() >= 6, "the references were not found: {references:?}");
    for reference in references {
        assert!(reference.ends_with(" within"), "{reference}");
    }
}
