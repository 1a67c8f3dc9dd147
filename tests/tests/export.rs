//! `tracer export`: what another program reads in the files is what the log and `life` say.

use std::{
    fs,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rustix::process::Signal;
use serde_json::{Map, Value, json};
use tempfile::{TempDir, tempdir};
use tests::{
    engines::query,
    patience::until,
    place::Place,
    program::{Ended, Program},
    story::{Line, lines},
    tracer,
    traffic::{SCENARIOS, play},
};

/// Columns of times, which DuckDB is asked for as microseconds.
const TIMES: [&str; 4] = ["time", "start", "end", "retransmitted"];

/// A recording of connections that ended in all the usual ways.
struct Recorded {
    folder: TempDir,
    path: PathBuf,
}

impl Recorded {
    fn new() -> Self {
        let place = Place::new();
        let folder = tempdir().unwrap();
        let path = folder.path().join("host.rec");
        let mut command = tracer::command(&format!("record --netns {}", place.name()));
        let tracer = tracer::started(Program::collect(command.arg(&path)));
        for address in [place.own_v4(1).into(), place.own_v6().into()] {
            place.run(|| SCENARIOS.into_iter().for_each(|scenario| play(scenario, address)));
        }
        place.settle();
        let ended = tracer.interrupt();
        assert_eq!(ended.code(), 0, "{}", ended.err);
        Self { folder, path }
    }

    /// The lines of a view.
    fn lines(&self, view: &str) -> Vec<Line> {
        let ended =
            Program::collect(tracer::command(&format!("{view} -o json --from")).arg(&self.path)).wait();
        assert_eq!(ended.code(), 0, "{}", ended.err);
        lines(&ended.out)
    }

    /// Exports it, and returns the path of the file.
    fn export(&self, options: &str, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        let mut command = tracer::command("export");
        command.arg(&self.path).arg("--to").arg(&path).args(options.split_whitespace());
        let ended = Program::collect(&mut command).wait();
        assert_eq!((ended.code(), &ended.out[..]), (0, ""), "{}", ended.err);
        path
    }
}

/// Starts an export of what happens in this namespace from now on.
fn exporting(place: &Place, options: &str, to: &Path) -> Program {
    let mut command = tracer::command(&format!("export --netns {} {options} --to", place.name()));
    tracer::started(Program::collect(command.arg(to)))
}

fn ns(time: &Value) -> i64 {
    let time: Timestamp = time.as_str().unwrap().parse().unwrap();
    time.as_nanosecond().try_into().unwrap()
}

/// A line of JSON as a row of a table, whose times are in microseconds.
fn row(line: &Line) -> Map<String, Value> {
    let mut row = line.as_object().unwrap().clone();
    for time in TIMES {
        if let Some(value) = row.get_mut(time).filter(|value| !value.is_null()) {
            *value = json!(ns(value).div_euclid(1_000));
        }
    }
    row
}

/// All rows of files of Parquet, with times in microseconds.
fn rows(files: &Path, times: &[&str]) -> Vec<Map<String, Value>> {
    let times: Vec<_> = times.iter().map(|time| format!("epoch_us(\"{time}\") as \"{time}\"")).collect();
    query(&format!("select * replace ({}) from read_parquet('{}')", times.join(", "), files.display()))
}

/// The values of both are the same; numbers may be written as `1` or `1.0`.
fn assert_same(found: &Map<String, Value>, expected: &Map<String, Value>) {
    for (key, value) in expected {
        let is_same = found[key] == *value || value.is_number() && found[key].as_f64() == value.as_f64();
        assert!(is_same, "{key}: {} instead of {value} in {found:?}", found[key]);
    }
}

fn host() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim().to_owned()
}

fn files(folder: &TempDir, suffix: &str) -> Vec<String> {
    let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(suffix));
    names.sort();
    names
}

#[test]
fn parquet_has_the_rows_of_the_log() {
    let recorded = Recorded::new();
    let mut expected = recorded.lines("log");
    assert!(expected.len() > 100, "{}", expected.len());
    expected.sort_by_key(|line| ns(&line["time"]));
    let path = recorded.export("--format parquet", "log.parquet");
    let found = rows(&path, &["time", "retransmitted"]);
    assert_eq!(found.len(), expected.len());
    for (found, line) in found.iter().zip(&expected) {
        assert_same(found, &row(line));
        assert_eq!(found["time_ns"].as_i64(), Some(ns(&line["time"])));
        assert_eq!(found["host"], host());
        assert_eq!(found.len(), line.as_object().unwrap().len() + 2);
    }
}

