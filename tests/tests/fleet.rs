//! `examples/fleet`: what hosts exported becomes a file for each hour, and several engines answer the same questions
//! about it, on made data of many hosts in which one thing is wrong for each question, and on a real export.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path, process::Command};

use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};
use tests::{
    engines::{CLICKHOUSE, DUCKDB, Engine, POLARS, Row, SPARK, example, python, query},
    place::Place,
    program::{Program, run},
    tracer,
    traffic::{SCENARIOS, play},
};

const QUESTIONS: [&str; 5] = [
    "who-resets-whom.sql",
    "close-wait-leaks.sql",
    "slow-handshakes.sql",
    "pairs-that-never-connect.sql",
    "after-the-deploy.sql",
];

/// In the middle of the made data.
const DEPLOY: &str = "2026-11-29 12:30:00+00:00";

/// 12:40 of that day, in microseconds, and five minutes.
const SLOW_FROM_US: i64 = 1_795_956_000_000_000;
const SLOW_FOR_US: i64 = 300_000_000;

type Answers = BTreeMap<String, Vec<Row>>;

/// A folder with what hosts sent, and one with a file for each hour.
struct Fleet {
    folder: TempDir,
}

impl Fleet {
    fn new() -> Self {
        let folder = tempdir().unwrap();
        fs::create_dir(folder.path().join("incoming")).unwrap();
        Self { folder }
    }

    /// Made rows of these hours, in files of several hosts each.
    fn made(hours: u32, hosts: u32, connections: u32) -> Self {
        let fleet = Self::new();
        let view = fs::read_to_string(example("made.sql")).unwrap();
        let mut sql = format!(
            "set timezone = 'UTC'; set variable hosts = {hosts}; set variable connections = {connections}; {view}"
        );
        for hour in 0..hours {
            let hour = (12 + hour) % 24;
            write!(sql, "set variable hour = timestamptz '2026-11-29 {hour:02}:00:00+00'; ").unwrap();
            for part in 0..2 {
                let rows = format!("from made where cookie % 2 = {part} order by time_ns");
                let file = fleet.incoming().join(format!("{hour}-{part}.parquet"));
                write!(sql, "copy ({rows}) to '{}'; ", file.display()).unwrap();
            }
        }
        query(&format!("{sql} select 1"));
        fleet.compact();
        fleet
    }

    fn incoming(&self) -> std::path::PathBuf {
        self.folder.path().join("incoming")
    }

    /// Makes a file for each hour of what hosts sent.
    fn compact(&self) {
        let mut command = Command::new(python("python"));
        run(command.arg(example("compact.py")).arg(self.incoming()).arg(self.folder.path().join("fleet")));
    }

    fn files(&self) -> String {
        self.folder.path().join("fleet/*/*.parquet").display().to_string()
    }

    fn ask(&self, engine: Engine) -> Answers {
        let answers = engine.ask(&self.files(), &QUESTIONS, DEPLOY);
        assert_eq!(answers.len(), QUESTIONS.len(), "{answers:?}");
        answers
    }

    /// Both engines answer the same.
    fn assert_same(&self, expected: &Answers, engine: Engine) {
        let found = self.ask(engine);
        for (question, expected) in expected {
            let found = &found[question];
            let is_same =
                found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| is_same(a, b));
            assert!(is_same, "{question}, {}: {found:#?} instead of {expected:#?}", engine.name);
        }
    }
}

/// The same columns and values. Engines add up fractions in different orders.
#[allow(clippy::float_cmp)]
fn is_same(a: &Row, b: &Row) -> bool {
    a.len() == b.len()
        && a.iter().all(|(key, a)| match (a.as_f64(), b.get(key).and_then(Value::as_f64)) {
            (Some(a), Some(b)) => a == b || (a - b).abs() <= 1e-9 * a.abs().max(b.abs()),
            _ => Some(a) == b.get(key),
        })
}

fn text<'a>(row: &'a Row, key: &str) -> &'a str {
    row[key].as_str().unwrap_or_else(|| panic!("no {key} in {row:?}"))
}

