//! The soak: everybody comes at once and stays, and the vault holds as much at the end as at the beginning.
//!
//! `make soak` runs it for ten minutes on a release build and shows what the process held meanwhile
//! (`make soak SECONDS=86400` for a day); in the test suite it lasts a few seconds, which are enough to see what is never
//! given back, and too short to say anything about memory.

mod crowd;
mod regulars;
mod strangers;
mod watch;

use std::path::Path;
use std::time::{Duration, Instant};

use self::crowd::{Crowd, Place};
use self::watch::{Sample, Watch};
use super::load::{Random, tell};
use super::support::{Deployment, readable};

/// Which program is loaded, if not the one of this build; how many seconds it lasts.
const PROGRAM: &str = "PUSHVAULT_SOAK_PROGRAM";
const VARIABLE: &str = "PUSHVAULT_SOAK_SECONDS";
const SECONDS: u64 = 5;

/// From how long a run on memory is judged.
const LONG_ENOUGH: Duration = Duration::from_mins(2);

/// By how much memory may grow after the warm-up: with each request, and at all. The smallest block that an allocator
/// gives is larger than the one, so that what leaks one in every request is found; below the other it is noise.
const BYTES_PER_REQUEST: f64 = 8.0;
const BYTES: f64 = 1024.0 * 1024.0;

const LINES: usize = 12;

/// How long it may take until what was held for those who have gone is given back.
const PATIENCE: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_millis(250);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vault_gives_back_what_it_took_however_long_everybody_stays() {
    let mut random = Random::seeded();
    let duration = wanted_duration();
    let deployment = Deployment::migrated()
        .with("ADMIN__LISTEN", "127.0.0.1:0")
        .with("SERVER__TRUSTED_PROXIES", "127.0.0.1")
        .with("RATE_LIMIT__ACCOUNT_PER_SECOND", "1000000")
        .with("RATE_LIMIT__ACCOUNT_BURST", "1000000")
        .with("RATE_LIMIT__ADDRESS_PER_SECOND", "1000000")
        .with("RATE_LIMIT__ADDRESS_BURST", "1000000")
        .with("RATE_LIMIT__FAILED_AUTHENTICATIONS_PER_MINUTE", "1000000");
    if let Some(program) = std::env::var_os(PROGRAM) {
        deployment.use_program(Path::new(&program));
    }
    let account = deployment.create_account();
    let key = deployment.create_api_key(&account.sid);
    let service = deployment.start(readable(deployment.command(&["serve"])));
    let mut watch = Watch::new(service.program.id(), deployment.database().await);
    // Who answers has started all its threads.
    let (status, _) = regulars::answer(regulars::client().get(format!("{}/readyz", service.url))).await;
    assert_eq!(status, 200);
    let fresh = watch.look(Duration::ZERO, || 0).await;

    let place = Place {
        url: service.url.clone(),
        admin_url: format!("http://{}", service.admin.as_deref().expect("an admin listener")),
        account_sid: account.sid.clone(),
        logins: vec![(account.sid, account.secret), (key.sid, key.secret)],
    };
    let crowd = Crowd::come(place, &mut random);
    let pause = (duration / 120).max(PAUSE);
    let end = Instant::now() + duration;
    while Instant::now() < end {
        watch.note(pause, || crowd.tally.requests()).await;
    }
    let tally = crowd.go().await;

    let growth = watch.growth(duration / 5);
    tell(&format!("\n{}\n{}", watch.table(LINES), tally.lines()));
    tally.is_unsurprised();
    if duration >= LONG_ENOUGH {
        tell(&format!("after the first fifth memory grew by {growth}"));
        let is_flat = growth.per_request < BYTES_PER_REQUEST || growth.bytes < BYTES;
        assert!(is_flat, "memory grows: {growth}");
    }
    let most = watch.samples.iter().map(|sample| sample.connections).max().unwrap();
    // The pool's ten, and the one that listens.
    assert!(most <= 11, "{most} connections to the database");
    wait_until_as_fresh(&watch, fresh).await;
    service.stop();
}

/// Waits until nothing is held any more that was not at the beginning, the connections to the database aside: they are
/// kept for the next caller. Threads for what takes long end ten seconds after they had something to do.
async fn wait_until_as_fresh(watch: &Watch, fresh: Sample) {
    let end = Instant::now() + PATIENCE;
    loop {
        let now = watch.look(Duration::ZERO, || 0).await;
        if now.descriptors <= fresh.descriptors && now.threads <= fresh.threads {
            return;
        }
        assert!(
            Instant::now() < end,
            "left behind: {now:?}; at the beginning: {fresh:?}"
        );
        tokio::time::sleep(PAUSE).await;
    }
}

fn wanted_duration() -> Duration {
    let seconds = std::env::var(VARIABLE).map_or(SECONDS, |text| text.parse().expect("a number of seconds"));
    Duration::from_secs(seconds)
}
