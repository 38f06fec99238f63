//! The proof that keys can be rotated at any time: under callers who read and write, the root key is replaced, every account
//! key is, and the root key moves to another provider, while replicas and commands are killed at random.
//!
//! `make rotation-proof` does it with 20 000 credential versions and 50 kills on a release build, from a file to a passphrase
//! and from a file to the Transit engine of a real OpenBao and back; in the test suite and in `tests/kms/run` it is short.

use std::path::Path;
use std::time::Duration;

use pushvault_crypto::{Argon2Cost, KeyEncryptionKey};
use serde_json::json;

use super::load::{Crew, Evidence, Outcome, Random, Written, tell};
use super::support::{Caller, Database, Deployment, PASSWORD, Program, Service, Signal};

/// Which program is used, if not the one of this build; how many versions there are, how often something is killed.
const PROGRAM: &str = "PUSHVAULT_PROOF_PROGRAM";
const VERSIONS: (&str, usize) = ("PUSHVAULT_PROOF_VERSIONS", 150);
const KILLS: (&str, usize) = ("PUSHVAULT_PROOF_KILLS", 10);

const REPLICAS: usize = 3;
const WRITERS: usize = 4;

/// Those who make the versions that there are before, as fast as they can.
const BUILDERS: usize = 8;

/// How long a writer rests after each step: callers must not write faster than keys are wrapped anew.
const PACE: Duration = Duration::from_millis(30);

/// Rows that a command may wrap in a second, so that it is killed in the middle.
const RATE: &str = "1500";

/// How long a command may live until it is killed, in microseconds: it takes some of that to begin.
const LIFETIME: usize = 800_000;

/// How long an operator waits until the next attempt at what cannot be done now.
const BREATH: Duration = Duration::from_millis(500);

/// The root key that takes over first, that which takes over from Transit, and the passphrase.
const NEW_KEY: [u8; 32] = [9; 32];
const LAST_KEY: [u8; 32] = [10; 32];
const PASSPHRASE: &str = "canary-passphrase-of-the-proof";
const COST: Argon2Cost = Argon2Cost {
    memory_kib: 1024,
    iterations: 1,
    parallelism: 1,
};

/// What no caller waits for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the root key moves.
enum Destination {
    Passphrase,
    Transit { url: String, token: String },
}

/// Replicas and commands, and who kills them.
struct Stage<'a> {
    replicas: Vec<Service<'a>>,
    random: Random,
    kills: usize,
}

impl<'a> Stage<'a> {
    /// Runs a command of an operator who comes again until it succeeds, while replicas and the command itself are killed.
    fn insist(&mut self, deployment: &'a Deployment, arguments: &[&str], kills: usize) {
        let goal = self.kills + kills;
        loop {
            let mut command = Program::start(deployment.command(arguments));
            if self.kills < goal {
                if self.random.below(3) == 0 {
                    self.kill_a_replica(deployment);
                } else {
                    let lifetime = u64::try_from(self.random.below(LIFETIME)).unwrap();
                    std::thread::sleep(Duration::from_micros(lifetime));
                    if command.is_running() {
                        Signal::Kill.send(&[command.id()]);
                        self.kills += 1;
                    }
                }
            }
            let status = command.wait();
            if status.success() && self.kills >= goal {
                return;
            }
            // One that was killed leaves the turn to the next as soon as Postgres has seen its end, and a replica that was
            // killed seems to live for a while.
            let complaint = command.stderr();
            let has_to_wait = ["another command is wrapping", "a replica that was killed counts"]
                .iter()
                .any(|words| complaint.contains(words));
            let is_expected = status.code().is_none() || status.success() || has_to_wait;
            assert!(is_expected, "{arguments:?}: {complaint}");
            if has_to_wait {
                std::thread::sleep(BREATH);
            }
        }
    }

    fn kill_a_replica(&mut self, deployment: &'a Deployment) {
        let chosen = self.random.below(self.replicas.len());
        let replica = &mut self.replicas[chosen];
        Signal::Kill.send(&[replica.program.id()]);
        replica.program.wait();
        *replica = deployment.serve_at(&replica.url.clone());
        self.kills += 1;
    }

