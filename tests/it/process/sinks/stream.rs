//! Standard output that nobody reads.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{change, metrics};
use crate::harness::ReservedPort;
use crate::process::support::{Caller, Deployment, Login, Signal, look_until, wait_for, wait_until};

/// More than pipe and queue hold the lines of.
const CHANGES: usize = 1000;

const LOST: &str = "pushvault_log_lines_lost_total{sink=\"log\"} ";

/// A service whose standard output is a pipe.
struct Piped {
    child: Child,
    url: String,
    admin: String,
    _ports: [ReservedPort; 2],
}

impl Piped {
    async fn start(mut command: Command) -> Self {
        let ports = [ReservedPort::new(), ReservedPort::new()];
        let [address, admin] = ports.each_ref().map(|port| port.address().to_string());
        command
            .args(["--listen", &address])
            .env("PUSHVAULT__ADMIN__LISTEN", &admin)
            // Every request makes some dozens of lines.
            .env("PUSHVAULT__LOG__FILTER", "trace")
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        let child = command.stdout(Stdio::piped()).spawn().unwrap();
        let url = format!("http://{address}");
        let probe = Caller::new(&url, "", "");
        wait_until("the service answers", async || {
            probe.try_get("/healthz").await.is_ok_and(|answer| answer.status == 200)
        })
        .await;
        Self {
            child,
            url,
            admin,
            _ports: ports,
        }
    }

    async fn lost(&self) -> u64 {
        let text = metrics(&self.admin).await;
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(LOST));
        lines.next().unwrap().parse().unwrap()
    }

    /// Changes so much that lines must be lost.
    async fn overflow(&self, account: &Login) {
        let caller = Caller::new(&self.url, &account.sid, &account.secret);
        let begun = Instant::now();
        change(&caller, CHANGES).await;
        assert!(begun.elapsed() < Duration::from_mins(3), "{:?}", begun.elapsed());
        assert!(self.lost().await > 0, "nothing was lost, so nothing was blocked");
    }

    /// Asks it to stop, and insists that it does so well and soon.
    fn stop(&mut self) {
        Signal::Terminate.send(&[self.child.id()]);
        let status = look_until(Duration::from_secs(10), || self.child.try_wait().unwrap());
        assert_eq!(status.expect("it stopped in time").code(), Some(0));
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

#[tokio::test]
async fn a_service_whose_output_nobody_reads_goes_on_and_stops_when_it_is_told() {
    let deployment = Deployment::migrated().with("RATE_LIMIT__ENABLED", "false");
    let account = deployment.create_account();
    let mut service = Piped::start(deployment.command(&["serve"])).await;
    service.overflow(&account).await;
    service.stop();
    let changes = "select count(*) from audit_events where action = 'credential.update'";
    let recorded: i64 = deployment.database().await.value(changes).await;
    assert_eq!(
        usize::try_from(recorded).unwrap(),
        CHANGES,
        "the audit trail has every change"
    );
}

#[tokio::test]
async fn when_the_output_is_read_again_the_log_goes_on_tells_of_the_loss_and_ends_whole() {
    let deployment = Deployment::migrated().with("RATE_LIMIT__ENABLED", "false");
    let account = deployment.create_account();
    let mut service = Piped::start(deployment.command(&["serve"])).await;
    service.overflow(&account).await;

    let output = BufReader::new(service.child.stdout.take().unwrap());
    let lines = Arc::new(Mutex::new(Vec::<Value>::new()));
    let seen = Arc::clone(&lines);
    let reader = thread::spawn(move || {
        for line in output.lines() {
            let line = serde_json::from_str(&line.unwrap()).expect("every line is whole");
            seen.lock().unwrap().push(line);
        }
    });
    wait_for("the loss to be told", || {
        let lines = lines.lock().unwrap();
        lines
            .iter()
            .any(|line| line["sink"] == "log" && line["lost"].as_u64() > Some(0))
            .then_some(())
    });
    service.stop();
    reader.join().unwrap();
    let lines = lines.lock().unwrap();
    assert!(
        lines.iter().any(|line| line["message"] == "pushvault stopped"),
        "the last line came too"
    );
}
