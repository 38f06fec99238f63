//! Random programs against a model of the list: a sorted vector, of which every page is a slice. The service has pages by
//! keyset queries instead, and must not be told apart from the model.

use std::collections::HashSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;
use tokio::runtime::Builder;

use super::{LIST, create, sid};
use crate::harness::{Client, TestApp, fresh_number};

/// How many programs each test runs.
const CASES: u32 = 32;

/// A row's place in the order of the list, the newest being the greatest: microseconds since 1970, and the SID.
type Key = (i64, String);

/// What a token stands for.
#[derive(Debug, Clone)]
enum Place {
    First,
    After(Key),
    Before(Key),
    /// At this row, if it is there: the way back from an empty page that was reached by `Before` it.
    StartingAt(Key),
    EndingAt(Key),
}

/// A URL that was answered, and what it must lead to.
#[derive(Debug, Clone)]
struct Link {
    url: String,
    place: Place,
}

/// A page as it was when it was fetched.
#[derive(Debug, Clone)]
struct Page {
    rows: Vec<Key>,
    next: Option<Link>,
    previous: Option<Link>,
}

#[derive(Debug, Clone)]
enum Step {
    /// A credential through the service: the newest of all.
    Create,
    /// A row of a chosen time and SID, as one that was restored or imported: it may stand anywhere.
    Insert(i64, u128),
    Delete(Index),
    /// Everything newer than the present page.
    DeleteNewer,
    /// Everything older than the present page.
    DeleteOlder,
    Resize(usize),
    First,
    Next,
    Previous,
}

/// Few instants, so that many rows share one, and the first and the last of all SIDs.
fn insert() -> impl Strategy<Value = Step> {
    let sid = prop_oneof![1 => Just(0), 1 => Just(u128::MAX), 6 => any::<u128>()];
    (-2_i64..3, sid).prop_map(|(micros, sid)| Step::Insert(micros, sid))
}

/// What may happen between two pages of a walk.
fn change() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Create),
        4 => insert(),
        4 => any::<Index>().prop_map(Step::Delete),
        1 => Just(Step::DeleteNewer),
        1 => Just(Step::DeleteOlder),
        1 => (1_usize..5).prop_map(Step::Resize),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => change(),
        1 => Just(Step::First),
        4 => Just(Step::Next),
        3 => Just(Step::Previous),
    ]
}

/// An account of its own, what its list must be, and a client somewhere in it.
struct World<'a> {
    app: &'a TestApp,
    owner: Client,
    account_sid: String,
    /// The rows that are there, newest first.
    rows: Vec<Key>,
    /// The SIDs that ever were: a deleted row keeps its own.
    taken: HashSet<String>,
    page_size: usize,
    page: Page,
}

impl<'a> World<'a> {
    async fn new(app: &'a TestApp, page_size: usize, rows: &[Step]) -> Self {
        let name = format!("{:x}", fresh_number());
        let mut world = Self {
            app,
            owner: app.account(&name),
            account_sid: app.account_named(&name).sid.to_string(),
            rows: Vec::new(),
            taken: HashSet::new(),
            page_size,
            page: Page {
                rows: Vec::new(),
                next: None,
                previous: None,
            },
        };
        for row in rows {
            world.take(row).await;
        }
        world.take(&Step::First).await;
        world
    }

    async fn take(&mut self, step: &Step) {
        match step {
            Step::Create => self.create().await,
            Step::Insert(micros, sid) => self.insert(*micros, format!("CR{sid:032x}")).await,
            Step::Delete(_) if self.rows.is_empty() => {}
            Step::Delete(index) => self.delete(index.get(&self.rows).clone()).await,
            Step::DeleteNewer => {
                if let Some(edge) = self.page.rows.first().cloned() {
                    self.delete_all(|row| *row > edge).await;
                }
            }
            Step::DeleteOlder => {
                if let Some(edge) = self.page.rows.last().cloned() {
                    self.delete_all(|row| *row < edge).await;
                }
            }
            Step::Resize(page_size) => self.page_size = *page_size,
            Step::First => self.visit(Some(self.first())).await,
            Step::Next => self.visit(self.page.next.clone()).await,
            Step::Previous => self.visit(self.page.previous.clone()).await,
        }
    }

