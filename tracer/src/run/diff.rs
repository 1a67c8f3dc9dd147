//! `tracer diff`: reads both sides, one after the other, and compares what was counted.

use std::{
    collections::BTreeSet, fs::File, os::unix::ffi::OsStrExt as _, process::ExitCode, sync::mpsc::channel,
};

use jiff::Timestamp;
use tokio::sync::watch;

use crate::{
    aggregate::diff::{
        compare::{Comparisons, SIGNIFICANCE, compare},
        name::GroupName,
        report::{DiffReport, DiffRow, DiffWarning, SideReport},
        side::{NamedSide, normalise},
    },
    config::{CompareConfig, DiffFormat, ShownSpan, SideOfDiff},
    output::{
        stderr::message,
        stdout::{Output, write_whole},
    },
    recording::header::Header,
    run::{
        FAILED_ON, INCOMPLETE,
        capture::capture,
        confined::{Sandbox, read_by},
        drive,
        error::Error,
        listening, printed,
        span::HostSpans,
        stop::{Signals, Stop},
    },
    source::{
        Source as _,
        open::{OpenSource, open_all},
    },
    text::escape::escaped,
    view::diff::{CountedSide, data, text},
};

/// Changes that a message names, at most.
const NAMED: usize = 5;

/// One side, and where it comes from.
struct ReadSide {
    name: &'static str,
    side: NamedSide,
    headers: Vec<Header>,
    report: SideReport,
}

/// Compares two sides.
///
/// # Errors
/// One cannot be read.
pub fn diff(config: CompareConfig, sandbox: Sandbox) -> Result<ExitCode, Error> {
    let CompareConfig { sides, format, rows, fails_on_regressions, strict } = config;
    sandbox.keep_files(sides.iter().flat_map(|side| read_by(&side.source)), []);
    let spans = spans(&sides)?;
    let (runtime, signals) = listening()?;
    let report = drive(runtime, async {
        let mut stop = Stop::new(signals);
        let opened = tokio::select! {
            opened = open_sides(&sides) => opened?,
            () = stop.wait() => return Err(Error::Uncompared),
        };
        sandbox.give_up_calls();
        compared((opened, &sides, &spans), rows, &mut stop).await
    })?;
    let mut out = Vec::new();
    match &format {
        DiffFormat::Text(style, recode) => {
            text::write(&report, style, &mut out);
            if let Some(recode) = recode {
                recode(&mut out);
            }
        }
        DiffFormat::Json => data::write_json(&report, &mut out),
        DiffFormat::Csv => data::write_csv(&report, &mut out),
    }
    let written = printed(write_whole(&out));
    if written != ExitCode::SUCCESS {
        return Ok(written);
    }
    let regressions: Vec<_> = report.regressions().collect();
    if fails_on_regressions && !regressions.is_empty() {
        message(named(&regressions));
        return Ok(FAILED_ON.into());
    }
    Ok(if strict && !report.is_complete() { INCOMPLETE.into() } else { ExitCode::SUCCESS })
}

/// The sources of both sides: one that cannot be read is said before the other one is.
pub(super) async fn open_sides([a, b]: &[SideOfDiff; 2]) -> Result<[Vec<OpenSource>; 2], Error> {
    Ok([open_all(&a.source).await?, open_all(&b.source).await?])
}

/// The spans of both sides, if files tell them.
pub(super) fn spans([a, b]: &[SideOfDiff; 2]) -> Result<[Option<HostSpans>; 2], Error> {
    Ok([span(a)?, span(b)?])
}

