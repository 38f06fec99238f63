//! The previous release and this one, side by side on one database and under load, there and back.

use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};

use super::load::{Crew, Evidence, Outcome, Random, Story, tell};
use super::support::{Caller, Deployment, PUSHVAULT};

/// Where the program of the previous release is.
const VARIABLE: &str = "PUSHVAULT_PREVIOUS_PROGRAM";

const WRITERS: usize = 4;

/// Steps between two events.
const STEPS: usize = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
#[ignore = "needs the program of the previous release, which tests/upgrade/run builds"]
async fn two_releases_serve_side_by_side_while_one_replaces_the_other_and_back() {
    let previous = PathBuf::from(env::var_os(VARIABLE).expect("start this test by tests/upgrade/run"));
    let present = Path::new(PUSHVAULT);
    let mut random = Random::seeded();
    let deployment = Deployment::empty().with("RATE_LIMIT__ENABLED", "false");
    deployment.use_program(&previous);
    deployment.run(&["migrate"]).succeeded();
    let account = deployment.create_account();
    let mut replicas = vec![deployment.serve_to_return(), deployment.serve_to_return()];
    let callers: Vec<_> = replicas.iter().map(|replica| replica.caller(&account)).collect();
    let urls: Vec<_> = replicas.iter().map(|replica| replica.url.clone()).collect();
    let crew = Crew::start("crew", WRITERS, &callers, &mut random);
    crew.go_on_for(STEPS);

    deployment.use_program(present);
    let applied = deployment.json(&["migrate"])["applied_migrations"].clone();
    crew.go_on_for(STEPS);
    // The last one is the way back: the previous release starts on the newer schema, beside this one.
    let replacements = [(0, present), (1, present), (0, previous.as_path())];
    for (index, program) in replacements {
        deployment.use_program(program);
        replicas.remove(index).stop();
        crew.go_on_for(STEPS);
        replicas.insert(index, deployment.serve_at(&urls[index]));
        crew.go_on_for(STEPS);
        crew.each_goes_on();
    }
    let mut written = crew.call_off().await;

    let count = |outcome: Outcome| written.seen.iter().filter(|step| step.outcome == outcome).count();
    assert_eq!(
        count(Outcome::Refused(503)),
        0,
        "nobody is refused while releases change"
    );
    // A replica that has stopped takes no connection, and what was sent down one that it was closing, it did not read.
    let (unconnected, unanswered) = (count(Outcome::NoConnection), count(Outcome::NoAnswer));
    assert!(
        unanswered <= replacements.len() * WRITERS,
        "{unanswered} requests were lost"
    );
    let evidence = Evidence::collect(&deployment.database().await, &deployment.path().join("root.key")).await;
    evidence.agrees_with_itself();
    assert_eq!(evidence.settle(&mut written.stories), 0, "what was done was answered");
    answer_alike(&callers, &urls, &written.stories).await;
    for program in [&previous, present] {
        deployment.use_program(program);
        let report = deployment.json(&["kek", "verify"]);
        assert_eq!(
            (&report["findings"], &report["opened"]),
            (&serde_json::json!([]), &evidence.versions().into())
        );
    }
    tell(&format!(
        "{applied} migrations, {} steps, {unconnected} asked a replica that was away, {unanswered} unanswered",
        written.seen.len()
    ));
    for replica in replicas {
        replica.stop();
    }
}

/// Insists that both replicas say the same of every credential, and that either follows the other's pages.
async fn answer_alike(callers: &[Caller], urls: &[String], stories: &[Story]) {
    let mut living = BTreeSet::new();
    for sid in stories.iter().filter_map(|story| story.sid.as_ref()) {
        let (one, other) = (callers[0].fetch(sid).await, callers[1].fetch(sid).await);
        assert_eq!(one.status, other.status, "{sid}");
        if one.status == 200 {
            let without_host = |body: &serde_json::Value, url: &str| body.to_string().replace(url, "");
            assert_eq!(without_host(&one.body, &urls[0]), without_host(&other.body, &urls[1]));
            living.insert(sid.clone());
        }
    }
    for first in [0, 1] {
        let mut listed = Vec::new();
        let mut next = Some("/v2/Credentials?PageSize=7".to_owned());
        for turn in first.. {
            let Some(path) = next else { break };
            let page = callers[turn % 2].get(&path).await;
            assert_eq!(page.status, 200, "{page:?}");
            let credentials = page.body["credentials"].as_array().unwrap();
            listed.extend(
                credentials
                    .iter()
                    .map(|credential| credential["sid"].as_str().unwrap().to_owned()),
            );
            let url = page.body["meta"]["next_page_url"].as_str();
            next = url.map(|url| url.strip_prefix(&urls[turn % 2]).unwrap().to_owned());
        }
        assert_eq!(listed.len(), living.len());
        assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), living);
    }
}