    async fn create(&mut self) {
        let created = create(&self.owner, &[("Type", "gcm")]).await;
        // The API shows whole seconds, the order of the list does not.
        let micros = sqlx::query_scalar(
            "select (extract(epoch from created_at) * 1000000)::bigint from credentials where credential_sid = $1",
        )
        .bind(sid(&created))
        .fetch_one(&self.app.pool)
        .await
        .unwrap();
        self.note((micros, sid(&created).to_owned()));
    }

    async fn insert(&mut self, micros: i64, sid: String) {
        if self.taken.contains(&sid) {
            return;
        }
        sqlx::query(
            "insert into credentials (account_sid, credential_sid, push_service, sandbox, current_version, created_at)
            values ($1, $2, 'gcm', false, 1, timestamptz 'epoch' + $3 * interval '1 microsecond')",
        )
        .bind(&self.account_sid)
        .bind(&sid)
        .bind(micros)
        .execute(&self.app.pool)
        .await
        .unwrap();
        self.note((micros, sid));
    }

    fn note(&mut self, row: Key) {
        self.taken.insert(row.1.clone());
        let position = self.rows.partition_point(|other| *other > row);
        self.rows.insert(position, row);
    }

    async fn delete(&mut self, row: Key) {
        assert_eq!(self.owner.delete(&format!("{LIST}/{}", row.1)).await.status, 204);
        self.rows.retain(|other| *other != row);
    }

    async fn delete_all(&mut self, doomed: impl Fn(&Key) -> bool) {
        for row in self.rows.clone().into_iter().filter(doomed) {
            self.delete(row).await;
        }
    }

    fn first(&self) -> Link {
        Link {
            url: format!("{}{LIST}?PageSize={}&Page=0", self.app.origin(), self.page_size),
            place: Place::First,
        }
    }

    /// Goes to a page, if there is a way. At this moment it must be what the page before promised.
    async fn visit(&mut self, link: Option<Link>) {
        if let Some(link) = link {
            self.page = self.fetch(&link).await;
            for beside in self.ways() {
                let rows = self.fetch(&beside).await.rows;
                assert!(!rows.is_empty(), "{beside:?} was named and is empty");
            }
        }
    }

    /// The ways from the present page, which was perhaps fetched long ago.
    fn ways(&self) -> Vec<Link> {
        [&self.page.next, &self.page.previous]
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }

    /// Asks for a page and holds it against the model.
    async fn fetch(&self, link: &Link) -> Page {
        let answer = self.owner.get(&resized(&link.url, self.page_size)).await.json(200);
        let (begin, end) = self.slice(&link.place);
        let rows = self.rows[begin..end].to_vec();
        let shown: Vec<_> = answer["credentials"].as_array().unwrap().iter().map(sid).collect();
        let expected: Vec<_> = rows.iter().map(|(_, sid)| sid.as_str()).collect();
        assert_eq!(shown, expected, "at {:?} of {:?}", link.place, self.rows);
        assert_eq!(answer["meta"]["page_size"], self.page_size);

        let next = (end < self.rows.len()).then(|| match (rows.last(), &link.place) {
            (Some(oldest), _) => Place::After(oldest.clone()),
            (None, Place::Before(row)) => Place::StartingAt(row.clone()),
            (None, Place::EndingAt(row)) => Place::After(row.clone()),
            (None, place) => panic!("a page at {place:?} is empty, and there are older rows"),
        });
        let previous = (begin > 0).then(|| match (rows.first(), &link.place) {
            (Some(newest), _) => Place::Before(newest.clone()),
            (None, Place::After(row)) => Place::EndingAt(row.clone()),
            (None, Place::StartingAt(row)) => Place::Before(row.clone()),
            (None, place) => panic!("a page at {place:?} is empty, and there are newer rows"),
        });
        Page {
            next: checked_link(&answer, "next_page_url", next),
            previous: checked_link(&answer, "previous_page_url", previous),
            rows,
        }
    }

