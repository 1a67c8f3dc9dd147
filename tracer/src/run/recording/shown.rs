//! What is in a recording, as text and as JSON.

use std::{
    fmt::{self, Write as _},
    io,
};

use bytesize::ByteSize;
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};

use crate::{
    facts::losses::Losses,
    recording::{header::Header, reader::Damage},
    run::recording::contents::{Contents, Wholeness},
    text::{duration::duration, escape::escaped},
    time::clock::Anchor,
};

/// How wide the words before the values are.
const WORDS: usize = 10;

/// A recording without an end.
const ENDLESS: &str = "still being written, going on in another part, or its writer was killed";

fn wall(ns: i64) -> Timestamp {
    Timestamp::from_nanosecond(ns.into()).unwrap_or_default()
}

fn span_ns((begin, end): (Anchor, Anchor)) -> u64 {
    end.monotonic_ns.saturating_sub(begin.monotonic_ns)
}

/// The filter in the header; `None` if everything passes.
fn filter(header: &Header) -> Option<String> {
    Some(header.filter.to_string()).filter(|words| !words.is_empty())
}

fn percent(part: u64, all: u64) -> u64 {
    part.saturating_mul(100).checked_div(all).unwrap_or_default()
}

/// All of it, in a paragraph.
pub(super) fn info(survey: &Contents, zone: &TimeZone) -> String {
    let mut out = format!("{}\n", survey.file);
    // Writing into memory cannot fail.
    let _ = write_info(survey, zone, &mut out);
    out
}

fn write_info(survey: &Contents, zone: &TimeZone, out: &mut String) -> fmt::Result {
    let mut line = |word: &str, value: fmt::Arguments<'_>| writeln!(out, "  {word:<WORDS$} {value}");
    let time = |ns: i64| wall(ns).to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S%.3f %:z").to_string();
    if let Some(header) = &survey.header {
        let Header { tracer, host, machine, release, arch, cpus, .. } = header;
        line("host", format_args!("{host} (Linux {release}, {arch}, {cpus} CPUs, machine {machine})"))?;
        line("booted", format_args!("{}", time(header.booted_ns)))?;
        let what = if header.has_stories { "" } else { ", events only (--raw)" };
        let (version, part) = (survey.version, header.part);
        line("recorded", format_args!("by tracer {tracer}, format version {version}, part {part}{what}"))?;
        line("filter", format_args!("{}", filter(header).as_deref().unwrap_or("none")))?;
        line("hooks", format_args!("{}", header.kernel.hooks))?;
        if !header.kernel.absent.is_empty() {
            line("lacks", format_args!("{:?}", header.kernel.absent))?;
        }
    } else {
        line("header", format_args!("damaged, both copies"))?;
    }
    if let Some((begin, end)) = survey.span {
        let lasts = duration(span_ns((begin, end)));
        line("from", format_args!("{}", time(begin.wall_ns)))?;
        line("until", format_args!("{} ({lasts})", time(end.wall_ns)))?;
    }
    let others = survey.events - survey.transitions;
    line("events", format_args!("{}: {} transitions, {others} others", survey.events, survey.transitions))?;
    let lost = |count: Option<u64>| count.map_or_else(|| "unknown".to_owned(), |count| count.to_string());
    let Losses { incidents, .. } = survey.losses;
    let (transitions, others) = (lost(survey.losses.total()), lost(incidents));
    line("lost", format_args!("{transitions} transitions, {others} others, when it was recorded"))?;
    let flaws = flaws(survey);
    line("damage", format_args!("{}", if flaws.is_empty() { "none".to_owned() } else { flaws.join("; ") }))?;
    let end = if survey.end.is_some() { "yes" } else { ENDLESS };
    line("its end", format_args!("{end}"))?;
    let unpacked = ByteSize::b(survey.unpacked);
    let each =
        survey.bytes_per_event().map_or_else(String::new, |bytes| format!(", {bytes:.1} bytes per event"));
    let (size, blocks) = (ByteSize::b(survey.bytes), survey.blocks);
    line("size", format_args!("{size} in {blocks} blocks{each}; before packing {unpacked}, of which"))?;
    for (kind, amount) in &survey.kinds {
        let (share, bytes) = (percent(amount.bytes, survey.unpacked), ByteSize::b(amount.bytes).to_string());
        writeln!(out, "  {:WORDS$} {kind:<11} {bytes:>10} {share:>3}%  {} entries", "", amount.entries)?;
    }
    Ok(())
}