/// Reads both sides, and compares them. Says what there is to be said of them.
pub(super) async fn compared(
    ([of_a, of_b], [a, b], [spans_a, spans_b]): (
        [Vec<OpenSource>; 2],
        &[SideOfDiff; 2],
        &[Option<HostSpans>; 2],
    ),
    rows: usize,
    stop: &mut Stop,
) -> Result<DiffReport, Error> {
    let mut a = read(of_a, a, spans_a.as_ref(), stop).await?;
    let mut b = read(of_b, b, spans_b.as_ref(), stop).await?;
    normalise(&mut a.side, &mut b.side);
    let warnings = warnings(&a, &b);
    for warning in &warnings {
        message(format_args!(
            "compare with care: {}: {} ({}), {} ({})",
            warning.what, warning.a, a.name, warning.b, b.name
        ));
    }
    Ok(report(a, b, warnings, rows))
}

/// The span of each host, if files tell it.
fn span(side: &SideOfDiff) -> Result<Option<HostSpans>, Error> {
    let config = (side.capture)(channel().0)?;
    let ShownSpan::OfFiles(spec) = &config.span else { return Ok(None) };
    HostSpans::of_files(&side.paths, spec).map(Some)
}

/// Says what has become worse.
fn named(regressions: &[&DiffRow]) -> String {
    let of = |row: &&DiffRow| format!("{} ({})", row.measure, row.name);
    let mut words: Vec<_> = regressions.iter().take(NAMED).map(of).collect();
    if regressions.len() > NAMED {
        words.push(format!("{} more", regressions.len() - NAMED));
    }
    let (count, plural) = (regressions.len(), if regressions.len() == 1 { "" } else { "s" });
    format!("{count} regression{plural}: {}", words.join(", "))
}

/// Reads a side: its hosts, one after the other.
async fn read(
    sources: Vec<OpenSource>,
    side: &SideOfDiff,
    spans: Option<&HostSpans>,
    stop: &mut Stop,
) -> Result<ReadSide, Error> {
    let SideOfDiff { name, has_receipt, paths, capture: config, .. } = side;
    let (to, counted) = channel();
    let mut headers = Vec::new();
    let (mut lost, mut complete) = (Some(0_u64), true);
    for source in sources {
        let header = source.header().cloned().unwrap_or_default();
        if !header.has_stories {
            return Err(Error::NoSockets);
        }
        let mut config = config(to.clone())?;
        if let Some(spans) = spans {
            config.span = ShownSpan::Known(spans.of(source.header()));
        }
        config.host = Some(format!("{name}: {}", header.host));
        let nothing =
            File::options().write(true).open("/dev/null").map_err(Error::system("opening /dev/null"))?;
        // A part of a side says nothing about it: a signal ends all.
        let (_never, others) = watch::channel(false);
        let mut own =
            Stop::new(Signals::new().map_err(Error::system("listening for signals"))?).with_others(others);
        let outcome = tokio::select! {
            biased;
            () = stop.wait() => return Err(Error::Uncompared),
            outcome = Box::pin(capture(source, config, Output::to(nothing)?, None, &mut own)) => outcome?,
        };
        let receipt = outcome.receipt;
        if *has_receipt {
            let words = receipt.to_string();
            words.lines().for_each(|line| message(format_args!("{name}: {}: {line}", header.host)));
        }
        outcome.result?;
        lost = lost.zip(receipt.losses.total()).map(|(lost, more)| lost.saturating_add(more));
        complete &= receipt.is_complete();
        headers.push(header);
    }
    drop(to);
    let mut all: Option<CountedSide> = None;
    for host in counted {
        match &mut all {
            None => all = Some(host),
            Some(all) => {
                (all.from, all.to) = (all.from.min(host.from), all.to.max(host.to));
                all.side.absorb(host.side);
            }
        }
    }
    let CountedSide { side, from, to } = all.unwrap_or_else(|| CountedSide {
        side: NamedSide::default(),
        from: Timestamp::default(),
        to: Timestamp::default(),
    });
    let words = |of: fn(&Header) -> &str| {
        headers.iter().map(|header| of(header).to_owned()).collect::<BTreeSet<_>>().into_iter().collect()
    };
    let report = SideReport {
        files: paths.iter().map(|path| escaped(path.as_os_str().as_bytes())).collect(),
        hosts: words(|header| &header.host),
        tracer: words(|header| &header.tracer),
        kernels: words(|header| &header.release),
        from,
        to,
        duration_ns: side.duration_ns,
        transitions: side.transitions,
        begun: side.all.begun.total(),
        ended: side.all.ends.total(),
        failed: side.all.failed(),
        lost,
        complete,
        missing_at_most: side.missing_at_most,
    };
    Ok(ReadSide { name, side, headers, report })
}

