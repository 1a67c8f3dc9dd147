//! What the page's script draws, as JSON.

use hashbrown::HashMap;
use serde::Serialize;
use tracer_common::state as number;

use crate::{
    aggregate::{
        By,
        build::distribution,
        diff::report::DiffReport,
        growing::CLOSED_BY,
        report::{Bucket, RankedName, Report},
        talks::{TalkCounts, TalkKey},
        times::Times,
        totals::{KeyCounts, RankingKey},
    },
    explain::{
        texts::{Language, Texts},
        topic::Topic,
    },
    facts::{context::Context, names::Names},
    tcp::{endpoint::Endpoint, reason::Reason, state::State},
    text::escape::{escaped, name},
    view::report::{
        counts::{DURATIONS, PageCounts, RANKED, SlotCounts, SlotKey},
        rows::{ConnectionRow, micros, rows},
        told::ToldFinding,
    },
};

/// Keys of each ranking in each slot.
const SLOT_ROWS: usize = 12;

/// Names of each ranking at most.
const NAMES: usize = 2_000;

/// Lines of the service map.
const TALKS: usize = 60;

/// All that is drawn. Times are in microseconds, from the beginning on.
#[derive(Serialize)]
pub(super) struct PageData<'a> {
    /// When it begins, in microseconds since 1970.
    begin: f64,
    duration: f64,
    /// The width of a slot.
    width: f64,
    states: Vec<String>,
    reasons: Vec<ReasonWord>,
    closed_by: [&'static str; CLOSED_BY.len()],
    /// What `tracer summary -o json` says.
    total: &'a Report,
    /// What `tracer diff -o json` says, and what each of its rows is called.
    diff: Option<&'a DiffReport>,
    diff_names: Vec<(String, String)>,
    handshakes: [HandshakeTimes; 2],
    rankings: Vec<NamedRanking>,
    slots: Vec<SlotData>,
    talks: TalkTable,
    slowest: ConnectionTable,
    longest: ConnectionTable,
    stuck: ConnectionTable,
    losses: Vec<(f64, f64, u64)>,
    findings: Vec<FindingSpan<'a>>,
}

#[derive(Serialize)]
struct ReasonWord {
    name: &'static str,
    /// `closed`, `reset` or `failed`.
    kind: &'static str,
    brief: String,
}

#[derive(Serialize)]
struct HandshakeTimes {
    count: u64,
    p50_us: Option<f64>,
    p90_us: Option<f64>,
    p99_us: Option<f64>,
    max_us: f64,
    distribution: Vec<Bucket>,
}

#[derive(Serialize)]
struct NamedRanking {
    by: By,
    /// How many keys there are; `None` if they were too many to count.
    keys: Option<usize>,
    missing_at_most: u64,
    /// What keys are called, for slots.
    names: Vec<String>,
    rows: Vec<NamedRow>,
}

/// Name, transitions, begun, ended, failed.
type NamedRow = (String, u64, u64, Option<u64>, Option<u64>);

/// Each list is flat: groups of numbers, those that are 0 left out.
#[derive(Default, Serialize)]
struct SlotData {
    /// Old state, new state, count.
    t: Vec<u64>,
    /// Reason, who closed first, count.
    e: Vec<u64>,
    /// State (after them handshakes of clients, of servers), power of two of nanoseconds, count.
    d: Vec<u64>,
    /// Ranking, name, begun, ended, failed.
    k: Vec<u64>,
    /// Of each ranking: what may be missing.
    m: Vec<u64>,
    /// Retransmissions.
    r: u64,
}

#[derive(Serialize)]
struct TalkTable {
    all: Option<usize>,
    missing_at_most: u64,
    rows: Vec<Talk>,
}

#[derive(Serialize)]
struct Talk {
    serves: bool,
    comm: Option<String>,
    addr: String,
    port: u16,
    connections: u64,
    failed: u64,
    reset_local: u64,
    reset_remote: u64,
    not_connected: u64,
    timed_out: u64,
    retransmits: u64,
    /// The mean, in microseconds.
    handshake_us: Option<u64>,
    slowest_us: u64,
}

#[derive(Serialize)]
struct ConnectionTable {
    /// How many there were.
    all: u64,
    rows: Vec<ConnectionRow>,
}

