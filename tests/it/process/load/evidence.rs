//! What is in the database after the load: whether it agrees with itself, and with what the writers were told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs;
use std::path::Path;
use std::time::Instant;

use data_encoding::HEXLOWER;
use pushvault_crypto::{
    AccountKey, AccountKeyContext, DeploymentId, EncryptionContext, Envelope, KeyEncryptionKey, Secrets, WrappedKey,
};
use serde_json::Value;
use sqlx::FromRow;
use sqlx::types::{Json, Uuid};

use super::ledger::{APNS_PAIR, Kind, State, Story};
use crate::process::support::Database;

/// Everything about credentials that the database holds, and what it takes to open it.
pub(crate) struct Evidence {
    credentials: Vec<Credential>,
    versions: BTreeMap<(String, i32), Version>,
    events: Vec<Event>,
    /// By version.
    account_keys: BTreeMap<u32, AccountKey>,
    account_sid: String,
    deployment_id: DeploymentId,
}

#[derive(Debug, FromRow)]
struct Credential {
    sid: String,
    friendly_name: String,
    push_service: String,
    current_version: i32,
    deleted: bool,
}

#[derive(FromRow)]
struct Version {
    sid: String,
    number: i32,
    push_service: String,
    sandbox: bool,
    dek_envelope: Vec<u8>,
    certificate: Option<Vec<u8>>,
    private_key: Option<Vec<u8>>,
    api_key: Option<Vec<u8>>,
    secret: Option<Vec<u8>>,
    envelope_digest: Vec<u8>,
}

#[derive(Debug, FromRow)]
struct Event {
    sid: String,
    action: String,
    outcome: String,
    target_sid: Option<String>,
    target_version: Option<i32>,
    envelope_digest: Option<Vec<u8>>,
    after: Option<Json<Value>>,
}

impl Credential {
    fn sid(&self) -> &str {
        &self.sid
    }
}

impl Evidence {
    /// Reads everything; the root key is the one in this file.
    pub(crate) async fn collect(database: &Database, root_key: &Path) -> Self {
        let root_key = KeyEncryptionKey::from_slice(&fs::read(root_key).unwrap()).unwrap();
        Self::collect_under(database, &root_key).await
    }

    /// Reads everything; all account keys are wrapped under this root key.
    pub(crate) async fn collect_under(database: &Database, root_key: &KeyEncryptionKey) -> Self {
        let credentials = database
            .rows(
                "select credential_sid as sid, friendly_name, push_service, current_version,
                    deleted_at is not null as deleted
                from credentials",
            )
            .await;
        let versions: Vec<Version> = database
            .rows(
                "select credential_sid as sid, version as number, push_service, sandbox, dek_envelope, certificate,
                    private_key, api_key, secret, envelope_digest
                from credential_versions",
            )
            .await;
        let events = database
            .rows(
                "select event_sid as sid, action, outcome, target_sid, target_version, envelope_digest, after
                from audit_events order by occurred_at, event_sid",
            )
            .await;
        let deployment_id: Uuid = database.value("select deployment_id from deployment").await;
        let deployment_id = DeploymentId::from_bytes(deployment_id.into_bytes());
        let (account_sid, account_keys) = unwrap_account_keys(database, root_key, &deployment_id).await;
        Self {
            credentials,
            versions: versions
                .into_iter()
                .map(|version| ((version.sid.clone(), version.number), version))
                .collect(),
            events,
            account_keys,
            account_sid,
            deployment_id,
        }
    }

    pub(crate) fn versions(&self) -> usize {
        self.versions.len()
    }

    pub(crate) fn event_sids(&self) -> BTreeSet<String> {
        self.events.iter().map(|event| event.sid.clone()).collect()
    }

    /// Insists that every change has its one event and every event its change, with the digest of the same ciphertexts.
    pub(crate) fn agrees_with_itself(&self) {
        let gone = self.credentials.iter().filter(|credential| credential.deleted);
        assert_same(
            "creates",
            self.targets("credential.create"),
            self.credentials.iter().map(Credential::sid),
        );
        assert_same("deletes", self.targets("credential.delete"), gone.map(Credential::sid));
        let told = self.successes().filter_map(|event| {
            let digest = event.envelope_digest.as_deref()?;
            Some((event.target_sid.as_deref()?, event.target_version?, digest))
        });
        let rewrapped = self.rewrapped();
        let told = told.map(|(sid, number, digest)| {
            let last = rewrapped.get(&(sid, number)).cloned();
            (sid, number, last.unwrap_or_else(|| HEXLOWER.encode(digest)))
        });
        let stored = self.versions.values();
        let stored = stored.map(|version| {
            (
                version.sid.as_str(),
                version.number,
                HEXLOWER.encode(&version.envelope_digest),
            )
        });
        assert_same("versions", told, stored);
        for event in self.successes() {
            let made_version = event.target_version.is_some();
            assert_eq!(made_version, event.envelope_digest.is_some(), "{event:?}");
            assert!(made_version || event.action != "credential.create", "{event:?}");
        }
        for Credential {
            sid, current_version, ..
        } in &self.credentials
        {
            let of_it = self.versions.range((sid.clone(), i32::MIN)..=(sid.clone(), i32::MAX));
            let numbers = of_it.map(|((_, number), _)| *number);
            assert!(
                numbers.eq(1..=*current_version),
                "the versions of {sid} do not lead to the present one"
            );
        }
    }