/// In what the sides differ that changes what is seen of the same traffic.
fn warnings(a: &ReadSide, b: &ReadSide) -> Vec<DiffWarning> {
    let mut warnings = Vec::new();
    let mut differ = |what, a: String, b: String| {
        if a != b {
            warnings.push(DiffWarning { what, a, b });
        }
    };
    let [of_a, of_b] = [a, b].map(|side| &side.report);
    let lost = |side: &SideReport| match side.lost {
        Some(lost) => format!("{lost} transitions"),
        None => "not known".to_owned(),
    };
    differ("what was lost", lost(of_a), lost(of_b));
    let whole = |side: &SideReport| if side.complete { "yes" } else { "no" }.to_owned();
    differ("whether all is there", whole(of_a), whole(of_b));
    let all = |side: &ReadSide, of: &dyn Fn(&Header) -> String| {
        let words: BTreeSet<_> = side.headers.iter().map(of).collect();
        words.into_iter().collect::<Vec<_>>().join(", ")
    };
    let mut of_headers = |what, of: &dyn Fn(&Header) -> String| differ(what, all(a, of), all(b, of));
    of_headers("tracer", &|header| header.tracer.clone());
    of_headers("kernel", &|header| format!("{} {}", header.release, header.arch));
    of_headers("CPUs", &|header| header.cpus.to_string());
    of_headers("filter", &|header| {
        Some(header.filter.to_string()).filter(|words| !words.is_empty()).unwrap_or_else(|| "none".to_owned())
    });
    of_headers("hooks", &|header| {
        let mut hooks: Vec<_> = header.kernel.hooks.used.iter().map(AsRef::as_ref).collect();
        hooks.sort_unstable();
        if hooks.is_empty() { "none".to_owned() } else { hooks.join(", ") }
    });
    of_headers("whether TIME_WAIT is followed", &|header| {
        if header.follows_timewait { "yes" } else { "no" }.to_owned()
    });
    let is_same_host =
        a.headers.iter().any(|one| b.headers.iter().any(|two| one.host_key() == two.host_key()));
    let same_time = of_a.from.max(of_b.from) < of_a.to.min(of_b.to);
    if is_same_host && same_time {
        let span = |side: &SideReport| format!("{} to {}", side.from, side.to);
        warnings.push(DiffWarning { what: "spans of the same host overlap", a: span(of_a), b: span(of_b) });
    }
    if of_a.ended == 0 || of_b.ended == 0 {
        let ended = |side: &SideReport| format!("{} connections", side.ended);
        warnings.push(DiffWarning { what: "nothing ended on a side", a: ended(of_a), b: ended(of_b) });
    }
    warnings
}

/// What is written of the comparison: the figures of so many groups of each kind.
fn report(a: ReadSide, b: ReadSide, warnings: Vec<DiffWarning>, most: usize) -> DiffReport {
    let Comparisons { rows, changes, tests } = compare(&a.side, &b.side);
    let (mut shown, mut more_groups) = ([0; GroupName::KINDS.len()], 0);
    let groups = rows.chunk_by(|one, other| one.name == other.name);
    let chosen = groups.filter(|group| {
        let Some(kind) = group.first().and_then(|row| row.name.kind()) else { return true };
        shown[kind] += 1;
        more_groups += usize::from(shown[kind] > most);
        shown[kind] <= most
    });
    let rows = chosen.flatten().cloned().collect();
    DiffReport {
        a: a.report,
        b: b.report,
        warnings,
        tests,
        significance: SIGNIFICANCE,
        quantile_error: 0.01,
        changes,
        rows,
        more_groups,
    }
}