#[derive(Serialize)]
struct FindingSpan<'a> {
    name: &'static str,
    sentence: &'a str,
    from: f64,
    until: f64,
}

impl<'a> PageData<'a> {
    /// From what was counted up to `now_ns`.
    pub(super) fn new(
        counts: &PageCounts,
        (total, findings, diff): (&'a Report, &'a [ToldFinding], Option<&'a DiffReport>),
        context: &Context,
        now_ns: u64,
        names: &mut dyn Names,
    ) -> Self {
        let timeline = &counts.timeline;
        let begin_ns = timeline.begin_ns();
        let mut keys: Vec<_> = RANKED.iter().map(|_| SlotNames::default()).collect();
        let slots = timeline.slots().iter().map(|slot| SlotData::new(slot, &mut keys, names)).collect();
        #[allow(clippy::cast_precision_loss)]
        let begin = context.clock.wall_ns(begin_ns) as f64 / 1000.0;
        let spans = findings.iter().filter_map(|finding| Some((finding, finding.span_ns?)));
        Self {
            begin,
            duration: micros(now_ns, begin_ns),
            width: micros(timeline.width_ns(), 0),
            states: (0..=number::NEW_SYN_RECV).map(|state| State::from_kernel(state).to_string()).collect(),
            reasons: reason_words(),
            closed_by: CLOSED_BY,
            total,
            diff,
            diff_names: diff
                .iter()
                .flat_map(|diff| &diff.rows)
                .map(|row| (row.name.to_string(), row.measure.to_string()))
                .collect(),
            handshakes: counts.handshakes.each_ref().map(HandshakeTimes::new),
            rankings: total
                .top
                .iter()
                .zip(keys)
                .map(|(table, keys)| NamedRanking {
                    by: table.by,
                    keys: table.keys,
                    missing_at_most: table.missing_at_most,
                    names: keys.names,
                    rows: table
                        .rows
                        .iter()
                        .map(|row| (row.key.to_string(), row.transitions, row.begun, row.ended, row.failed))
                        .collect(),
                })
                .collect(),
            slots,
            talks: TalkTable {
                all: counts.talks.keys(),
                missing_at_most: counts.talks.missing(),
                rows: counts.talks.highest(TALKS).iter().map(Talk::new).collect(),
            },
            slowest: ConnectionTable {
                all: counts.slowest.offered(),
                rows: rows(&counts.slowest, begin_ns, context),
            },
            longest: ConnectionTable {
                all: counts.longest.offered(),
                rows: rows(&counts.longest, begin_ns, context),
            },
            stuck: ConnectionTable {
                all: counts.stuck.offered(),
                rows: rows(&counts.stuck, begin_ns, context),
            },
            losses: counts
                .losses
                .iter()
                .map(|loss| (micros(loss.from_ns, begin_ns), micros(loss.until_ns, begin_ns), loss.count))
                .collect(),
            findings: spans
                .map(|(finding, (from_ns, until_ns))| FindingSpan {
                    name: finding.name,
                    sentence: &finding.sentence,
                    from: micros(from_ns, begin_ns),
                    until: micros(until_ns, begin_ns),
                })
                .collect(),
        }
    }

    /// As JSON that is inert in a page: nothing in it can end the element that it stands in.
    pub(super) fn inert(&self) -> String {
        // Writing into memory cannot fail, and it always serializes.
        inert(&serde_json::to_string(self).unwrap_or_else(|_| "null".to_owned()))
    }
}

/// JSON without the characters that mean something in HTML. They can stand only in strings.
fn inert(json: &str) -> String {
    let mut safe = String::with_capacity(json.len() + json.len() / 64);
    for c in json.chars() {
        match c {
            '<' => safe.push_str("\\u003c"),
            '>' => safe.push_str("\\u003e"),
            '&' => safe.push_str("\\u0026"),
            '\u{2028}' => safe.push_str("\\u2028"),
            '\u{2029}' => safe.push_str("\\u2029"),
            c => safe.push(c),
        }
    }
    safe
}

fn reason_words() -> Vec<ReasonWord> {
    let texts = Texts::read(Language::ENGLISH).ok();
    let brief =
        |reason: Reason| Some(texts.as_ref()?.entry(Topic::Reason, reason.name())?.brief.replace('`', ""));
    Reason::ALL
        .iter()
        .map(|reason| ReasonWord {
            name: reason.name(),
            kind: match reason {
                reason if reason.is_orderly() => "closed",
                reason if reason.is_reset() => "reset",
                _ => "failed",
            },
            brief: brief(*reason).unwrap_or_default(),
        })
        .collect()
}

impl HandshakeTimes {
    fn new(times: &Times) -> Self {
        let quantile = |quantile| times.quantile_ns(quantile).map(|ns| micros(ns, 0));
        Self {
            count: times.stays(),
            p50_us: quantile(0.5),
            p90_us: quantile(0.9),
            p99_us: quantile(0.99),
            max_us: micros(times.max_ns, 0),
            distribution: distribution(&times.buckets),
        }
    }
}

/// Keys of a ranking that slots name by their numbers.
#[derive(Default)]
struct SlotNames {
    numbers: HashMap<RankingKey, u64>,
    names: Vec<String>,
}

impl SlotNames {
    /// The number of a key; `None` if there are too many.
    fn number(&mut self, key: &RankingKey, names: &mut dyn Names) -> Option<u64> {
        if let Some(number) = self.numbers.get(key) {
            return Some(*number);
        }
        if self.names.len() >= NAMES {
            return None;
        }
        let number = self.names.len() as u64;
        self.names.push(RankedName::new(key, KeyCounts::default().comm, None, names).to_string());
        self.numbers.insert(*key, number);
        Some(number)
    }
}

impl SlotData {
    fn new(slot: &SlotCounts, keys: &mut [SlotNames], names: &mut dyn Names) -> Self {
        let mut data = Self { r: slot.retransmits, ..Self::default() };
        for (old, counts) in (0..).zip(&slot.transitions) {
            push(&mut data.t, old, counts);
        }
        for (reason, counts) in (0..).zip(&slot.ends) {
            push(&mut data.e, reason, counts);
        }
        debug_assert_eq!(slot.durations.len(), DURATIONS);
        for (state, counts) in (0..).zip(&slot.durations) {
            push(&mut data.d, state, counts);
        }
        for (ranking, (heavy, keys)) in (0..).zip(slot.keys.iter().zip(keys)) {
            let mut missing = heavy.missing();
            for (place, (key, SlotKey { counts, .. })) in
                heavy.highest(usize::MAX, |key| key.counts.begun + key.counts.ended).iter().enumerate()
            {
                match keys.number(key, names).filter(|_| place < SLOT_ROWS) {
                    Some(number) => {
                        data.k.extend([ranking, number, counts.begun, counts.ended, counts.failed]);
                    }
                    None => missing += counts.begun + counts.ended,
                }
            }
            data.m.push(missing);
        }
        data
    }
}

/// Appends each count that is not 0, after what it belongs to.
fn push(to: &mut Vec<u64>, of: u64, counts: &[u64]) {
    for (index, count) in (0..).zip(counts).filter(|(_, count)| **count > 0) {
        to.extend([of, index, *count]);
    }
}

impl Talk {
    fn new((key, counts): &(TalkKey, TalkCounts)) -> Self {
        Self {
            serves: key.serves,
            comm: key.comm.map(|comm| escaped(name(&comm))),
            addr: Endpoint::of(key.addr, 0).addr.to_string(),
            port: key.port,
            connections: counts.connections,
            failed: counts.failed,
            reset_local: counts.reset_local,
            reset_remote: counts.reset_remote,
            not_connected: counts.not_connected,
            timed_out: counts.timed_out,
            retransmits: counts.retransmits,
            handshake_us: (counts.handshakes > 0).then(|| counts.handshakes_us / counts.handshakes),
            slowest_us: counts.slowest_us,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_can_end_the_element() {
        let name = "</script><script>alert(1)</script><!--\u{2028}&amp;";
        let json = serde_json::to_string(&[name]).unwrap();
        let safe = inert(&json);
        assert!(!safe.contains(['<', '>', '&', '\u{2028}']), "{safe}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&safe).unwrap(), [name]);
    }

    #[test]
    fn zeros_are_left_out() {
        let mut flat = Vec::new();
        push(&mut flat, 7, &[0, 3, 0, 5]);
        assert_eq!(flat, [7, 1, 3, 7, 3, 5]);
    }
}
