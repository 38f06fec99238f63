//! Databases: one for each test, copied from a migrated template.

use std::sync::{Condvar, Mutex, OnceLock};

use pushvault::config::Settings;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::server::server;
use super::{block_on, fresh_number, runtime};

/// Tests with a database at the same time, at most: each keeps a few connections, of which a server has about a hundred.
const SEATS: usize = 12;

/// A database that only one test uses, and that goes away with this value.
pub(crate) struct TestDatabase {
    name: String,
    url: String,
}

/// An empty database, not migrated.
pub(crate) fn fresh_database() -> TestDatabase {
    TestDatabase::create("template0")
}

/// A database with the schema of this binary.
pub(crate) fn migrated_database() -> TestDatabase {
    static TEMPLATE: OnceLock<TestDatabase> = OnceLock::new();
    if server().is_ours() {
        TestDatabase::create(&TEMPLATE.get_or_init(newly_migrated_database).name)
    } else {
        // A template would stay behind in somebody else's server: nothing of ours runs after the last test.
        newly_migrated_database()
    }
}

/// A database that was migrated just now, not copied: the schema looks at what the server has at that moment.
pub(crate) fn newly_migrated_database() -> TestDatabase {
    let database = fresh_database();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("settings.toml");
    std::fs::write(&file, format!("[database]\nurl = {:?}\n", database.url())).unwrap();
    let settings = Settings::load(Some(&file)).unwrap();
    block_on(|| pushvault::app::migrate(&settings)).unwrap();
    database
}

impl TestDatabase {
    /// Its address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    fn create(template: &str) -> Self {
        SEAT.with(|_seat| ());
        let name = format!("pushvault_test_{:016x}", fresh_number());
        let statement = format!("create database {name} template {template}");
        block_on(|| administer(statement)).unwrap();
        Self {
            url: server().url(&name),
            name,
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let removal = administer(format!("drop database if exists {} with (force)", self.name));
        if server().is_ours() {
            // It only saves room, so nobody waits for it or asks how it went.
            runtime::handle().spawn(removal);
        } else if let Err(error) = block_on(|| removal) {
            assert!(
                std::thread::panicking(),
                "the database {} stays behind: {error}",
                self.name
            );
        }
    }
}

/// Runs a statement about whole databases. Their names can be no parameters; they are made here, of digits.
async fn administer(statement: String) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(&server().maintenance_url()).await?;
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
    connection.close().await
}

thread_local! {
    /// The seat of the test that runs on this thread. The test runner gives every test a thread, so a test that asks for
    /// a second database has its seat already, and never waits for itself.
    static SEAT: Seat = Seat::take();
}

static TAKEN: Mutex<usize> = Mutex::new(0);
static FREED: Condvar = Condvar::new();

struct Seat;

impl Seat {
    fn take() -> Self {
        let taken = TAKEN.lock().unwrap();
        *FREED.wait_while(taken, |taken| *taken >= SEATS).unwrap() += 1;
        Self
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap() -= 1;
        FREED.notify_one();
    }
}
