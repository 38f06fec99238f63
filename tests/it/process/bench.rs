//! `make bench`: what the audit trail costs those who write, with sealing and without, on one busy account and on many.
//! Among the other tests it is short, and shows only that it works.

use std::path::Path;
use std::time::{Duration, Instant};

use pushvault::dev::cluster::Durability;
use sqlx::{Connection as _, PgConnection};

use super::load::tell;
use super::support::{Caller, Deployment, Login, Postgres};

/// Which program is measured, and for how many seconds each part is.
const PROGRAM: &str = "PUSHVAULT_BENCH_PROGRAM";
const VARIABLE: &str = "PUSHVAULT_BENCH_SECONDS";
const SHORT: Duration = Duration::from_millis(100);

const WRITERS: usize = 16;

/// Each part is measured so often, in turns, so that what else the machine does is spread over all of them.
const ROUNDS: usize = 8;

/// What becomes of the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trail {
    /// They are rows of `audit_events` with a MAC, and nothing else.
    Recorded,
    /// They wait to be sealed, and nobody seals.
    Waiting,
    /// They are sealed every second.
    Sealed,
}

const TRAILS: [Trail; 3] = [Trail::Recorded, Trail::Waiting, Trail::Sealed];

impl Trail {
    async fn begin(self, owner: &mut PgConnection) {
        let word = if self == Self::Recorded { "disable" } else { "enable" };
        let trigger = format!("alter table audit_events {word} trigger audit_events_queue");
        sqlx::raw_sql(sqlx::AssertSqlSafe(trigger))
            .execute(&mut *owner)
            .await
            .unwrap();
        if self != Self::Sealed {
            sqlx::query("select pg_advisory_lock(hashtextextended('audit_trail', 0))")
                .execute(&mut *owner)
                .await
                .unwrap();
        }
    }

    async fn end(self, owner: &mut PgConnection) {
        // What waits is of no further use, and would be sealed in the next part. The sealer has no turn meanwhile: it takes
        // the same rows, in another order.
        let clean = "select pg_advisory_lock(hashtextextended('audit_trail', 0));
            delete from audit_unsealed; select pg_advisory_unlock_all(); analyze audit_events";
        sqlx::raw_sql(clean).execute(&mut *owner).await.unwrap();
    }
}

/// What the parts of one kind came to: writes for each second, and the time of each write.
#[derive(Default)]
struct Measured {
    per_second: Vec<f64>,
    times: Vec<Duration>,
}

impl Measured {
    fn add(&mut self, per_second: f64, times: Vec<Duration>) {
        self.per_second.push(per_second);
        self.times.extend(times);
        self.times.sort_unstable();
    }

    fn quantile(&self, percent: usize) -> Duration {
        self.times[self.times.len() * percent / 100]
    }

    /// How fast it was against the other, round by round: the median, and the least and the most.
    fn against(&self, other: &Self) -> String {
        let parts = self.per_second.iter().zip(&other.per_second);
        let ratios = sorted(parts.map(|(own, other)| own / other).collect());
        format!(
            "{:.2} ({:.2} to {:.2})",
            median(&ratios),
            ratios[0],
            ratios[ratios.len() - 1]
        )
    }
}

fn sorted(mut numbers: Vec<f64>) -> Vec<f64> {
    numbers.sort_unstable_by(f64::total_cmp);
    numbers
}

fn median(sorted: &[f64]) -> f64 {
    f64::midpoint(sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2])
}

/// Sixteen writers create credentials for so long, each as the account of its turn.
async fn write(callers: &[Caller], duration: Duration) -> (f64, Vec<Duration>) {
    let begin = Instant::now();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let caller = callers[writer % callers.len()].clone();
            tokio::spawn(async move {
                let mut times = Vec::new();
                while begin.elapsed() < duration {
                    let start = Instant::now();
                    caller.register("bench").await;
                    times.push(start.elapsed());
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for writer in writers {
        times.extend(writer.await.unwrap());
    }
    let count = f64::from(u32::try_from(times.len()).unwrap());
    (count / begin.elapsed().as_secs_f64(), times)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_audit_trail_costs() {
    let duration = std::env::var(VARIABLE).map_or(SHORT, |text| {
        Duration::from_secs(text.parse().expect("a number of seconds"))
    });
    let server = Postgres::start(Durability::Full);
    let deployment = Deployment::on(&server.url("postgres")).with("RATE_LIMIT__ENABLED", "false");
    if let Some(program) = std::env::var_os(PROGRAM) {
        deployment.use_program(Path::new(&program));
    }
    deployment.run(&["migrate"]).succeeded();
    let accounts: Vec<Login> = (0..WRITERS).map(|_| deployment.create_account()).collect();
    let service = deployment.serve();
    let callers: Vec<_> = accounts.iter().map(|account| service.caller(account)).collect();
    let mut owner = PgConnection::connect(deployment.setting("DATABASE__URL"))
        .await
        .unwrap();
    write(&callers, duration / 5).await;

    let mut measured: [[Measured; 2]; 3] = Default::default();
    for round in 0..ROUNDS {
        for turn in 0..TRAILS.len() {
            // Every other round goes the other way, so that what grows with time weighs on all alike.
            let place = if round % 2 == 0 { turn } else { TRAILS.len() - 1 - turn };
            for (callers, part) in [&callers[..1], &callers[..]].into_iter().zip(&mut measured[place]) {
                TRAILS[place].begin(&mut owner).await;
                let (per_second, times) = write(callers, duration).await;
                part.add(per_second, times);
                TRAILS[place].end(&mut owner).await;
            }
        }
    }

    tell(
        "| events | accounts | creates/s | against recorded alone | median | 99th percentile |\n|---|---|---|---|---|---|",
    );
    for (trail, of_trail) in TRAILS.iter().zip(&measured) {
        for ((accounts, part), alone) in [1, WRITERS].iter().zip(of_trail).zip(&measured[0]) {
            tell(&format!(
                "| {trail:?} | {accounts} | {:.0} | {} | {:.1} ms | {:.1} ms |",
                median(&sorted(part.per_second.clone())),
                part.against(alone),
                part.quantile(50).as_secs_f64() * 1000.0,
                part.quantile(99).as_secs_f64() * 1000.0,
            ));
        }
    }
    let [one, many] = &measured[2];
    tell(&format!("one account against {WRITERS}, sealed: {}", one.against(many)));
    verify(&deployment, &mut owner).await;
    service.stop();
}

/// How fast a trail is exported and verified.
async fn verify(deployment: &Deployment, owner: &mut PgConnection) {
    // The parts that were not sealed left events that are in no leaf: they wait again, and are sealed now.
    let requeue = "insert into audit_unsealed (account_sid, event_sid)
        select account_sid, event_sid from audit_events on conflict do nothing";
    let events = sqlx::raw_sql(requeue)
        .execute(&mut *owner)
        .await
        .unwrap()
        .rows_affected();
    for command in [["audit", "checkpoint"], ["audit", "verify"], ["audit", "export"]] {
        let began = Instant::now();
        deployment.run(&command).succeeded();
        let took = began.elapsed().as_secs_f64();
        tell(&format!("{} over {events} events: {took:.1} s", command.join(" ")));
    }
}
