//! Alerts: a line when something begins to be wrong, and one when that ends.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use crate::{
    aggregate::{
        findings::{Finding, FindingKind, place::Place},
        triggers::RateWatch,
    },
    facts::{context::Context, kernel::KernelInfo},
    format::{
        Kind, Plan,
        columns::{COLUMNS, DefaultIn},
        lines::Lines,
        text::{TextStyle, TimeFormat},
    },
    tcp::{limits::Limits, reason::Reason, reasons::Rate},
    track::Transition,
    view::Scene,
};

/// How long something must be over until that is told, in nanoseconds: what comes and goes is one alert.
const HOLD_NS: u64 = 10_000_000_000;

/// Stuck connections that are told apart at a time. Others are told when there is room.
const MOST_STUCK: usize = 100;

/// Alerts at a time.
const MOST: usize = 300;

/// Which connection it is.
const IDENTITY: &[&str] = &[
    "state",
    "cookie",
    "netns",
    "family",
    "local_addr",
    "local_port",
    "remote_addr",
    "remote_port",
    "interface",
    "role",
    "pid",
    "comm",
    "owner",
    "holders",
    "uid",
    "cgroup",
    "container",
    "pod",
    "k8s_namespace",
    "unit",
];

/// How it is when it is found.
const FACTS: &[&str] =
    &["stuck_us", "tx_bytes", "rx_bytes", "retransmits", "recv_queue", "send_queue", "srtt_us"];

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum AlertKey {
    /// A connection, in a state.
    Stuck(u64, u8),
    Finding(FindingKind, Place),
    /// One of the rates.
    Rate(usize),
}

/// An alert that has not ended.
#[derive(Clone, Debug)]
struct OpenAlert {
    /// What both of its lines say: members of a JSON object.
    about: String,
    began_ns: u64,
    /// When it was last seen.
    seen_ns: u64,
}

/// How many alerts began and ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AlertCounts {
    pub(super) begun: u64,
    pub(super) ended: u64,
}

/// Tells what begins and ends.
pub(super) struct Alerts {
    identity: Lines,
    facts: Lines,
    rates: RateWatch,
    /// Rates that were completed, with the reason and the time.
    completed: BTreeMap<usize, (Reason, u64)>,
    open: BTreeMap<AlertKey, OpenAlert>,
    pub(super) counts: AlertCounts,
}

impl Alerts {
    pub(super) fn new(rates: Vec<Rate>) -> Self {
        Self {
            identity: lines(IDENTITY),
            facts: lines(FACTS),
            rates: RateWatch::new(rates),
            completed: BTreeMap::new(),
            open: BTreeMap::new(),
            counts: AlertCounts::default(),
        }
    }

    pub(super) fn begin(&mut self, kernel: &KernelInfo) {
        // JSON has no head.
        let mut head = Vec::new();
        self.identity.begin(kernel, &mut head);
        self.facts.begin(kernel, &mut head);
    }

    /// Takes a transition.
    pub(super) fn note(&mut self, transition: &Transition) {
        let completed = &mut self.completed;
        self.rates.note(transition, |rate, reason| {
            completed.insert(rate, (reason, transition.time_ns));
        });
    }

    /// Tells what is new and what is over.
    pub(super) fn look(
        &mut self,
        limits: &Limits,
        findings: &[Finding],
        scene: &mut Scene<'_>,
        out: &mut Vec<u8>,
    ) {
        let now_ns = scene.now_ns;
        let time = scene.context.clock.wall(now_ns);
        self.look_for_stuck(limits, time, scene, out);
        for finding in findings {
            let Ok(about) = serde_json::to_string(finding) else { continue };
            let about = members(about.as_bytes());
            self.see(
                AlertKey::Finding(finding.kind, finding.place),
                (now_ns, now_ns),
                (time, "finding", about, ""),
                out,
            );
        }
        for (place, (reason, at_ns)) in std::mem::take(&mut self.completed) {
            let Some(Rate { count, time: within, .. }) = self.rates.rates().get(place) else { continue };
            let within_us = within.as_micros();
            let about =
                format!("\"reason\":\"{}\",\"count\":{count},\"within_us\":{within_us}", reason.name());
            self.see(AlertKey::Rate(place), (at_ns, now_ns), (time, "reason", about, ""), out);
        }
        self.end_what_is_over(limits, time, scene, out);
    }

