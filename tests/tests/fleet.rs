//! The queries of `examples/fleet`, on data of many hosts in which one thing is wrong for each of them.

use std::{fs, path::PathBuf};

use serde_json::{Map, Value, json};
use tempfile::{TempDir, tempdir};
use tests::{
    duckdb::query,
    place::Place,
    program::Program,
    tracer,
    traffic::{SCENARIOS, play},
};

/// The deploy, in the middle of the data.
const DEPLOY: &str = "set variable deploy = timestamptz '2026-11-29 12:30:00+00'; ";

/// An hour of sixty hosts. Each connection of a client to the service 443 has four rows, and ends in order,
/// but where it says so.
const FLEET: &str = "
create table transitions as
with connections as (
    select
        'host' || (i % 60) as host,
        i as cookie,
        timestamptz '2026-11-29 12:00:00+00' + interval 1 second * (i // 10) as began,
        i % 60 as h,
        i % 7 as k
    from range(36000) as r(i)
), stories as (
    select
        *,
        -- The proxies of host 3 are reset by one peer.
        h = 3 and k < 4 as is_reset,
        -- From 12:40 on one peer is slow for five minutes.
        k = 5 and began >= timestamptz '2026-11-29 12:40:00+00' and began < timestamptz '2026-11-29 12:45:00+00' as is_slow,
        -- Host 9 never gets to 10.0.0.6.
        h = 9 and k = 6 as is_apart,
        -- The service of host 11 does not close.
        h = 11 as is_leaking,
        -- After the deploy billing times out.
        h = 20 and began >= timestamptz '2026-11-29 12:30:00+00' as is_bad
    from connections
), rows_of_stories as (
    select
        *, unnest([0, 1, 2, 3]) as step
    from stories
)
select
    host,
    cookie,
    1 as netns_cookie,
    began + interval 1 millisecond * step as time,
    case when is_leaking then 'orders' when h = 20 then 'billing' else 'proxy' end as comm,
    'client' as role,
    '10.1.0.' || h as local_addr,
    40000 + cookie % 20000 as local_port,
    '10.0.0.' || k as remote_addr,
    443 as remote_port,
    ['CLOSE', 'SYN_SENT', 'ESTABLISHED', 'CLOSE_WAIT'][step + 1] as old_state,
    case when is_apart and step = 1 then 'CLOSE' when is_reset and step = 2 then 'CLOSE'
        else ['SYN_SENT', 'ESTABLISHED', 'CLOSE_WAIT', 'CLOSE'][step + 1] end as new_state,
    case
        when is_apart and step = 1 then 'timeout-connect'
        when is_reset and step = 2 then 'reset-remote'
        when is_bad and step = 3 then 'timeout-retransmit'
        when step = 3 then 'fin-remote'
    end as reason,
    case when is_slow then 90000 else 300 + cookie % 50 end as handshake_us
from rows_of_stories
where not (is_apart and step > 1) and not (is_reset and step > 2) and not (is_leaking and step > 2);
";

fn example(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/fleet");
    fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The answer to a question, with times as text.
fn answer(table: &str, name: &str) -> Vec<Map<String, Value>> {
    let sql = example(name);
    query(&format!(
        "set timezone = 'UTC'; {DEPLOY}{table} create temp table answer as {sql}; \
         select columns(*)::varchar from answer"
    ))
}

fn text<'a>(row: &'a Map<String, Value>, key: &str) -> &'a str {
    row[key].as_str().unwrap_or_else(|| panic!("no {key} in {row:?}"))
}

#[test]
fn who_resets_whom() {
    let rows = answer(FLEET, "who-resets-whom.sql");
    let pairs: Vec<_> = rows.iter().map(|row| (text(row, "host"), text(row, "remote_addr"))).collect();
    assert!(!pairs.is_empty() && pairs.iter().all(|(host, _)| *host == "host3"), "{rows:#?}");
    assert!(rows.iter().all(|row| text(row, "reason") == "reset-remote" && text(row, "service") == "443"));
}

#[test]
fn which_service_leaks() {
    let rows = answer(FLEET, "close-wait-leaks.sql");
    assert_eq!(rows.len(), 1, "{rows:#?}");
    assert_eq!((text(&rows[0], "host"), text(&rows[0], "comm")), ("host11", "orders"));
    assert_eq!(text(&rows[0], "leaked"), "600");
}

#[test]
fn where_handshakes_got_slow() {
    let rows = answer(FLEET, "slow-handshakes.sql");
    assert_eq!(rows.len(), 1, "{rows:#?}");
    assert_eq!(
        (text(&rows[0], "five_minutes"), text(&rows[0], "remote_addr")),
        ("2026-11-29 12:40:00+00", "10.0.0.5")
    );
}

#[test]
fn which_pairs_never_connect() {
    let rows = answer(FLEET, "pairs-that-never-connect.sql");
    assert_eq!(rows.len(), 1, "{rows:#?}");
    let found = ["host", "remote_addr", "reason"].map(|key| text(&rows[0], key));
    assert_eq!(found, ["host9", "10.0.0.6", "timeout-connect"]);
}

#[test]
fn what_changed_after_the_deploy() {
    let rows = answer(FLEET, "after-the-deploy.sql");
    let changed: Vec<_> = rows.iter().filter(|row| text(row, "comm") == "billing").collect();
    let bad = changed.iter().find(|row| text(row, "reason") == "timeout-retransmit").unwrap();
    assert_eq!(text(bad, "per_hour_before"), "0.0");
    assert!(rows[..2].iter().all(|row| text(row, "comm") == "billing"), "{rows:#?}");
}

/// A real export of this host, twice.
fn exported() -> (TempDir, String) {
    let (place, folder) = (Place::new(), tempdir().unwrap());
    let path = folder.path().join("live.parquet");
    let mut command = tracer::command(&format!("export --netns {} --format parquet --to", place.name()));
    let tracer = tracer::started(Program::collect(command.arg(&path)));
    place.run(|| SCENARIOS.into_iter().for_each(|scenario| play(scenario, place.own_v4(1).into())));
    place.settle();
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    let table = format!(
        "create view transitions as from '{0}' union all select * replace ('other' as host) from '{0}';",
        path.display()
    );
    (folder, table)
}

/// The columns are those of `tracer export`.
#[test]
fn they_run_on_an_export() {
    let (_folder, table) = exported();
    for entry in fs::read_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/fleet")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name != "compact.sql" {
            let rows = answer(&table, &name);
            assert!(
                name != "who-resets-whom.sql" || rows.iter().any(|row| row["host"] == "other"),
                "{rows:?}"
            );
        }
    }
}

#[test]
fn an_hour_of_all_hosts_is_one_sorted_table() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("hour.parquet");
    query(&format!(
        "{FLEET} copy (select *, epoch_ns(time) as time_ns from transitions) to '{}'",
        path.display()
    ));
    let counted = query(&format!(
        "set timezone = 'UTC'; set variable incoming = '{}'; \
         set variable hour = timestamptz '2026-11-29 12:00:00+00'; {}; \
         select count(*) as n, count(distinct host) as hosts, arg_min(host, rowid) as first from hour_of_all_hosts",
        path.display(),
        example("compact.sql")
    ));
    assert_eq!((&counted[0]["hosts"], &counted[0]["first"]), (&json!(60), &json!("host0")));
    assert!(counted[0]["n"].as_u64() > Some(100_000), "{counted:?}");
}