    /// The rows of a page, as positions in the model.
    fn slice(&self, place: &Place) -> (usize, usize) {
        let newer = |key: &Key| self.rows.partition_point(|row| row > key);
        let not_older = |key: &Key| self.rows.partition_point(|row| row >= key);
        let from = |begin: usize| (begin, self.rows.len().min(begin + self.page_size));
        let until = |end: usize| (end.saturating_sub(self.page_size), end);
        match place {
            Place::First => from(0),
            Place::After(key) => from(not_older(key)),
            Place::StartingAt(key) => from(newer(key)),
            Place::Before(key) => until(newer(key)),
            Place::EndingAt(key) => until(not_older(key)),
        }
    }

    /// Walks from the present page as far as it goes, with a change before each page, and answers the rows of all pages.
    async fn walk(&mut self, forward: bool, changes: &mut impl Iterator<Item = Step>) -> Vec<Key> {
        let mut seen = Vec::new();
        loop {
            let rows = self.page.rows.iter().cloned();
            if forward {
                seen.extend(rows);
            } else {
                seen.extend(rows.rev());
            }
            let way = if forward { &self.page.next } else { &self.page.previous };
            let Some(link) = way.clone() else {
                return seen;
            };
            if let Some(change) = changes.next() {
                self.take(&change).await;
            }
            self.visit(Some(link)).await;
        }
    }
}

/// The URL with another page size, as a client may change it on the way.
fn resized(url: &str, page_size: usize) -> String {
    let (before, rest) = url.split_once("PageSize=").unwrap();
    let (_, after) = rest.split_once('&').unwrap();
    format!("{before}PageSize={page_size}&{after}")
}

/// The URL that the answer gives under `key`: there is one exactly when the model has a place for it.
fn checked_link(answer: &Value, key: &str, place: Option<Place>) -> Option<Link> {
    let url = answer["meta"][key].as_str();
    assert_eq!(
        url.is_some(),
        place.is_some(),
        "{key} of {}, and the model has {place:?}",
        answer["meta"]
    );
    let token = url?.rsplit_once("PageToken=").expect("a token").1;
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    assert!(!token.is_empty() && token.bytes().all(harmless), "{token}");
    Some(Link {
        url: url?.to_owned(),
        place: place?,
    })
}

/// Runs a check on random programs; the smallest one that fails is printed.
fn check<S: Strategy>(programs: &S, run: &impl AsyncFn(&TestApp, S::Value)) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let app = runtime.block_on(TestApp::spawn());
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(programs, |program| {
        runtime.block_on(run(&app, program));
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

#[test]
fn every_page_is_what_the_model_says_of_its_token_decision_10() {
    let programs = (1_usize..5, vec(insert(), 0..8), vec(step(), 1..16));
    check(&programs, &async |app, (page_size, rows, program)| {
        let mut world = World::new(app, page_size, &rows).await;
        for step in program {
            world.take(&step).await;
            // Tokens from before the change hold after it.
            for link in world.ways() {
                world.fetch(&link).await;
            }
        }
    });
}

#[test]
fn a_walk_there_and_back_shows_every_row_that_stayed_once_decision_10() {
    let programs = (1_usize..5, vec(insert(), 4..12), vec(change(), 1..10));
    check(&programs, &async |app, (page_size, rows, changes)| {
        let mut world = World::new(app, page_size, &rows).await;
        let mut changes = changes.into_iter();
        for forward in [true, false] {
            let before = world.rows.clone();

            let seen = world.walk(forward, &mut changes).await;

            let in_order = |pair: &[Key]| if forward { pair[0] > pair[1] } else { pair[0] < pair[1] };
            assert!(seen.windows(2).all(in_order), "out of order, or twice: {seen:?}");
            for row in before.iter().filter(|row| world.rows.contains(row)) {
                assert!(
                    seen.contains(row),
                    "{row:?} was there all the time, and not in {seen:?}"
                );
            }
        }
    });
}