/// The answers name what is wrong, and nothing else.
fn assert_right(answers: &Answers) {
    let resets = &answers["who-resets-whom.sql"];
    assert!(resets.len() == 4 && resets.iter().all(|row| row["host"] == "host3"), "{resets:#?}");
    assert!(resets.iter().all(|row| row["reason"] == "reset-remote" && row["service"] == 443));

    let leaks = &answers["close-wait-leaks.sql"];
    assert_eq!(leaks.len(), 1, "{leaks:#?}");
    assert_eq!((text(&leaks[0], "host"), text(&leaks[0], "comm")), ("host11", "orders"));
    assert_eq!(leaks[0]["leaked"], 600);

    let slow = &answers["slow-handshakes.sql"];
    assert_eq!((slow.len(), text(&slow[0], "remote_addr")), (1, "10.0.0.5"), "{slow:#?}");
    let after_us = slow[0]["first_time"].as_i64().unwrap() - SLOW_FROM_US;
    assert!((0..SLOW_FOR_US).contains(&after_us), "{slow:#?}");

    let pairs = &answers["pairs-that-never-connect.sql"];
    assert_eq!(pairs.len(), 1, "{pairs:#?}");
    assert_eq!((text(&pairs[0], "host"), text(&pairs[0], "remote_addr")), ("host9", "10.0.0.6"));
    assert_eq!((&pairs[0]["refused"], &pairs[0]["unanswered"]), (&json!(0), &pairs[0]["tries"]));

    let changed = &answers["after-the-deploy.sql"];
    assert!(changed[..2].iter().all(|row| row["comm"] == "billing"), "{changed:#?}");
    assert_eq!(text(&changed[0], "reason"), "timeout-retransmit");
    assert_eq!(changed[0]["per_hour_before"].as_f64(), Some(0.0));
}

/// An export of what happened in a namespace, as two hosts sent it.
fn exported() -> Fleet {
    let (place, fleet) = (Place::new(), Fleet::new());
    let path = fleet.incoming().join("live.parquet");
    let mut command = tracer::command(&format!("export --netns {} --format parquet --to", place.name()));
    let tracer = tracer::started(Program::collect(command.arg(&path)));
    place.run(|| SCENARIOS.into_iter().for_each(|scenario| play(scenario, place.own_v4(1).into())));
    place.settle();
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    let other = path.with_file_name("other.parquet");
    let rows = format!("select * replace ('other' as host) from '{}'", path.display());
    query(&format!("copy ({rows}) to '{}'", other.display()));
    fleet.compact();
    fleet
}

#[test]
fn answers_name_what_is_wrong() {
    let fleet = Fleet::made(1, 60, 36_000);
    let answers = fleet.ask(DUCKDB);
    assert_right(&answers);
    fleet.assert_same(&answers, POLARS);
}

/// The columns are those of `tracer export`.
#[test]
fn questions_are_for_real_exports() {
    let fleet = exported();
    let answers = fleet.ask(DUCKDB);
    assert!(answers["who-resets-whom.sql"].iter().any(|row| row["host"] == "other"), "{answers:#?}");
    fleet.assert_same(&answers, POLARS);
}

/// Engines that take long to install and to start.
#[test]
#[ignore = "takes minutes: cargo xtask test --long"]
fn other_engines_answer_the_same() {
    for fleet in [Fleet::made(1, 60, 36_000), exported()] {
        let answers = fleet.ask(DUCKDB);
        for engine in [CLICKHOUSE, SPARK] {
            fleet.assert_same(&answers, engine);
        }
    }
}

fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn a_day_of_a_thousand_hosts_is_a_file_for_each_hour() {
    let fleet = Fleet::made(24, 1_000, 4_000);
    let expected: Vec<_> = (0..24).map(|hour| format!("{hour:02}.parquet")).collect();
    assert_eq!(files(&fleet.folder.path().join("fleet/2026-11-29")), expected);
    let counted = query(&format!(
        "with files as (
             select filename, host, time_ns, lag((host, time_ns)) over (partition by filename order by file_row_number) as before
             from read_parquet('{}', filename = true, file_row_number = true)
         )
         select filename, count(distinct host) as hosts, count(*) as n, bool_and(before is null or before <= (host, time_ns)) as sorted
         from files group by filename",
        fleet.files()
    ));
    assert_eq!(counted.len(), 24);
    for file in &counted {
        assert_eq!((&file["hosts"], &file["sorted"]), (&json!(1_000), &json!(true)), "{file:?}");
    }
    let rows: u64 = counted.iter().map(|file| file["n"].as_u64().unwrap()).sum();
    let sent = query(&format!("select count(*) as n from '{}/*.parquet'", fleet.incoming().display()));
    assert_eq!(json!(rows), sent[0]["n"]);
}

/// Whoever collects files removes them when they are in the hours; some come late, and some twice.
#[test]
fn hours_keep_their_rows() {
    let fleet = Fleet::made(2, 10, 4_000);
    let count = |files: &str| query(&format!("select count(*) as n from '{files}'"))[0]["n"].clone();
    let before = count(&fleet.files());
    fs::remove_file(fleet.incoming().join("12-0.parquet")).unwrap();
    fleet.compact();
    assert_eq!(count(&fleet.files()), before);
}