    /// Holds every story against the credential that it tells of, opens what it holds, and ends every doubt. Returns
    /// how many steps had been done although nobody was told.
    pub(crate) fn settle(&self, stories: &mut [Story]) -> usize {
        let mut done = 0;
        let found = self.find(stories);
        for (story, found) in stories.iter_mut().zip(found) {
            let actual = found.as_ref().map(|(_, state)| state.clone());
            let is_as_told = actual == story.acknowledged;
            let is_as_asked = actual.is_some() && actual == story.in_doubt;
            assert!(is_as_told || is_as_asked, "{actual:?} is not what is told by {story:?}");
            if let Some((credential, _)) = found {
                story.sid = Some(credential.sid.clone());
                self.opens_in_every_version(story, credential);
            }
            done += usize::from(is_as_asked);
            story.acknowledged = actual;
            story.in_doubt = None;
        }
        done
    }

    /// Holds a copy of the database that was made after this moment against the stories, which may have gone on since,
    /// and opens what it holds.
    pub(crate) fn is_as_of(&self, moment: Instant, stories: &[Story]) {
        for (story, found) in stories.iter().zip(self.find(stories)) {
            let actual = found.as_ref().map(|(_, state)| state);
            assert!(
                story.may_have_been(actual, moment),
                "{actual:?} was not what was told {:?} ago by {story:?}",
                moment.elapsed()
            );
            if let Some((credential, _)) = found {
                self.opens_in_every_version(story, credential);
            }
        }
    }

    /// The credential that each story tells of, and its state. None may be left that no story tells of.
    fn find(&self, stories: &[Story]) -> Vec<Option<(&Credential, State)>> {
        let by_sid: BTreeMap<_, _> = self.credentials.iter().map(|it| (it.sid.as_str(), it)).collect();
        let by_name: BTreeMap<_, _> = self
            .credentials
            .iter()
            .map(|it| (it.friendly_name.as_str(), it))
            .collect();
        let mut updates = BTreeMap::new();
        for sid in self.targets("credential.update") {
            *updates.entry(sid).or_insert(0) += 1;
        }
        let found: Vec<Option<&Credential>> = stories
            .iter()
            .map(|story| match &story.sid {
                Some(sid) => by_sid.get(sid.as_str()).copied(),
                None => by_name.get(story.name.as_str()).copied(),
            })
            .collect();
        let known: BTreeSet<_> = found.iter().flatten().map(|credential| credential.sid()).collect();
        assert_eq!(
            by_sid.into_keys().collect::<BTreeSet<_>>(),
            known,
            "credentials that nobody asked for"
        );
        let with_state = |credential: &'_ Credential| State {
            friendly_name: credential.friendly_name.clone(),
            version: credential.current_version,
            updates: updates.get(credential.sid()).copied().unwrap_or_default(),
            deleted: credential.deleted,
        };
        let found = found.into_iter();
        found
            .map(|it| it.map(|credential| (credential, with_state(credential))))
            .collect()
    }

    fn opens_in_every_version(&self, story: &Story, credential: &Credential) {
        assert_eq!(credential.push_service, story.kind.as_str());
        for version in 1..=credential.current_version {
            self.opens_as_sent(story, &credential.sid, version);
        }
    }

    /// The digests that versions got when they were wrapped anew, the last of each.
    fn rewrapped(&self) -> BTreeMap<(&str, i32), String> {
        let events = self.events.iter().filter(|event| event.action == "account.rewrap");
        let versions =
            events.flat_map(|event| event.after.as_ref().unwrap()["credential_versions"].as_array().unwrap());
        versions
            .map(|version| {
                let number = i32::try_from(version["version"].as_i64().unwrap()).unwrap();
                let digest = version["envelope_digest"].as_str().unwrap().to_owned();
                ((version["credential_sid"].as_str().unwrap(), number), digest)
            })
            .collect()
    }

    fn successes(&self) -> impl Iterator<Item = &Event> {
        self.events
            .iter()
            .filter(|event| event.outcome == "success" && event.action.starts_with("credential."))
    }

    fn targets(&self, action: &str) -> impl Iterator<Item = &str> {
        self.successes()
            .filter(move |event| event.action == action)
            .map(|event| event.target_sid.as_deref().expect("a target"))
    }

    /// Opens a version with the kernel alone: the vault's own word is not taken for what is in it.
    fn opens_as_sent(&self, story: &Story, sid: &str, number: i32) {
        let version = &self.versions[&(sid.to_owned(), number)];
        let envelope = Envelope {
            dek_envelope: version.dek_envelope.clone(),
            certificate: version.certificate.clone(),
            private_key: version.private_key.clone(),
            api_key: version.api_key.clone(),
            secret: version.secret.clone(),
        };
        assert_eq!(envelope.digest().as_slice(), version.envelope_digest, "{sid}");
        let context = EncryptionContext {
            deployment_id: &self.deployment_id,
            account_sid: &self.account_sid,
            credential_sid: sid,
            push_service: &version.push_service,
            sandbox: version.sandbox,
            version: u32::try_from(number).unwrap(),
        };
        let account_key = &self.account_keys[&envelope.account_key_version().unwrap()];
        let opened = pushvault_crypto::open(account_key, &context, &envelope).unwrap();
        assert_eq!(
            texts(&opened),
            expected_texts(story, number),
            "{sid} in version {number}"
        );
        let sandbox = story.kind == Kind::Apn && Story::sandbox(number);
        assert_eq!(version.sandbox, sandbox, "{sid} in version {number}");
    }
}