    /// Rotates the root key and the keys of all accounts, and then the same from one provider to another. Returns the id
    /// of the root key that is left.
    async fn rotate_everything(
        &mut self,
        first: &'a Deployment,
        second: &'a Deployment,
        [first_key, second_key]: [&str; 2],
        database: &Database,
        kills: usize,
    ) -> String {
        let each = kills.div_ceil(4);
        let began = now(database).await;
        self.insist(first, &["kek", "rotate", second_key], each);
        self.insist(first, &["kek", "rewrap"], 0);
        self.insist(first, &all_account_keys(&began), each);
        self.insist(first, &["kek", "retire", first_key], 0);
        let third_key = second.json(&["kek", "add"])["kek_id"].as_str().unwrap().to_owned();
        self.roll(second);
        let again = now(database).await;
        self.insist(second, &["kek", "rotate", &third_key], each);
        self.insist(second, &["kek", "rewrap"], 0);
        self.insist(second, &all_account_keys(&again), each);
        self.insist(second, &["kek", "retire", second_key], 0);
        third_key
    }

    /// Replaces the replicas, one after the other.
    fn roll(&mut self, deployment: &'a Deployment) {
        for replica in &mut self.replicas {
            let url = replica.url.clone();
            Signal::Terminate.send(&[replica.program.id()]);
            assert!(replica.program.wait().success());
            *replica = deployment.serve_at(&url);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_rotated_to_zero_under_callers_and_kills_and_nothing_is_lost() {
    prove(Destination::Passphrase).await;
}

/// What needs a key provider, by the name that `tests/kms/run` looks for.
mod kms {
    use super::{Destination, prove};
    use crate::kms::OpenBao;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs an OpenBao, which tests/kms/run installs"]
    async fn keys_are_rotated_and_move_to_transit_and_back_under_callers_and_kills_and_nothing_is_lost() {
        let openbao = OpenBao::start().await;
        let (url, token) = (openbao.url.clone(), openbao.token().await);
        prove(Destination::Transit { url, token }).await;
    }
}

async fn prove(destination: Destination) {
    let (versions, kills) = (wanted(VERSIONS), wanted(KILLS));
    let first = first_deployment();
    let added = first.json(&["kek", "add"]);
    let account = first.create_account();
    let second_key = added["kek_id"].as_str().unwrap().to_owned();
    let first_key = kek_id(&first, "primary");
    let mut random = Random::seeded();
    let replicas: Vec<_> = (0..REPLICAS).map(|_| first.serve_to_return()).collect();
    let callers: Vec<Caller> = replicas.iter().map(|replica| replica.caller(&account)).collect();
    let database = first.database().await;
    let builders = Crew::start("builder", BUILDERS, &callers, &mut random);
    while count(&database).await < i64::try_from(versions).unwrap() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut built = builders.call_off().await;
    let crew = Crew::at_a_pace("proof", WRITERS, &callers, &mut random, PACE);
    let second = second_deployment(&first, &destination);
    let third = third_deployment(&second);
    let mut stage = Stage {
        replicas,
        random: random.another(),
        kills: 0,
    };

    let third_key = stage
        .rotate_everything(&first, &second, [&first_key, &second_key], &database, kills)
        .await;
    let verified = second.json(&["kek", "verify"]);
    assert_eq!(verified["account_keys"], json!({ &*third_key: 1 }));
    let (last, root_key) = match destination {
        Destination::Passphrase => (&second, passphrase_key(&database, &third_key).await),
        // The kernel has no key of an engine, so that the evidence is read after one more move.
        Destination::Transit { .. } => {
            let last_key = third.json(&["kek", "add"])["kek_id"].as_str().unwrap().to_owned();
            stage.roll(&third);
            stage.insist(&third, &["kek", "rotate", &last_key], 2);
            stage.insist(&third, &["kek", "rewrap"], 0);
            stage.insist(&third, &["kek", "retire", &third_key], 0);
            (&third, KeyEncryptionKey::from_slice(&LAST_KEY).unwrap())
        }
    };
    let mut written = crew.call_off().await;

    let longest = nobody_was_refused_or_waited_long(&written);
    let verified = last.json(&["kek", "verify"]);
    let stored = count(&database).await;
    assert_eq!(verified["findings"], json!([]));
    assert_eq!(verified["account_keys"], json!({ root_key.id().as_str(): 1 }));
    assert_eq!(verified["credential_versions"], json!({ "primary": stored }));
    let evidence = Evidence::collect_under(&database, &root_key).await;
    evidence.agrees_with_itself();
    written.stories.append(&mut built.stories);
    let done = evidence.settle(&mut written.stories);
    let unanswered = written.seen.iter().filter(|step| step.outcome != Outcome::Done).count();
    tell(&format!(
        "{stored} versions, {} kills, {} steps of callers, {unanswered} unanswered ({done} of them done), none refused, \
         nothing lost, the longest step {longest:?}, nothing left under the old keys",
        stage.kills,
        written.seen.len(),
    ));
    for replica in stage.replicas {
        replica.stop();
    }
}

/// How long the longest step of a caller took.
fn nobody_was_refused_or_waited_long(written: &Written) -> Duration {
    let refused: Vec<_> = written
        .seen
        .iter()
        .filter(|step| matches!(step.outcome, Outcome::Refused(_)))
        .collect();
    assert!(refused.is_empty(), "a replica that lives refuses nobody: {refused:?}");
    let longest = written.seen.iter().map(|step| step.took).max().unwrap();
    assert!(longest < PATIENCE, "a step took {longest:?}");
    longest
}

/// Two root keys: the one in use, and the one that takes over.
fn first_deployment() -> Deployment {
    let deployment = Deployment::empty().with("RATE_LIMIT__ENABLED", "false");
    if let Some(program) = std::env::var_os(PROGRAM) {
        deployment.use_program(Path::new(&program));
    }
    deployment.run(&["migrate"]).succeeded();
    let file = deployment.write("new.key", NEW_KEY, 0o600);
    deployment.with("OTHER_KEK__FILE", &file.to_string_lossy())
}

/// The one that took over, and what comes after it.
fn second_deployment(first: &Deployment, destination: &Destination) -> Deployment {
    let deployment = beside(first).with("KEK__FILE", first.setting("OTHER_KEK__FILE"));
    match destination {
        Destination::Passphrase => {
            deployment.keep(PASSPHRASE);
            deployment
                .with("OTHER_KEK__PROVIDER", "passphrase")
                .with("OTHER_KEK__PASSPHRASE", PASSPHRASE)
                .with("OTHER_KEK__PASSPHRASE_MEMORY_KIB", &COST.memory_kib.to_string())
                .with("OTHER_KEK__PASSPHRASE_ITERATIONS", &COST.iterations.to_string())
        }
        Destination::Transit { url, token } => {
            deployment.keep(token);
            deployment
                .with("OTHER_KEK__PROVIDER", "transit")
                .with("OTHER_KEK__TRANSIT_URL", url)
                .with("OTHER_KEK__TRANSIT_KEY", "pushvault")
                .with("OTHER_KEK__TRANSIT_TOKEN", token)
        }
    }
}

/// The key that was moved elsewhere, and one in a file that comes after it.
fn third_deployment(second: &Deployment) -> Deployment {
    let mut third = beside(second).without("KEK__FILE");
    for (name, value) in second.settings_of("OTHER_KEK") {
        third = third.with(&format!("KEK__{name}"), &value);
    }
    let file = third.write("last.key", LAST_KEY, 0o600);
    third.with("OTHER_KEK__FILE", &file.to_string_lossy())
}

/// Another deployment's settings on the same database.
fn beside(other: &Deployment) -> Deployment {
    let deployment = Deployment::on(
        &other
            .setting("DATABASE__URL")
            .replacen(&format!(":{PASSWORD}@"), "@", 1),
    );
    if let Some(program) = std::env::var_os(PROGRAM) {
        deployment.use_program(Path::new(&program));
    }
    deployment.with("RATE_LIMIT__ENABLED", "false")
}

/// The root key that the passphrase gives, by the kernel alone.
async fn passphrase_key(database: &Database, kek_id: &str) -> KeyEncryptionKey {
    let salt: Vec<u8> = database
        .value("select kdf_salt from root_keys where state = 'primary'")
        .await;
    let key = KeyEncryptionKey::from_passphrase(PASSPHRASE.as_bytes(), &salt, COST).unwrap();
    assert_eq!(key.id().as_str(), kek_id);
    key
}

fn kek_id(deployment: &Deployment, state: &str) -> String {
    let list = deployment.json(&["kek", "list"]);
    let key = list.as_array().unwrap().iter().find(|key| key["state"] == state);
    key.unwrap()["kek_id"].as_str().unwrap().to_owned()
}

/// The command that rotates the keys of all accounts that were made before that time.
fn all_account_keys(made_before: &str) -> [&str; 7] {
    let [account, verb, all] = ["account", "rotate-key", "--all"];
    [account, verb, all, "--made-before", made_before, "--rate", RATE]
}

async fn now(database: &Database) -> String {
    database
        .value("select to_char(now(), 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
        .await
}

async fn count(database: &Database) -> i64 {
    database.value("select count(*) from credential_versions").await
}

fn wanted((variable, default): (&str, usize)) -> usize {
    std::env::var(variable).map_or(default, |value| value.parse().expect("a number"))
}