#[test]
fn columns_have_types_that_every_engine_has() {
    let recorded = Recorded::new();
    let path = recorded.export("--format parquet", "log.parquet");
    let described = query(&format!("describe select * from '{}'", path.display()));
    let type_of = |key: &str| {
        let column = described.iter().find(|column| column["column_name"] == key);
        column.unwrap_or_else(|| panic!("no {key} in {described:?}"))["column_type"].as_str().unwrap()
    };
    for (key, expected) in [
        ("time", "TIMESTAMP WITH TIME ZONE"),
        ("time_ns", "BIGINT"),
        ("cookie", "BIGINT"),
        ("comm", "VARCHAR"),
        ("local_addr", "VARCHAR"),
        ("state_us", "DOUBLE"),
        ("reuse", "BOOLEAN"),
    ] {
        assert_eq!(type_of(key), expected, "{key}");
    }
    let all = ["TIMESTAMP WITH TIME ZONE", "BIGINT", "VARCHAR", "DOUBLE", "BOOLEAN"];
    for column in &described {
        assert!(all.contains(&column["column_type"].as_str().unwrap()), "{column:?}");
    }
    let chunks = query(&format!("from parquet_metadata('{}')", path.display()));
    for chunk in &chunks {
        assert_eq!(chunk["compression"], "ZSTD", "{chunk:?}");
        let has_dictionary = chunk["encodings"].as_str().unwrap().contains("DICTIONARY");
        let has_few_values = match chunk["type"].as_str().unwrap() {
            "BYTE_ARRAY" => true,
            "INT64" => chunk["stats_min_value"] == chunk["stats_max_value"],
            _ => chunk["stats_null_count"] == chunk["num_values"],
        };
        // A boolean is a bit in any case.
        assert_eq!(has_dictionary, has_few_values && chunk["type"] != "BOOLEAN", "{chunk:?}");
    }
    assert!(chunks.len() > 30, "{chunks:?}");
}

#[test]
fn life_has_a_row_for_each_connection() {
    let recorded = Recorded::new();
    let mut expected = recorded.lines("life");
    assert!(expected.len() > 20, "{}", expected.len());
    let path = recorded.export("--life --format parquet", "life.parquet");
    let mut found = rows(&path, &["start", "end", "retransmitted"]);
    assert_eq!(found.len(), expected.len());
    expected.sort_by_key(|line| (ns(&line["end"]), line["cookie"].as_u64()));
    found.sort_by_key(|row| (row["time_ns"].as_i64(), row["cookie"].as_u64()));
    for (found, line) in found.iter().zip(&expected) {
        assert_same(found, &row(line));
    }
}

