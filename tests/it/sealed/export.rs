//! Exports and proofs: verified with nothing but the key.

use pushvault::domain::sid::EventSid;
use pushvault::trail::{Checkpoint, ExportFormat, Problem, Proof, TrailError};
use serde_json::{Value, json};

use super::{event_at, export, first, key_of, leaves, now, record, seal, sealed_trail, verify_lines};

#[tokio::test]
async fn an_export_begins_where_a_checkpoint_ends_and_is_held_against_it() {
    let app = sealed_trail().await;
    let older = seal(&app);
    let since = now(&app).await;
    record(&app, "a").await;
    record(&app, "b").await;
    let newer = seal(&app);
    let lines = export(&app, Some(since), ExportFormat::Jsonl);
    let found = verify_lines(&lines, &[older.clone(), newer], &key_of(&app)).unwrap();
    assert!(found.verdict.is_whole(), "{:?}", found.verdict);
    assert_eq!((found.first_leaf, found.verdict.checked), (older.size(), 2));
}

#[tokio::test]
async fn a_checkpoint_from_before_an_export_is_refused_with_what_to_do() {
    let app = sealed_trail().await;
    let older = seal(&app);
    record(&app, "a").await;
    seal(&app);
    let since = now(&app).await;
    record(&app, "b").await;
    let lines = export(&app, Some(since), ExportFormat::Jsonl);
    let refusal = verify_lines(&lines, &[older], &key_of(&app)).err().unwrap();
    assert!(matches!(refusal, TrailError::Older { .. }), "{refusal}");
}

#[tokio::test]
async fn an_export_since_a_time_after_everything_has_no_events_and_is_whole() {
    let app = sealed_trail().await;
    let since = now(&app).await;
    let lines = export(&app, Some(since), ExportFormat::Jsonl);
    let found = verify_lines(&lines, &[], &key_of(&app)).unwrap();
    assert!(found.verdict.is_whole());
    assert_eq!(found.verdict.checked, 0);
}

/// What is found first, at which leaf, or why the export cannot be read.
type Noticed = Result<(u64, Problem), String>;

/// Something done to the lines of an export, and what is noticed of it.
type Harm = (fn(&mut Vec<String>), Noticed);

/// Line 1 of an export is the first leaf, and the last line is the checkpoint.
fn harms(format: ExportFormat) -> [Harm; 11] {
    let at = |leaf, problem| Ok((leaf, problem));
    let unreadable = |error: TrailError| Err(error.to_string());
    // In this format the word stands beside the event that was mapped, which is in quotation marks of its own.
    let outcome = match format {
        ExportFormat::Jsonl => Problem::Changed,
        ExportFormat::Ocsf => Problem::Altered,
    };
    [
        (|lines| drop(lines.remove(3)), at(2, Problem::LeafGone)),
        (|lines| lines.swap(3, 4), at(2, Problem::LeafGone)),
        (
            |lines| replace(&mut lines[4], "operator", "somebody"),
            at(3, Problem::Changed),
        ),
        (
            |lines| replace(&mut lines[3], "first", "other"),
            at(2, Problem::Changed),
        ),
        (
            |lines| replace(&mut lines[3], "127.0.0.1", "127.0.0.2"),
            at(2, Problem::Changed),
        ),
        (
            |lines| replace(&mut lines[3], "\"success\"", "\"failed\""),
            at(2, outcome),
        ),
        (|lines| drop(lines.pop()), unreadable(TrailError::Uncovered)),
        (
            |lines| drop(lines.remove(6)),
            at(5, Problem::CutOff { size: 6, there: 5 }),
        ),
        (|lines| drop(lines.remove(1)), at(0, Problem::LeafGone)),
        (|lines| "{}".clone_into(&mut lines[2]), unreadable(TrailError::Line(3))),
        (|lines| lines[0] = lines[1].clone(), unreadable(TrailError::Line(1))),
    ]
}

fn replace(line: &mut String, word: &str, other: &str) {
    *line = line.replace(word, other);
}

