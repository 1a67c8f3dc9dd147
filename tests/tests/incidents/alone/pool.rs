//! PostgreSQL and a pool of connections to it.

use std::time::{Duration, Instant};

use tests::{
    place::Place,
    postgres::Postgres,
    program::Program,
    story::{Line, number, text},
    watch::{Watch, is_of, ready},
};

use super::common::ADDRESS;

/// Opens so many connections, and keeps them without a look at them.
const POOL: &str = "
import signal, sys
from psycopg2.pool import ThreadedConnectionPool
size = int(sys.argv[2])
pool = ThreadedConnectionPool(size, size, host=sys.argv[1], user='postgres')
print('ready', flush=True)
signal.pause()
";

fn pool(place: &Place, script: &str, size: &str) -> Program {
    // Debian's, which has the module.
    ready(place.command("/usr/bin/python3").args(["-c", script, ADDRESS, size]))
}

/// Whether a row is of the clients of PostgreSQL.
fn is_service(row: &Line) -> bool {
    row["side"] == "remote" && row["port"] == 5432
}

#[test]
fn a_pool_keeps_what_postgresql_has_closed() {
    let place = Place::new();
    let _server = Postgres::start(&place, ADDRESS, &["idle_session_timeout=500ms"]);
    let watch = Watch::new(&place, "--stuck CLOSE_WAIT=2s", "--only-stuck --stuck CLOSE_WAIT=2s");
    let client = pool(&place, POOL, "8");
    let due = Instant::now() + Duration::from_millis(2500);
    let is_pool = |line: &Line| is_of(line, &client) && line["count"] == 8;
    let pid = format!("({})", client.pid());
    let found = watch.finds("close-wait", due, is_pool, &[" 8 ", &pid, "oldest"]);
    watch.sees("the server", |shown| shown.lines().any(|line| line.contains(":5432 postgres ")));
    assert_eq!(text(&found, "command"), format!("tracer top --pid {} --state CLOSE_WAIT", client.pid()));
    watch.ranks("service", is_service, "begun", 8);
    let stuck = watch.logs("all of them", due, 8, |line| line["remote_port"] == 5432);
    assert!(
        stuck.iter().all(|line| is_of(line, &client) && text(line, "old_state") == "CLOSE_WAIT"),
        "{stuck:#?}"
    );
}

/// Opens connections until that fails so often.
const MORE: &str = "
import psycopg2, signal, sys
kept, failed = [], 0
while failed < int(sys.argv[2]):
    try:
        kept.append(psycopg2.connect(host=sys.argv[1], user='postgres'))
    except psycopg2.OperationalError:
        failed += 1
print(f'{len(kept)} kept')
print('ready', flush=True)
signal.pause()
";

/// To TCP it is healthy: each of the refused sessions is a connection that closes in order. The log shows how short they are.
#[test]
fn a_pool_larger_than_max_connections() {
    let place = Place::new();
    let _server = Postgres::start(&place, ADDRESS, &["max_connections=10"]);
    let watch = Watch::new(&place, "", "life --remote-port 5432");
    let client = pool(&place, MORE, "20");
    let due = Instant::now();
    let lives = watch.logs("the refused ones", due, 20, |line| !line["reason"].is_null());
    for life in &lives {
        assert!(is_of(life, &client) && text(life, "reason").starts_with("fin-"), "{life}");
        assert!(number(life, "established_us").unwrap() < 1e6, "{life}");
    }
    watch.ranks("service", is_service, "begun", 30);
    watch.ranks("service", is_service, "failed", 0);
    watch.next_summary();
    watch.finds_nothing();
}
