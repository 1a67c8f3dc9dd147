//! Summaries, compared with the log of the same traffic.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
};

use rustix::process::Signal;
use serde_json::Value;
use tests::{
    agreement::assert_counted,
    place::Place,
    reported::{record, trouble},
    screen::Screen,
    story::{lines, number, text},
    tracer,
    traffic::{connect, storm},
};

/// Counts by name.
type Counts = BTreeMap<String, u64>;

fn count(names: impl Iterator<Item = String>) -> Counts {
    let mut counts = Counts::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    counts
}

fn uint(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| panic!("no number {key} in {value}"))
}

fn list<'a>(report: &'a Value, key: &str) -> &'a Vec<Value> {
    report[key].as_array().unwrap_or_else(|| panic!("no list {key} in {report}"))
}

fn transitions(report: &Value) -> Counts {
    let name = |of: &Value| format!("{}>{}", text(of, "old_state"), text(of, "new_state"));
    list(report, "transitions").iter().map(|of| (name(of), uint(of, "count"))).collect()
}

fn reasons(report: &Value) -> Counts {
    list(report, "reasons").iter().map(|of| (text(of, "reason").to_owned(), uint(of, "count"))).collect()
}

fn ranking<'a>(report: &'a Value, by: &str) -> &'a Value {
    list(report, "top").iter().find(|top| text(top, "by") == by).unwrap()
}

/// The last report, which covers the whole run.
fn total(reports: &[Value]) -> &Value {
    let last = reports.last().unwrap();
    assert_eq!(text(last, "kind"), "total");
    last
}

/// Counts the transitions in the log.
fn logged(log: &[Value]) -> Counts {
    count(log.iter().map(|line| format!("{}>{}", text(line, "old_state"), text(line, "new_state"))))
}

fn is_birth(line: &Value) -> bool {
    matches!((text(line, "old_state"), text(line, "new_state")), ("CLOSE", _) | ("LISTEN", "SYN_RECV"))
}

/// Without an interval the reports share the duration.
#[test]
fn a_count_of_reports_in_a_duration() {
    for words in ["", "--in-kernel"] {
        for count in [1, 3] {
            let ended =
                tracer::run(&format!("summary -o json --netns 1 --duration 900ms --count {count} {words}"));
            let reports = lines(&ended.out);
            // One report on the whole period says all.
            let intervals = if count == 1 { 0 } else { count };
            assert_eq!(reports.len(), intervals + 1, "{words} {count}: {}", ended.out);
            let duration_us = number(total(&reports), "duration_us").unwrap();
            assert!(duration_us >= 890_000.0, "{words} {count}: {duration_us}");
        }
    }
}

/// The times in a state, in microseconds, sorted.
fn stays(log: &[Value], state: &str) -> Vec<f64> {
    let of_state = log.iter().filter(|line| text(line, "old_state") == state && !is_birth(line));
    let mut stays: Vec<f64> = of_state.filter_map(|line| number(line, "state_us")).collect();
    stays.sort_by(f64::total_cmp);
    stays
}

/// Limit of lost events. The kernel program misses a few events of the host while it is busy. If they are the
/// test's, the counts differ.
const FEW: u64 = 10;

/// How much a single time may differ between two tracers, in microseconds. Their programs read the clock one
/// after the other, and may be interrupted in between; a virtual machine may lose the CPU for that long.
const STOLEN_US: f64 = 100_000.0;

/// The range that a quantile may be in. Most times differ by microseconds between two tracers, so ranks shift
/// slightly.
fn around(stays: &[f64], percent: usize) -> (f64, f64) {
    let at = |percent: usize| stays[((stays.len() * percent).div_ceil(100)).clamp(1, stays.len()) - 1];
    (at(percent.saturating_sub(2)) - 3.0, at(percent + 2) + 3.0)
}