#[tokio::test]
async fn a_line_that_is_taken_out_moved_or_edited_is_noticed_in_either_format() {
    let app = sealed_trail().await;
    for format in [ExportFormat::Jsonl, ExportFormat::Ocsf] {
        let whole = export(&app, None, format);
        assert_eq!(whole.len(), 8);
        for (number, (harm, expected)) in harms(format).into_iter().enumerate() {
            let mut lines = whole.clone();
            harm(&mut lines);
            assert_ne!(lines, whole, "{format:?}, {number}: nothing was harmed");
            let noticed = verify_lines(&lines, &[], &key_of(&app))
                .map(|found| {
                    let found = first(&found.verdict.findings).clone();
                    (found.leaf.unwrap(), found.problem)
                })
                .map_err(|error| error.to_string());
            assert_eq!(noticed, expected, "{format:?}, {number}");
        }
    }
}

#[tokio::test]
async fn a_mapped_field_that_is_edited_alone_is_named() {
    let app = sealed_trail().await;
    let mut lines = export(&app, None, ExportFormat::Ocsf);
    let mut line: Value = serde_json::from_str(&lines[5]).unwrap();
    line["actor"]["user"]["uid"] = json!("somebody");
    let event_sid = line["metadata"]["uid"].as_str().unwrap().to_owned();
    lines[5] = line.to_string();
    let found = verify_lines(&lines, &[], &key_of(&app)).unwrap();
    assert_eq!(first(&found.verdict.findings).event_sid, Some(event_sid));
}

#[tokio::test]
async fn an_event_in_ocsf_has_what_the_class_requires() {
    let app = sealed_trail().await;
    let lines = export(&app, None, ExportFormat::Ocsf);
    let events: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events: Vec<_> = events.iter().filter(|event| event["class_uid"] == 6003).collect();
    assert_eq!(events.len(), 6);
    for event in &events {
        for required in [
            "activity_id",
            "actor",
            "api",
            "category_uid",
            "class_uid",
            "metadata",
            "severity_id",
            "src_endpoint",
            "time",
            "type_uid",
        ] {
            assert!(!event[required].is_null(), "{required}: {event:#}");
        }
    }
    let created = events.last().unwrap();
    assert_eq!(
        (&created["type_uid"], &created["status_id"]),
        (&json!(600_301), &json!(1))
    );
    assert_eq!(created["api"]["operation"], "credential.create");
    assert_eq!(created["src_endpoint"]["ip"], "127.0.0.1");
    assert_eq!(created["http_request"]["user_agent"], "twilio-python/9.13.0");
    assert_eq!(created["resources"][0]["type"], "credential");
}

#[tokio::test]
async fn each_event_has_a_proof_that_holds_and_for_no_other_event() {
    let app = sealed_trail().await;
    seal(&app);
    let mut texts = Vec::new();
    for leaf in 0..leaves(&app).await {
        let event_sid = event_at(&app, leaf).await;
        let sid = EventSid::parse(&event_sid).unwrap();
        let proof = app.vault(|vault| async move { vault.prove_event(&sid).await }).unwrap();
        let read = Proof::parse(&proof.text()).unwrap();
        assert!(read.holds() && read.checkpoint.is_signed_by(&key_of(&app)));
        assert!(read.leaf.contains(&event_sid));
        texts.push(proof.text());
    }
    let other = texts[1].lines().nth(1).unwrap();
    let own = texts[2].lines().nth(1).unwrap();
    assert!(!Proof::parse(&texts[2].replace(own, other)).unwrap().holds());
    assert!(!Proof::parse(&texts[2].replace("index 2", "index 3")).unwrap().holds());
    assert!(Proof::parse("nonsense").is_err());
}

#[tokio::test]
async fn an_event_that_is_none_has_no_proof() {
    let app = sealed_trail().await;
    let sid = EventSid::generate().unwrap();
    assert!(app.vault(|vault| async move { vault.prove_event(&sid).await }).is_err());
}

#[test]
fn checkpoints_are_read_one_after_the_other_and_nothing_else_is_one() {
    let note = "pushvault-x\n3\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=\n\n\u{2014} pushvault-x AAAA\n";
    let cosigned = format!("{note}\u{2014} witness AAAA\n");
    for text in [note.repeat(3), [note, &cosigned, note].join("\n")] {
        let read = Checkpoint::parse_all(&text).unwrap();
        assert_eq!(read.iter().map(Checkpoint::size).collect::<Vec<_>>(), [3, 3, 3]);
    }
    for text in [
        "",
        "\n",
        "nonsense",
        note.trim_end(),
        &note.replace('3', "0"),
        &note.replace('3', "18446744073709551615"),
    ] {
        assert!(Checkpoint::parse_all(text).is_err(), "{text}");
    }
}
