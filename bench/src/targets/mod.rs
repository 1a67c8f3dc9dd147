//! The targets that tracer has to meet, as one table.
//!
//! # Layout
//! - [`TARGETS`]: the table
//! - `figures`: finds a target's figure in a report
//! - `against`: the target of a build that is compared with an older one

mod against;
mod figures;

use self::figures::{lost, ratio, service, unaccounted};
use crate::{
    contestant::REFERENCE,
    fleet,
    load::service::Connections,
    replay,
    report::{
        Report,
        list::{self, Sockets},
        verdict::{
            Bound::{self, AtLeast, AtMost, Below},
            Verdict,
        },
    },
    scenes,
};

/// A target: in words, its bound and unit, and where its figure is found.
struct Target {
    what: &'static str,
    asked: Bound,
    unit: &'static str,
    figure: fn(&Report) -> Option<f64>,
}

const fn target(
    what: &'static str,
    asked: Bound,
    unit: &'static str,
    figure: fn(&Report) -> Option<f64>,
) -> Target {
    Target { what, asked, unit, figure }
}

const TARGETS: &[Target] = &[
    target("throughput, log as text", AtLeast(RATIOS[0].1), "", |report| ratio(report, "log")),
    target("throughput, log as text, of the reference's", AtLeast(0.92), "", |report| {
        Some(ratio(report, "log")? / ratio(report, REFERENCE)?)
    }),
    target("throughput, log as JSON", AtLeast(RATIOS[1].1), "", |report| ratio(report, "log-json")),
    target("throughput, life", AtLeast(RATIOS[2].1), "", |report| ratio(report, "life")),
    target("throughput, summary --in-kernel", AtLeast(RATIOS[3].1), "", |report| {
        ratio(report, "summary-in-kernel")
    }),
    target("throughput, log --port that matches nothing", AtLeast(RATIOS[4].1), "", |report| {
        ratio(report, "log-port")
    }),
    target("throughput, record --raw, beside log --raw", AtLeast(-0.02), "", |report| {
        Some(ratio(report, "record-raw")? - ratio(report, "log-raw")?)
    }),
    target("throughput, record, beside summary", AtLeast(-0.02), "", |report| {
        Some(ratio(report, "record")? - ratio(report, "summary")?)
    }),
    target("requests of a service, log, keep-alive", AtLeast(0.95), "", |report| {
        service(report, Connections::KeepAlive)
    }),
    target("requests of a service, log, a connection each", AtLeast(0.85), "", |report| {
        service(report, Connections::Close)
    }),
    target("events lost, any view", AtMost(0.0), "", lost),
    target("events neither seen nor lost, any view", AtMost(5.0), "per million", unaccounted),
    target("kernel time per event, log, of the reference's", AtMost(1.3), "", |report| {
        Some(report.row("log")?.kernel_ns? / report.row(REFERENCE)?.kernel_ns?)
    }),
    target("idle host, share of a core", Below(0.1), "%", |report| report.figure(scenes::IDLE_CPU)),
    target("idle host, wakeups", AtMost(20.0), "/s", |report| report.figure(scenes::IDLE_WAKEUPS)),
    target("ready with 1,000 processes, 10,000 sockets", Below(300.0), "ms", |report| {
        report.figure(scenes::READY)
    }),
    target("peak memory beside the ring, 100,000 connections", Below(50.0), "MB", |report| {
        report.figure(scenes::MEMORY)
    }),
    target("list -tan, 100,000 sockets and 2,000 processes, of ss -tan", AtMost(1.2), "", |report| {
        list::ratio(&report.list, Sockets::Held, "list -tan", "ss -tan")
    }),
    target("list -tanp, the same, of ss -tanp", AtMost(0.5), "", |report| {
        list::ratio(&report.list, Sockets::Held, "list -tanp", "ss -tanp")
    }),
    target("list -tanp, the same, peak memory", Below(100.0), "MB", |report| {
        Some(list::peak_mib(&report.list, Sockets::Held, "list -tanp")? * 1.048_576)
    }),
    target("list -tan, 1,000,000 in TIME_WAIT, of ss -tan", AtMost(1.2), "", |report| {
        list::ratio(&report.list, Sockets::TimeWait, "list -tan", "ss -tan")
    }),
    target("replay of a recording to text", AtLeast(3.0), "million events/s", |report| {
        report.figure(replay::TEXT)
    }),
    target("replay of a recording to summary", AtLeast(4.0), "million events/s", |report| {
        report.figure(replay::SUMMARY)
    }),
    target("replay of a recording to a page", AtLeast(1.0), "million events/s", |report| {
        report.figure(replay::PAGE)
    }),
    target("that page", AtMost(2.0), "MB", |report| report.figure(replay::PAGE_SIZE)),
    target(
        "questions about 100 million rows in DuckDB, two threads, the slowest",
        AtMost(5.0),
        "s",
        |report| report.figure(fleet::SLOWEST),
    ),
    target("release binary", Below(12.0), "MB", |report| report.figure(scenes::BINARY)),
];

/// The share of the untraced throughput that contestants have to reach. The chart marks it.
pub(crate) const RATIOS: [(&str, f64); 5] =
    [("log", 0.80), ("log-json", 0.75), ("life", 0.82), ("summary-in-kernel", 0.92), ("log-port", 0.95)];

/// All targets, compared with what was measured.
pub(crate) fn verdicts(report: &Report) -> Vec<Verdict> {
    if !report.pairs.is_empty() {
        return against::verdicts(report);
    }
    let verdict = |target: &Target| target.asked.verdict(target.what, (target.figure)(report), target.unit);
    TARGETS.iter().map(verdict).collect()
}