/// What is wrong with it.
fn flaws(survey: &Contents) -> Vec<String> {
    let mut flaws: Vec<String> = survey.damage.iter().map(Damage::to_string).collect();
    let counts = [
        (survey.more_damage, "more place is damaged", "more places are damaged"),
        (survey.missing, "event is missing there", "events are missing there"),
        (survey.missing_blocks, "gap between blocks", "gaps between blocks"),
        (survey.unreadable, "entry cannot be read", "entries cannot be read"),
        (survey.impossible, "event cannot be", "events cannot be"),
        (
            if survey.end.is_some() { survey.torn } else { 0 },
            "byte is behind its end",
            "bytes are behind its end",
        ),
    ];
    if survey.header.is_none() {
        flaws.push("the header is missing".to_owned());
    }
    let found = counts.iter().filter(|(count, ..)| *count > 0);
    flaws.extend(found.map(|(count, one, more)| format!("{count} {}", if *count == 1 { one } else { more })));
    flaws
}

/// Whether it is whole, on a line for each flaw.
pub(super) fn verdict(survey: &Contents) -> String {
    let Contents { file, events, blocks, torn, .. } = survey;
    match survey.verdict() {
        Wholeness::Whole => format!("{file}: whole: {events} events in {blocks} blocks\n"),
        Wholeness::Endless => {
            let torn = if *torn > 0 {
                format!("; {torn} bytes of a block that is not whole yet")
            } else {
                String::new()
            };
            format!(
                "{file}: whole so far, and without an end: {ENDLESS}: {events} events in {blocks} blocks{torn}\n"
            )
        }
        Wholeness::Damaged => {
            let lines = flaws(survey).into_iter().map(|flaw| format!("{file}: {flaw}\n"));
            lines
                .chain([format!("{file}: damaged; {events} events in {blocks} blocks are whole\n")])
                .collect()
        }
    }
}

/// All of it, as an object on a line.
pub(super) fn object(survey: &Contents) -> io::Result<String> {
    let time = |ns: i64| format!("{:.9}", wall(ns));
    let Losses { no_room, recursion, incidents, malformed } = survey.losses;
    let header = survey.header.as_ref();
    let object = json!({
        "file": survey.file,
        "verdict": survey.verdict(),
        "host": header.map(|header| &header.host),
        "machine": header.map(|header| &header.machine),
        "boot": header.map(|header| &header.boot).filter(|boot| !boot.is_empty()),
        "release": header.map(|header| &header.release),
        "arch": header.map(|header| &header.arch),
        "cpus": header.map(|header| header.cpus),
        "booted": header.map(|header| time(header.booted_ns)),
        "tracer": header.map(|header| &header.tracer),
        "version": survey.version,
        // A number of 64 bits is not safe in JSON.
        "id": header.map(|header| format!("{:016x}", header.id)),
        "part": header.map(|header| header.part),
        "raw": header.map(|header| !header.has_stories),
        "filter": header.and_then(filter),
        "hooks": header.map(|header| &header.kernel.hooks.used),
        "hooks_left_out": header.map(|header| {
            let left_out = header.kernel.hooks.left_out.iter();
            left_out.map(|left| json!({ "hook": left.hook, "why": escaped(left.why.as_bytes()) })).collect::<Value>()
        }),
        "absent": header.map(|header| header.kernel.absent.iter().map(|absent| format!("{absent:?}")).collect::<Value>()),
        "from": survey.span.map(|(begin, _)| time(begin.wall_ns)),
        "until": survey.span.map(|(_, end)| time(end.wall_ns)),
        "span_ns": survey.span.map(span_ns),
        "events": survey.events,
        "transitions": survey.transitions,
        "lost": survey.losses.total(),
        "losses": json!({
            "no_room": no_room, "recursion": recursion, "incidents": incidents, "malformed": malformed,
        }),
        "damage": survey.damage.iter().map(|damage| json!({ "at": damage.at, "bytes": damage.bytes })).collect::<Value>(),
        "more_damage": survey.more_damage,
        "missing_events": survey.missing,
        "missing_blocks": survey.missing_blocks,
        "unreadable_entries": survey.unreadable,
        "impossible_events": survey.impossible,
        "torn_bytes": survey.torn,
        "has_end": survey.end.is_some(),
        "bytes": survey.bytes,
        "unpacked_bytes": survey.unpacked,
        "blocks": survey.blocks,
        "bytes_per_event": survey.bytes_per_event(),
        "kinds": survey.kinds,
    });
    Ok(serde_json::to_string(&object)? + "\n")
}