/// Makes random traffic in two namespaces. Returns the log, and the reports of a summary for each of the
/// options.
fn storm_seen_by(options: &[&str]) -> (Vec<Value>, Vec<Vec<Value>>) {
    let (left, right) = Place::pair();
    let common = format!("--netns {},{} --no-timewait -o json", left.name(), right.name());
    let log = tracer::start(&common);
    let summaries: Vec<_> =
        options.iter().map(|options| tracer::start(&format!("summary {common} {options}"))).collect();
    storm(&[&left, &right], 400, 7);
    [&left, &right].into_iter().for_each(Place::settle);
    let ended = log.interrupt();
    assert_eq!(tracer::lost(&ended), 0, "{}", ended.err);
    let reports = summaries.into_iter().map(|summary| {
        let ended = summary.interrupt();
        assert_eq!(ended.code(), 0, "{}", ended.err);
        lines(&ended.out)
    });
    (lines(&ended.out), reports.collect())
}

#[test]
fn a_summary_agrees_with_the_log() {
    let (log, reports) = storm_seen_by(&["--interval 1h"]);
    let report = total(&reports[0]);
    assert!(log.len() > 2000, "{} lines", log.len());
    assert!(uint(report, "lost") < FEW, "{report}");
    assert_eq!(transitions(report), logged(&log));
    let ends = log.iter().filter(|line| !line["reason"].is_null());
    let mut logged_reasons = count(ends.map(|line| text(line, "reason").to_owned()));
    let mut told_reasons = reasons(report);
    // With `--no-timewait` the log has no line for the end of an orphan in FIN_WAIT2.
    logged_reasons.remove("unknown");
    told_reasons.remove("unknown");
    assert_eq!(told_reasons, logged_reasons);
    for state in list(report, "states") {
        let name = text(state, "state");
        let stays = stays(&log, name);
        assert_eq!(uint(state, "stays"), stays.len() as u64, "{name}");
        let buckets: u64 = list(state, "distribution").iter().map(|bucket| uint(bucket, "count")).sum();
        assert_eq!(buckets, stays.len() as u64, "{name}");
        let Some(longest) = stays.last() else {
            continue;
        };
        let longest_told = number(state, "max_us").unwrap();
        assert!(
            (longest_told - longest).abs() <= longest / 100.0 + STOLEN_US,
            "{name}: {longest_told}, not {longest}"
        );
        for (key, part) in [("p50_us", 50), ("p90_us", 90), ("p99_us", 99)] {
            let told = number(state, key).unwrap();
            let (least, most) = around(&stays, part);
            assert!(
                (least * 0.99..=most * 1.01).contains(&told),
                "{name} {key}: {told}, not {least} to {most}"
            );
        }
    }
}

#[test]
fn what_the_kernel_counts_agrees_with_the_log() {
    let (log, reports) =
        storm_seen_by(&["--interval 1h --in-kernel", "--interval 50ms --in-kernel --by port"]);
    for reports in &reports {
        let report = total(reports);
        assert!(uint(report, "lost") < FEW, "{report}");
        assert_eq!(transitions(report), logged(&log));
        for state in list(report, "states") {
            let name = text(state, "state");
            let stays = stays(&log, name);
            assert_eq!((uint(state, "stays"), uint(state, "unknown")), (stays.len() as u64, 0), "{name}");
            for (key, part) in [("p50_us", 50), ("p90_us", 90), ("p99_us", 99)] {
                // The kernel's histogram has a bucket per power of two, and reports the upper end.
                let told = number(state, key).unwrap();
                let (least, most) = around(&stays, part);
                assert!((least..=2.0 * most).contains(&told), "{name} {key}: {told}, not {least} to {most}");
            }
            let (longest, told) = (stays.last().unwrap(), number(state, "max_us").unwrap());
            assert!((told - longest).abs() <= longest / 100.0 + STOLEN_US, "{name}: {told}, not {longest}");
        }
    }
    let report = total(&reports[1]);
    let rows = list(ranking(report, "service"), "rows");
    let told =
        rows.iter().map(|row| (format!("{} {}", text(row, "side"), row["port"]), uint(row, "transitions")));
    let mut logged = count(log.iter().map(service));
    // The report has only the ten ports with the most transitions.
    let told: Counts = told.collect();
    logged.retain(|name, _| told.contains_key(name));
    assert_eq!(told, logged);
    assert_eq!(told.len(), 10);
    let (_, intervals) = reports[1].split_last().unwrap();
    let begun: u64 = intervals.iter().map(|interval| transitions(interval).values().sum::<u64>()).sum();
    assert!(begun > 0 && begun <= log.len() as u64, "{begun} of {}", log.len());
}

