//! Which Postgres the tests use: the first that answers, or the one that is asked for and no other.

/// A way to get a Postgres, by the name that `PUSHVAULT_TEST_POSTGRES` knows it by.
pub(super) struct Way<'a, T> {
    pub(super) name: &'static str,
    pub(super) attempt: &'a dyn Fn() -> Result<T, String>,
}

/// What was got, by which way, and why the ways before it were passed over.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Selected<T> {
    pub(super) value: T,
    pub(super) name: &'static str,
    pub(super) passed_over: Vec<String>,
}

/// Goes the ways in order until one leads somewhere. With `forced`, only that one is gone.
pub(super) fn select<T>(forced: Option<&str>, ways: &[Way<'_, T>]) -> Result<Selected<T>, String> {
    let allowed: Vec<_> = ways
        .iter()
        .filter(|way| forced.is_none_or(|name| name == way.name))
        .collect();
    if allowed.is_empty() {
        let names: Vec<_> = ways.iter().map(|way| way.name).collect();
        return Err(format!("PUSHVAULT_TEST_POSTGRES: use one of {}", names.join(", ")));
    }
    let mut passed_over = Vec::new();
    for way in allowed {
        match (way.attempt)() {
            Ok(value) => {
                return Ok(Selected {
                    value,
                    name: way.name,
                    passed_over,
                });
            }
            Err(reason) => passed_over.push(format!("{}: {reason}", way.name)),
        }
    }
    Err(format!("no Postgres for the tests; {}", passed_over.join("; ")))
}

const NOTHING: &dyn Fn() -> Result<u8, String> = &|| Err("is not there".to_owned());
const SOMETHING: &dyn Fn() -> Result<u8, String> = &|| Ok(1);

fn ways(attempts: [&'static dyn Fn() -> Result<u8, String>; 3]) -> [Way<'static, u8>; 3] {
    let [url, container, cluster] = attempts;
    [("url", url), ("container", container), ("cluster", cluster)].map(|(name, attempt)| Way { name, attempt })
}

#[test]
fn the_first_postgres_that_answers_is_used_and_the_others_are_named() {
    let selected = select(None, &ways([NOTHING, SOMETHING, SOMETHING])).unwrap();
    assert_eq!(selected.name, "container");
    assert_eq!(selected.passed_over, ["url: is not there"]);
}

#[test]
fn no_postgres_at_all_is_a_failure_that_names_every_way() {
    let failure = select(None, &ways([NOTHING, NOTHING, NOTHING])).unwrap_err();
    for name in ["url: ", "container: ", "cluster: "] {
        assert!(failure.contains(name), "{failure}");
    }
}

#[test]
fn a_forced_postgres_is_the_only_one_that_is_tried() {
    assert_eq!(
        select(Some("cluster"), &ways([SOMETHING, SOMETHING, SOMETHING]))
            .unwrap()
            .name,
        "cluster"
    );
    let failure = select(Some("container"), &ways([SOMETHING, NOTHING, SOMETHING])).unwrap_err();
    assert!(failure.contains("container: is not there"), "{failure}");
    let failure = select(Some("docker"), &ways([SOMETHING, SOMETHING, SOMETHING])).unwrap_err();
    assert!(failure.contains("url, container, cluster"), "{failure}");
}