    fn look_for_stuck(&mut self, limits: &Limits, time: Timestamp, scene: &mut Scene<'_>, out: &mut Vec<u8>) {
        let Self { identity, facts, open, counts, .. } = self;
        let stuck = open.keys().filter(|key| matches!(key, AlertKey::Stuck(..))).count();
        let mut room = MOST_STUCK.saturating_sub(stuck).min(MOST.saturating_sub(open.len()));
        let (select, context, now_ns) = (scene.select, scene.context, scene.now_ns);
        let mut tell = |stuck: &Transition| {
            if room == 0 || !select.holds(&stuck.connection) {
                return false;
            }
            room -= 1;
            let about = members(&line(identity, stuck, context));
            let more = members(&line(facts, stuck, context));
            write((time, "begin"), "stuck", &about, &more, out);
            counts.begun += 1;
            let key = AlertKey::Stuck(stuck.connection.cookie, stuck.connection.state);
            open.insert(key, OpenAlert { about, began_ns: now_ns, seen_ns: now_ns });
            true
        };
        scene.tracker.stuck(limits, now_ns, &mut tell);
    }

    /// Something is so. If that is new, it is told.
    fn see(
        &mut self,
        key: AlertKey,
        (seen_ns, now_ns): (u64, u64),
        (time, alert, about, more): (Timestamp, &str, String, &str),
        out: &mut Vec<u8>,
    ) {
        if let Some(open) = self.open.get_mut(&key) {
            // Its end tells what was found last.
            (open.seen_ns, open.about) = (seen_ns, about);
        } else if self.open.len() < MOST {
            write((time, "begin"), alert, &about, more, out);
            self.counts.begun += 1;
            self.open.insert(key, OpenAlert { about, began_ns: now_ns, seen_ns });
        }
    }

    fn end_what_is_over(
        &mut self,
        limits: &Limits,
        time: Timestamp,
        scene: &mut Scene<'_>,
        out: &mut Vec<u8>,
    ) {
        let Self { open, rates, counts, .. } = self;
        let Scene { tracker, select, now_ns, .. } = scene;
        let now_ns = *now_ns;
        open.retain(|key, alert| {
            let unseen_ns = now_ns.saturating_sub(alert.seen_ns);
            let (name, is_over) = match key {
                AlertKey::Stuck(cookie, state) => {
                    let connection = tracker.get(*cookie).filter(|one| one.state == *state);
                    let is_there = connection.is_some();
                    // A reload may have changed filters and limits. What is lost does not end it.
                    let is_so = connection
                        .is_some_and(|one| select.holds(one) && one.stuck_ns(limits, now_ns, 0).is_some());
                    if is_there && !is_so {
                        tracker.forget_stuck(*cookie);
                    }
                    ("stuck", !is_so)
                }
                AlertKey::Finding(..) => ("finding", unseen_ns >= HOLD_NS),
                AlertKey::Rate(place) => {
                    let within = rates.rates().get(*place).map_or(Duration::ZERO, |rate| rate.time);
                    ("reason", unseen_ns >= HOLD_NS && u128::from(unseen_ns) >= within.as_nanos())
                }
            };
            if is_over {
                let lasted_us = now_ns.saturating_sub(alert.began_ns) / 1000;
                write((time, "end"), name, &alert.about, &format!("\"alert_us\":{lasted_us}"), out);
                counts.ended += 1;
            }
            !is_over
        });
    }
}

fn lines(keys: &[&str]) -> Lines {
    let columns = keys.iter().filter_map(|key| COLUMNS.iter().find(|column| column.key == *key));
    Lines::new(Plan {
        kind: Kind::Json,
        columns: Some(columns.collect()),
        default_in: (DefaultIn::LOG_TEXT, DefaultIn::LOG_DATA),
        style: TextStyle { time: TimeFormat::Utc, colour: false, precise: false },
    })
}

fn line(lines: &mut Lines, stuck: &Transition, context: &Context) -> Vec<u8> {
    let mut line = Vec::new();
    lines.transition(stuck, context, &mut line);
    line
}

/// The members of a JSON object.
fn members(object: &[u8]) -> String {
    let object = object.trim_ascii();
    let inner = object.strip_prefix(b"{").and_then(|rest| rest.strip_suffix(b"}")).unwrap_or_default();
    String::from_utf8_lossy(inner).into_owned()
}

fn write((time, event): (Timestamp, &str), alert: &str, about: &str, more: &str, out: &mut Vec<u8>) {
    let comma = if more.is_empty() { "" } else { "," };
    let line = format!(
        "{{\"time\":\"{time:.9}\",\"event\":\"{event}\",\"alert\":\"{alert}\",{about}{comma}{more}}}\n"
    );
    out.extend_from_slice(line.as_bytes());
}