#[test]
fn csv_and_json_have_the_same_rows() {
    let recorded = Recorded::new();
    let expected = recorded.lines("log");
    let jsonl = fs::read_to_string(recorded.export("--format jsonl", "log.jsonl")).unwrap();
    let found = lines(&jsonl);
    assert_eq!(found.len(), expected.len());
    for (found, line) in found.iter().zip(&expected) {
        assert_same(found.as_object().unwrap(), line.as_object().unwrap());
        assert_eq!(
            (found["host"].as_str(), found["time_ns"].as_i64()),
            (Some(&host()[..]), Some(ns(&line["time"])))
        );
    }
    let mut csv = csv::Reader::from_path(recorded.export("--format csv", "log.csv")).unwrap();
    let keys = csv.headers().unwrap().clone();
    let records: Vec<_> = csv.records().map(Result::unwrap).collect();
    assert_eq!(records.len(), found.len());
    for (record, line) in records.iter().zip(&found) {
        assert_eq!(record.len(), line.as_object().unwrap().len());
        for (key, text) in keys.iter().zip(record) {
            let expected = match &line[key] {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            assert_eq!(text, expected, "{key}");
        }
    }
}

#[test]
fn chosen_columns_are_all_there_is() {
    let recorded = Recorded::new();
    let path = recorded.export("--format parquet --columns new_state,lived,time --life", "some.parquet");
    let found = rows(&path, &["time"]);
    assert!(found.iter().all(|row| row.keys().eq(["lived", "new_state", "time"])), "{found:?}");
    assert!(
        found.iter().any(|row| row["lived"].as_str().is_some_and(|lived| lived.contains("ESTABLISHED=")))
    );
}

#[test]
fn filters_choose_rows() {
    let recorded = Recorded::new();
    let expected = recorded.lines("life --reason refused");
    let path = recorded.export("--life --reason refused --format parquet", "refused.parquet");
    let counted = query(&format!("select reason, count(*) as n from '{}' group by all", path.display()));
    assert_eq!(counted.len(), 1);
    assert_eq!((&counted[0]["reason"], &counted[0]["n"]), (&json!("refused"), &json!(expected.len())));
}

/// What is there under the name stays until the new file is whole.
#[test]
fn a_killed_export_leaves_nothing_under_its_name() {
    let (place, folder) = (Place::new(), tempdir().unwrap());
    let (new, old) = (folder.path().join("new.parquet"), folder.path().join("old.parquet"));
    fs::write(&old, "old").unwrap();
    for path in [&new, &old] {
        let mut tracer = exporting(&place, "--format parquet", path);
        place.run(|| SCENARIOS.into_iter().for_each(|scenario| play(scenario, place.own_v4(1).into())));
        tracer.end_with(Signal::KILL);
    }
    assert!(!new.exists());
    assert_eq!(fs::read_to_string(&old).unwrap(), "old");
}

#[test]
fn an_interrupted_export_is_whole() {
    let (place, folder) = (Place::new(), tempdir().unwrap());
    let path = folder.path().join("live.parquet");
    let tracer = exporting(&place, "--format parquet", &path);
    place.run(|| SCENARIOS.into_iter().for_each(|scenario| play(scenario, place.own_v4(1).into())));
    place.settle();
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    let counted =
        query(&format!("select count(*) as n, count(distinct reason) as r from '{}'", path.display()));
    assert_eq!(counted[0]["n"].as_u64(), Some(tracer::receipt(&ended, "shown")), "{}", ended.err);
    assert!(counted[0]["r"].as_u64() > Some(4), "{counted:?}");
    assert_eq!(files(&folder, ""), ["live.parquet"]);
}

#[test]
fn files_follow_one_another() {
    let (place, folder) = (Place::new(), tempdir().unwrap());
    let tracer = exporting(&place, "--format parquet --rotate 500ms", folder.path());
    until("four files", || {
        place.run(|| play(SCENARIOS[0], place.own_v4(1).into()));
        (files(&folder, ".parquet").len() >= 4).then_some(())
    });
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    let suffix = format!("-{}.parquet", host());
    assert_eq!(files(&folder, &suffix), files(&folder, ""), "nothing else is left");
    let counted = query(&format!(
        "select filename, count(*) as n, min(time_ns) as first from read_parquet('{}/*.parquet', filename = true) \
         group by all order by filename",
        folder.path().display()
    ));
    let rows: u64 = counted.iter().map(|file| file["n"].as_u64().unwrap()).sum();
    assert_eq!(rows, tracer::receipt(&ended, "shown"), "{}", ended.err);
    assert!(counted.len() >= 3 && counted.is_sorted_by_key(|file| file["first"].as_i64()), "{counted:?}");
}

fn refused(arguments: &str) -> Ended {
    tracer::run(arguments)
}

#[test]
fn what_cannot_be_is_refused_at_once() {
    let folder = tempdir().unwrap();
    let at = folder.path().display();
    for (options, code, says) in [
        (format!("--format parquet --to {at}/x --rotate 1h"), 2, "--rotate makes files: give a folder"),
        (format!("--format parquet --to {at}/no/x"), 1, "cannot export"),
        (format!("--format xlsx --to {at}/x"), 2, "possible values: jsonl, csv, parquet"),
        ("--format csv".to_owned(), 2, "--to <PATH>"),
    ] {
        let ended = refused(&format!("export {options}"));
        assert_eq!(ended.code(), code, "{options}: {}", ended.err);
        assert!(ended.err.contains(says) && !ended.err.contains("tracer: ready"), "{options}: {}", ended.err);
    }
    assert!(files(&folder, "").is_empty());
}