async fn unwrap_account_keys(
    database: &Database,
    root_key: &KeyEncryptionKey,
    deployment_id: &DeploymentId,
) -> (String, BTreeMap<u32, AccountKey>) {
    let keys: Vec<(String, i32, Vec<u8>)> = database
        .rows("select account_sid, version, wrapped_key from account_keys where octet_length(wrapped_key) > 0")
        .await;
    let accounts: BTreeSet<_> = keys.iter().map(|(account_sid, ..)| account_sid.clone()).collect();
    assert_eq!(accounts.len(), 1, "one account");
    let account_sid = accounts.into_iter().next().unwrap();
    let unwrapped = keys.iter().map(|(_, version, wrapped)| {
        let context = AccountKeyContext {
            deployment_id,
            account_sid: &account_sid,
            version: u32::try_from(*version).unwrap(),
        };
        let wrapped = WrappedKey::parse(wrapped).unwrap();
        (
            context.version,
            root_key.unwrap_account_key(&wrapped, &context).unwrap(),
        )
    });
    let unwrapped = unwrapped.collect();
    (account_sid, unwrapped)
}

/// What a version holds: certificate, private key, API key, secret.
fn texts(secrets: &Secrets) -> [Option<String>; 4] {
    [
        &secrets.certificate,
        &secrets.private_key,
        &secrets.api_key,
        &secrets.secret,
    ]
    .map(|plaintext| {
        let bytes = plaintext.as_ref()?.expose_secret().to_vec();
        Some(String::from_utf8(bytes).unwrap())
    })
}

fn expected_texts(story: &Story, version: i32) -> [Option<String>; 4] {
    match story.kind {
        Kind::Apn => [Some(block("CERTIFICATE")), Some(block("PRIVATE KEY")), None, None],
        Kind::Fcm => [None, None, None, Some(story.secret(version))],
        Kind::Gcm => [None, None, Some(story.secret(version)), None],
    }
}

/// A PEM block of the pair without what stands around it.
fn block(label: &str) -> String {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let (_, rest) = APNS_PAIR.split_once(&begin).unwrap();
    let (body, _) = rest.split_once(&end).unwrap();
    format!("{begin}{body}{end}\n")
}

/// Insists that there is one event for each change, and shows those that stand alone.
fn assert_same<T: Ord + Debug>(what: &str, events: impl Iterator<Item = T>, changes: impl Iterator<Item = T>) {
    let sorted = |mut items: Vec<T>| {
        items.sort();
        items
    };
    let (events, changes) = (sorted(events.collect()), sorted(changes.collect()));
    let alone = |items: &[T], others: &[T]| {
        let alone = items.iter().filter(|item| others.binary_search(item).is_err());
        format!(
            "{} of {}: {:?}",
            alone.clone().count(),
            items.len(),
            alone.collect::<Vec<_>>()
        )
    };
    assert!(
        events == changes,
        "{what}: events alone {}; changes alone {}",
        alone(&events, &changes),
        alone(&changes, &events)
    );
}