#[test]
fn the_kernel_filters_what_it_counts_and_hides_no_beginning() {
    let place = Place::new();
    let common = format!("--netns {} --no-timewait -o json", place.name());
    // The usual range of clients' ports. A client's first event comes before its port is chosen.
    let ports = "--local-port 32768-60999";
    let log = tracer::start(&format!("{common} {ports}"));
    let summary = tracer::start(&format!("summary {common} {ports} --in-kernel --interval 1h"));
    storm(&[&place], 80, 5);
    place.settle();
    let log = lines(&log.interrupt().out);
    let ended = summary.interrupt();
    assert_eq!(transitions(total(&lines(&ended.out))), logged(&log));
    let lost = ended.err.split(", lost ").nth(1).expect("a receipt");
    let lost: u64 = lost.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap();
    assert!(lost < FEW, "{}", ended.err);
}

#[test]
fn in_the_kernel_only_ports_are_ranked() {
    let ended = tracer::run("summary --in-kernel --by peer");
    assert_eq!(ended.code(), 2, "{}", ended.err);
    assert!(ended.err.contains("in the kernel only ports are counted"), "{}", ended.err);
}

/// The service that a line belongs to: the server's port, and the side that it is on.
fn service(line: &Value) -> String {
    match text(line, "role") {
        "client" => format!("remote {}", line["remote_port"]),
        "" => " null".to_owned(),
        _ => format!("local {}", line["local_port"]),
    }
}

#[test]
fn rankings_agree_with_the_log() {
    let (log, reports) = storm_seen_by(&["--interval 1h --rows 1000"]);
    let report = total(&reports[0]);
    let check = |by: &str, name: &dyn Fn(&Value) -> String, key: &dyn Fn(&Value) -> String| {
        let top = ranking(report, by);
        assert_eq!(top["missing_at_most"], 0, "{by}");
        let told: Counts =
            list(top, "rows").iter().map(|row| (name(row), uint(row, "transitions"))).collect();
        assert_eq!(told, count(log.iter().map(key)), "{by}");
        assert_eq!(uint(top, "keys"), told.len() as u64, "{by}");
    };
    check("netns", &|row| row["netns"].to_string(), &|line| line["netns"].to_string());
    check("cgroup", &|row| row["cgroup"].to_string(), &|line| line["cgroup"].to_string());
    check("process", &|row| text(row, "comm").to_owned(), &|line| text(line, "comm").to_owned());
    check("peer", &|row| text(row, "remote_addr").to_owned(), &|line| text(line, "remote_addr").to_owned());
    check("service", &|row| format!("{} {}", text(row, "side"), row["port"]), &service);
    let rows = list(ranking(report, "netns"), "rows");
    let sum = |key: &str| rows.iter().map(|row| uint(row, key)).sum::<u64>();
    let begins = |line: &&Value| is_birth(line) && text(line, "new_state") != "LISTEN";
    assert_eq!(sum("begun"), log.iter().filter(begins).count() as u64);
    let failed: u64 =
        reasons(report).iter().filter(|(name, _)| !name.starts_with("fin-")).map(|(_, count)| count).sum();
    assert_eq!(sum("failed"), failed);
}

#[test]
fn intervals_add_up_to_the_total() {
    let (_, reports) = storm_seen_by(&["--interval 100ms"]);
    let (last, intervals) = reports[0].split_last().unwrap();
    let mut sums = Counts::new();
    for interval in intervals {
        assert_eq!(text(interval, "kind"), "interval");
        for (name, count) in transitions(interval) {
            *sums.entry(name).or_default() += count;
        }
    }
    assert!(intervals.len() > 2, "{} intervals", intervals.len());
    for pair in intervals.windows(2) {
        assert_eq!(pair[0]["to"], pair[1]["from"]);
    }
    // Events after the last interval are only in the total.
    let all = transitions(last);
    for (name, count) in &sums {
        assert!(all[name] >= *count, "{name}: {count} of {all:?}");
    }
    assert!(sums.values().sum::<u64>() > 0);
}

