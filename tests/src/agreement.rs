//! What `tracer summary -o json` says of all of the time, beside what DuckDB counts in the export of the same
//! recording.

// A panic is how a test says that it failed.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;

use crate::engines::query;

/// Counts of a table as a map. Those that are 0 are left out.
pub fn counts<'a>(
    rows: impl IntoIterator<Item = &'a Value>,
    keys: &[&str],
    count: &str,
) -> BTreeMap<String, u64> {
    let key = |row: &Value| keys.iter().map(|key| row[*key].to_string()).collect::<Vec<_>>().join(" ");
    rows.into_iter()
        .map(|row| (key(row), row[count].as_u64().unwrap()))
        .filter(|(_, count)| *count > 0)
        .collect()
}

/// The rows of DuckDB's answer.
pub fn asked(sql: &str) -> Vec<Value> {
    query(sql).into_iter().map(Value::Object).collect()
}

/// Rankings, and what DuckDB groups by for them: names of keys, each with the expression in SQL.
const RANKINGS: [(&str, &[(&str, &str)]); 3] = [
    ("peer", &[("remote_addr", "remote_addr")]),
    ("process", &[("comm", "comm")]),
    (
        "service",
        &[
            (
                "side",
                "case role when 'client' then 'remote' when 'server' then 'local' when 'listener' then 'local' end",
            ),
            (
                "port",
                "case role when 'client' then remote_port when 'server' then local_port when 'listener' then local_port end",
            ),
        ],
    ),
];

/// Counts are equal, quantiles within the error that the report states, rankings within what it says is missing.
/// `log`: a row for each transition; `lives`: one for each connection.
pub fn assert_counted(report: &Value, log: &Path, lives: &Path) {
    let (log, lives) = (log.display(), lives.display());
    let list = |key: &str| report[key].as_array().unwrap_or_else(|| panic!("no {key}: {report}"));
    assert_eq!((&report["kind"], &report["lost"]), (&"total".into(), &0.into()));

    let keys = ["old_state", "new_state"];
    let transitions =
        asked(&format!("select old_state, new_state, count(*) as count from '{log}' group by all"));
    assert_eq!(counts(list("transitions"), &keys, "count"), counts(&transitions, &keys, "count"));

    let reasons = asked(&format!("select reason, count(*) as count from '{lives}' group by all"));
    assert_eq!(counts(list("reasons"), &["reason"], "count"), counts(&reasons, &["reason"], "count"));

    for (by, of) in RANKINGS {
        let table = list("top").iter().find(|table| table["by"] == by).unwrap_or_else(|| panic!("no {by}"));
        let columns: Vec<_> = of.iter().map(|(key, sql)| format!("{sql} as {key}")).collect();
        let keys: Vec<_> = of.iter().map(|(key, _)| *key).collect();
        let rows =
            asked(&format!("select {}, count(*) as count from '{log}' group by all", columns.join(", ")));
        let (found, expected) =
            (counts(table["rows"].as_array().unwrap(), &keys, "transitions"), counts(&rows, &keys, "count"));
        let missing = table["missing_at_most"].as_u64().unwrap();
        // A key that is not shown has no more than the last one shown, or than what may be missing.
        let last = found.values().copied().min().unwrap_or_default().max(missing);
        for (name, count) in &expected {
            match found.get(name) {
                Some(found) => {
                    assert!(found <= count && count - found <= missing, "{by} {name}: {found}, not {count}");
                }
                None => assert!(*count <= last, "{by} {name}: {count} and not shown: {found:?}"),
            }
        }
        assert!(found.keys().all(|name| expected.contains_key(name)), "{by}: {found:?}, not {expected:?}");
    }

    // Quantiles: of the value at the exact place.
    let error = report["quantile_error"].as_f64().unwrap();
    let mut compared = 0;
    for times in list("states") {
        let state = times["state"].as_str().unwrap();
        let exact = &asked(&format!(
            "select count(*) as n, quantile_disc(state_us, 0.5) as p50_us, quantile_disc(state_us, 0.9) as p90_us, \
             quantile_disc(state_us, 0.99) as p99_us, max(state_us) as max_us from '{log}' \
             where old_state = '{state}' and state_us is not null"
        ))[0];
        assert_eq!(exact["n"], times["stays"], "{state}");
        if exact["n"] == 0 {
            continue;
        }
        for (key, error) in [("p50_us", error), ("p90_us", error), ("p99_us", error), ("max_us", 0.0)] {
            let (ours, theirs) = (times[key].as_f64().unwrap(), exact[key].as_f64().unwrap());
            // Both have the nanoseconds as a fraction.
            assert!(
                (ours - theirs).abs() <= theirs * error + 0.001,
                "{state} {key}: {ours}, not {theirs} within {error}"
            );
            compared += 1;
        }
    }
    assert!(compared >= 8, "{compared} quantiles");
}