#[test]
fn what_was_lost_is_said_and_nothing_else_is_missing() {
    let place = Place::new();
    let arguments =
        format!("summary -o json --netns {} --interval 1h --buffer 4KiB --no-timewait", place.name());
    let tracer = tracer::start(&arguments);
    // While tracer is stopped, more events than a page holds.
    let attempts = 2_000_u64;
    tracer.signal(Signal::STOP);
    place.run(|| {
        for attempt in 0..attempts {
            let [.., high, low] = attempt.to_be_bytes();
            connect(SocketAddr::from((Ipv4Addr::new(127, 77, high, low.max(1)), 9))).expect_err("refused");
        }
    });
    tracer.signal(Signal::CONT);
    let ended = tracer.interrupt();
    let reports = lines(&ended.out);
    let report = total(&reports);
    let lost = uint(report, "lost");
    assert!(lost > 0, "a buffer of a page is too small");
    assert_eq!(lost, tracer::receipt(&ended, "lost"));
    let own = tracer::remark(&ended, "found the buffer full");
    assert!(ended.err.contains(" records of other hooks were lost"), "{}", ended.err);
    // Each attempt has two transitions. Lost ones are in no count.
    assert_eq!(transitions(report).values().sum::<u64>() + own, 2 * attempts);
}

#[test]
fn people_see_tables_and_are_told_of_losses() {
    let place = Place::new();
    let arguments = format!("summary --netns {} --interval 1s --color never", place.name());
    let mut tracer = tracer::start(&arguments);
    storm(&[&place], 40, 3);
    tracer.wait_for_out("an interval with an end", |out| out.contains("fin-local"));
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    for word in [
        "TRANSITION",
        "SYN_SENT     -> ESTABLISHED",
        "STATE",
        "P99",
        "ENDED",
        "fin-local",
        "SERVICE",
        "TOTAL",
    ] {
        assert!(ended.out.contains(word), "no {word} in\n{}", ended.out);
    }
    assert!(!ended.out.contains('\x1b'));
    assert!(ended.out.lines().all(|line| line == line.trim_end()), "blanks at the end of a line");
}

#[test]
fn a_count_of_intervals_ends_it() {
    let ended = tracer::run("summary --netns 1 --count 2 --interval 100ms -o json");
    assert_eq!(ended.code(), 0, "{}", ended.err);
    let kinds: Vec<_> = lines(&ended.out).iter().map(|report| text(report, "kind").to_owned()).collect();
    assert_eq!(kinds, ["interval", "interval", "total"]);
}

#[test]
fn on_a_narrow_terminal_tables_do_not_wrap() {
    let place = Place::new();
    let script = format!(
        "trap : INT; {} summary --netns {} --interval 1h --rows 3",
        tracer::binary().display(),
        place.name()
    );
    let screen = Screen::run(80, 100, &script);
    screen.wait_for("`tracer: ready`", |shown| shown.contains("tracer: ready"));
    storm(&[&place], 40, 3);
    screen.keys(&["C-c"]);
    let shown = screen.wait_for("the tables", |shown| shown.contains("tracer: seen"));
    // There is no room for bars and their titles, but for all other columns.
    assert!(shown.lines().any(|line| line.ends_with("P99      MAX")), "{shown}");
    assert!(shown.lines().any(|line| line.starts_with("SERVICE") && line.ends_with("FAILED")), "{shown}");
}

/// DuckDB counts in the export of a recording what a summary of it says.
#[test]
fn a_summary_of_a_recording_agrees_with_duckdb() {
    let place = Place::new();
    let recorded = record(&place, || {
        storm(&[&place], 100, 3);
        trouble(&place)
    });
    let (log, lives) = (recorded.export(""), recorded.export("--life"));
    // Of few rows, most keys are not shown.
    for rows in [1000, 2] {
        let command =
            format!("summary -o json --interval 1h --rows {rows} --from {}", recorded.path.display());
        let ended = tracer::run(&command);
        assert_eq!(ended.code(), 0, "{}", ended.err);
        assert_counted(total(&lines(&ended.out)), &log, &lives);
    }
}
