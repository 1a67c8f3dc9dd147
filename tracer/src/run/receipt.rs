//! The receipt: the counts of a capture, compared with the kernel's own counters.

use std::{collections::HashSet, fmt};

use serde::{Serialize, Serializer};
use tracer_common::state as number;

use crate::{
    facts::{
        counts::{CountersByNetns, Reading, TcpCounts},
        losses::Losses,
    },
    filter::Filter,
    track::{Tracker, connection::Connection, tally::Tally},
};

/// The counts of a capture.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Receipt {
    /// Transitions that happened and were not lost, including those that filters rejected.
    pub seen: u64,
    /// Lines written.
    pub shown: u64,
    /// Of these, transitions from other sources than the tracepoint: polls of the sockets, and hooks for timewait
    /// sockets and half-open connections.
    pub sampled: u64,
    /// Of the lines, those about resets and retransmissions.
    pub incidents: u64,
    /// Of the lines, those about stuck connections.
    pub stuck: u64,
    /// Transitions that filters rejected, in the kernel or in user space; `None` if the kernel's count cannot
    /// be read.
    pub filtered: Option<u64>,
    /// Events that were lost.
    #[serde(rename = "lost", serialize_with = "total")]
    pub losses: Losses,
    /// Transitions that do not follow on the one before of the same connection, although no loss is known: see
    /// [`Tracker::gaps`]. 0 with `--raw`.
    pub gaps: u64,
    /// A recording has no end, so what came after it is missing.
    pub cut_off: bool,
    /// A part of the recording is damaged or missing.
    pub damaged: bool,
    /// Transitions after the last line that `--count` allows.
    pub beyond: u64,
    /// Lines and transitions that standard output did not accept.
    pub unwritten: u64,
    /// Of the filtered transitions, those at the beginning of connections that were dropped before a filter
    /// could decide.
    pub forgotten: u64,
    /// Hooks for which there was no room, because of other tools' programs.
    pub crowded_out_hooks: Vec<String>,
    /// The connections; `None` with `--raw`.
    pub connections: Option<Connections>,
    /// The kernel's own counters.
    pub kernel: Option<Kernel>,
    /// The receipts of several hosts, whose sum the counts above are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostReceipt>,
}

/// The receipt of one of several hosts.
#[derive(Clone, Debug, Serialize)]
pub struct HostReceipt {
    /// Name of the host, escaped.
    pub host: String,
    /// Its counts.
    #[serde(flatten)]
    pub receipt: Receipt,
}

/// Connections, as counted from events.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Connections {
    /// Connections opened, accepted, failed and reset.
    #[serde(flatten)]
    pub counts: TcpCounts,
    /// Connections still open at the end. Listeners, TIME_WAIT and half-open connections are not included.
    pub open: u64,
    /// Connections in TIME_WAIT, or orphaned in FIN_WAIT2, at the end.
    pub waiting: u64,
    /// Connections whose end was lost, and which were missing from a later snapshot.
    pub ended_unseen: u64,
}

/// The kernel's own counters over the same time (`/proc/net/snmp`).
#[derive(Clone, Debug, Serialize)]
pub struct Kernel {
    /// Connections opened, accepted, failed and reset; `None` if the counters cannot be read.
    #[serde(flatten)]
    pub counts: Option<TcpCounts>,
    /// What the events give for the same namespaces and the same time; `None` if that is not compared.
    pub compared: Option<TcpCounts>,
    /// How far both may be apart and still agree; `None` if they are not compared. What happens while the counters are
    /// read may be in them or not, and some things are counted without a transition (`docs/counters.md`).
    pub tolerance: Option<TcpCounts>,
    /// Whether they agree with the events; `None` if they cannot be compared.
    pub agrees: Option<bool>,
    /// Why they cannot be compared, and other facts that matter for the comparison.
    pub notes: Vec<String>,
}

impl Receipt {
    /// Whether nothing was lost, nothing is missing, and the kernel's counters do not disagree.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let contradicted = self.kernel.as_ref().is_some_and(|kernel| kernel.agrees == Some(false));
        let is_whole = !self.cut_off && !self.damaged;
        let has_lost = self.losses.total() != Some(0) || self.losses.incidents != Some(0) || self.gaps > 0;
        is_whole && !has_lost && !contradicted && self.hosts.iter().all(|host| host.receipt.is_complete())
    }
}

impl Receipt {
    /// One for several hosts.
    pub(super) fn of_hosts(receipts: Vec<(String, Self)>) -> Self {
        let all = receipts.iter().map(|(_, receipt)| receipt.clone()).reduce(Self::with).unwrap_or_default();
        let hosts = receipts.into_iter().map(|(host, receipt)| HostReceipt { host, receipt }).collect();
        Self { hosts, ..all }
    }

    /// The counts of both. What their kernels counted is not in it.
    fn with(mut self, other: Self) -> Self {
        let add = |one: Option<u64>, other: Option<u64>| Some(one? + other?);
        self.seen += other.seen;
        self.shown += other.shown;
        self.sampled += other.sampled;
        self.incidents += other.incidents;
        self.stuck += other.stuck;
        self.filtered = add(self.filtered, other.filtered);
        self.losses = self.losses.and(other.losses);
        self.gaps += other.gaps;
        self.cut_off |= other.cut_off;
        self.damaged |= other.damaged;
        self.beyond += other.beyond;
        self.unwritten += other.unwritten;
        self.forgotten += other.forgotten;
        self.crowded_out_hooks.extend(other.crowded_out_hooks);
        self.crowded_out_hooks.sort();
        self.crowded_out_hooks.dedup();
        self.connections = self.connections.zip(other.connections).map(|(one, other)| one.with(other));
        self.kernel = None;
        self
    }
}

impl Connections {
    fn with(mut self, other: Self) -> Self {
        self.counts += other.counts;
        self.open += other.open;
        self.waiting += other.waiting;
        self.ended_unseen += other.ended_unseen;
        self
    }
}

fn total<S: Serializer>(losses: &Losses, serializer: S) -> Result<S::Ok, S::Error> {
    losses.total().serialize(serializer)
}

/// A count as text, or "unknown".
pub(crate) fn known(count: Option<u64>) -> String {
    count.map_or_else(|| "unknown".to_owned(), |count| count.to_string())
}

/// Appends a note for each count that is not zero.
pub(crate) fn push_notes(out: &mut impl fmt::Write, notes: &[(Option<u64>, &str)]) -> fmt::Result {
    for (count, note) in notes {
        if let Some(count @ 1..) = count {
            write!(out, "; {count} {note}")?;
        }
    }
    Ok(())
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.hosts.is_empty() {
            let lines = self.hosts.iter().flat_map(|HostReceipt { host, receipt }| {
                let lines = receipt.to_string();
                lines.lines().map(|line| format!("{host}: {line}")).collect::<Vec<_>>()
            });
            return f.write_str(&lines.collect::<Vec<_>>().join("\n"));
        }
        let Losses { no_room, recursion, incidents, malformed } = self.losses;
        let (filtered, lost) = (known(self.filtered), known(self.losses.total()));
        write!(f, "seen {}, shown {}, filtered {filtered}, lost {lost}", self.seen, self.shown)?;
        let notes = [
            (no_room, "found the buffer full: try a larger --buffer"),
            (recursion, "happened while the kernel program was busy on the same CPU"),
            (incidents, "records of other hooks were lost"),
            (Some(malformed), "could not be read"),
            (
                Some(self.gaps),
                "do not follow on the one before: what is between is missing, and no loss is known",
            ),
            (Some(self.beyond), "came after the last line asked for"),
            (Some(self.unwritten), "were not taken by standard output"),
            (Some(self.sampled), "tell what was found by looking or by other hooks, and not by an event"),
            (Some(self.incidents), "tell of resets and retransmissions"),
            (Some(self.stuck), "tell of stuck connections"),
            (Some(self.forgotten), "beginnings were forgotten before a filter could decide on them"),
        ];
        push_notes(f, &notes)?;
        if self.cut_off {
            f.write_str("; the recording has no end: what came later is missing")?;
        }
        if self.damaged {
            f.write_str("; the recording is damaged: a part of it is missing")?;
        }
        if !self.crowded_out_hooks.is_empty() {
            write!(f, "; no room for a program at {}", self.crowded_out_hooks.join(", "))?;
        }
        if let Some(Connections { counts, open, waiting, ended_unseen }) = self.connections {
            write!(f, "\nconnections {counts}, still open {open}, waiting {waiting}")?;
            if waiting > 0 {
                write!(f, " (in TIME_WAIT, or in FIN_WAIT2 and held by no process)")?;
            }
            if ended_unseen > 0 {
                write!(f, "; {ended_unseen} ended unseen")?;
            }
        }
        if let Some(kernel) = &self.kernel {
            self.write_kernel(kernel, f)?;
        }
        Ok(())
    }
}

impl Receipt {
    fn write_kernel(&self, kernel: &Kernel, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Kernel { counts, compared, tolerance, agrees, notes } = kernel;
        if let (Some(counts), Some(agrees)) = (counts, agrees) {
            write!(f, "\nthe kernel counted {counts}")?;
            let of_all = self.connections.map(|connections| connections.counts);
            if let Some(compared) = compared.filter(|compared| of_all != Some(*compared)) {
                write!(
                    f,
                    ", and the events of the same namespaces between the two readings give {compared}"
                )?;
            }
            write!(f, ": {}", if *agrees { "agrees" } else { "DISAGREES (see: tracer explain DISAGREES)" })?;
            if let Some(tolerance) = tolerance.filter(|tolerance| *tolerance != TcpCounts::default()) {
                let within = tolerance.nonzero();
                write!(f, " (a difference of {within} is allowed: {TOLERATED})")?;
            }
        } else {
            write!(f, "\nnot compared with the kernel's own counters")?;
        }
        for note in notes {
            write!(f, "; {note}")?;
        }
        Ok(())
    }
}

/// Why both may differ.
const TOLERATED: &str = "what happens while counters are read may be in them or not, and they count some things \
                         without a transition";

fn namespaces(count: usize) -> String {
    format!("{count} network namespace{}", if count == 1 { "" } else { "s" })
}

/// The kernel's counters at the start and at the end of the capture.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Filters other than on namespaces are in use. The kernel counts all connections, so nothing can be
    /// compared.
    is_filtered: bool,
    /// It tells which namespaces to compare.
    filter: Filter,
    /// `None` if the capture ended before the counters were read.
    start: Option<CountersByNetns>,
    end: CountersByNetns,
    /// Namespaces that could not be entered at the start; `None` before the first snapshot.
    unreached: Option<usize>,
    /// Connections that ended without an event.
    pub retired: u64,
    /// The capture ended before all events up to the end were read.
    pub is_cut_short: bool,
}

impl Comparison {
    /// A comparison of what these filters select.
    #[must_use]
    pub fn new(filter: &Filter) -> Self {
        let is_filtered = !filter.is_open_but_for_netns();
        Self { is_filtered, filter: filter.clone(), ..Self::default() }
    }

    fn retain_asked_for(&self, counters: &mut CountersByNetns) {
        counters.read.retain(|netns, reading| self.filter.has_netns(*netns, reading.netns_cookie));
        counters.unread.retain(|netns| self.filter.has_netns(*netns, 0));
    }

    /// Takes the counters at the start.
    pub fn at_start(&mut self, mut counters: CountersByNetns, tracker: Option<&mut Tracker>) {
        self.retain_asked_for(&mut counters);
        if let Some(tracker) = tracker {
            for (netns, reading) in &counters.read {
                tracker.tally_mut().read_at_start(*netns, reading);
            }
        }
        self.start = Some(counters);
    }

    /// Takes the counters at the end.
    pub fn at_end(&mut self, mut counters: CountersByNetns, tracker: Option<&mut Tracker>) {
        self.retain_asked_for(&mut counters);
        if let Some(tracker) = tracker {
            for (netns, reading) in &counters.read {
                tracker.tally_mut().read_at_end(*netns, reading);
            }
        }
        self.end = counters;
    }

    /// Takes the namespaces that could not be entered; only those of the first snapshot count.
    pub fn found_unreached(&mut self, unreached: &HashSet<u32>) {
        let asked_for = unreached.iter().filter(|netns| self.filter.has_netns(**netns, 0)).count();
        self.unreached.get_or_insert(asked_for);
    }

    /// Adds the connections and the comparison to the receipt.
    pub fn conclude(&self, tracker: &Tracker, receipt: &mut Receipt) {
        let waiting = tracker.iter().filter(|connection| connection.is_timewait).count() as u64;
        let is_half_open = |connection: &&Connection| connection.state == number::NEW_SYN_RECV;
        let others = (tracker.listening() + tracker.iter().filter(is_half_open).count()) as u64;
        receipt.connections = Some(Connections {
            counts: tracker.tally().total(),
            open: (tracker.len() as u64).saturating_sub(waiting + others),
            waiting,
            ended_unseen: self.retired,
        });
        // The last count of losses is the best one, and explains gaps.
        receipt.gaps = if receipt.losses.total() > Some(0) { 0 } else { tracker.gaps() };
        receipt.kernel = Some(self.kernel(tracker.tally(), receipt.losses.total()));
    }

    /// The counters of a namespace at the start, unless another one had its number then.
    fn started(&self, netns: u32, end: &Reading) -> Option<&Reading> {
        let start = self.start.as_ref()?.read.get(&netns)?;
        let has_cookies = start.netns_cookie != 0 && end.netns_cookie != 0;
        (!has_cookies || start.netns_cookie == end.netns_cookie).then_some(start)
    }

    fn kernel(&self, tally: &Tally, lost: Option<u64>) -> Kernel {
        let (mut counts, mut here) = (TcpCounts::default(), TcpCounts::default());
        let mut notes = Vec::new();
        let (mut agrees, mut tolerance) = (true, TcpCounts::default());
        let (mut compared, mut renewed, mut unknown) = (0, 0, 0);
        let unread_at_start = self.start.as_ref().map(|start| &start.unread);
        // A replay tells them in the same order.
        let mut ends: Vec<_> = self.end.read.iter().collect();
        ends.sort_unstable_by_key(|(netns, _)| **netns);
        for (netns, end) in ends {
            if unread_at_start.is_some_and(|unread| unread.contains(netns)) {
                continue;
            }
            let since = self.started(*netns, end).and_then(|start| end.counts.since(&start.counts));
            // The counters of a namespace that was created during the capture started at zero.
            let is_new = since.is_none();
            let counted = since.unwrap_or(end.counts);
            let bounds = tally.bounds(*netns, end.netns_cookie);
            let possible = counted.bounds();
            let counted = possible.nearest(&bounds.least);
            let is_sure = end.netns_cookie != 0 && tally.is_sure_of(*netns);
            if !is_sure && counted != bounds.least && possible.is_at_most(&bounds.least) {
                // Nothing is missing. The namespace has the inode number of an earlier one, and only part of
                // the events belong to it.
                renewed += 1;
                continue;
            }
            let seen = bounds.nearest(&counted);
            if is_new && seen.is_less_than(&counted) {
                // It may be older than the capture, and was only not found at the start: nobody was in it.
                unknown += 1;
                continue;
            }
            compared += 1;
            tolerance += bounds.width();
            tolerance += possible.width();
            counts += counted;
            here += seen;
            if counted != seen {
                agrees = false;
                notes.push(format!("in namespace {netns} {counted} there, {seen} here"));
            }
        }
        let obstacle = match (self.is_filtered, self.is_cut_short) {
            (true, _) => Some("filters are in use, and they count everything"),
            (_, true) => Some("the capture ended before the last events were read"),
            _ if self.start.is_none() && !self.end.read.is_empty() => {
                Some("the capture ended before it was ready")
            }
            _ if compared == 0 && self.unread() > 0 => Some("there was no time to read them"),
            _ if self.end.read.is_empty() => Some("they cannot be read"),
            _ if agrees && counts == TcpCounts::default() && self.gone(tally) > 0 => {
                Some("the namespaces of all connections are gone or out of reach")
            }
            _ => None,
        };
        if let Some(obstacle) = obstacle {
            return Kernel {
                counts: (!self.end.read.is_empty()).then_some(counts),
                compared: None,
                tolerance: None,
                agrees: None,
                notes: vec![obstacle.to_owned()],
            };
        }
        if renewed > 0 {
            notes.push(format!("{} with the number of one before, not compared", namespaces(renewed)));
        }
        if unknown > 0 {
            notes.push(format!("{} not found at the start, not compared", namespaces(unknown)));
        }
        self.explain(tally, lost, &mut notes);
        Kernel {
            counts: Some(counts),
            compared: Some(here),
            tolerance: Some(tolerance),
            agrees: Some(agrees),
            notes,
        }
    }

    fn explain(&self, tally: &Tally, lost: Option<u64>, notes: &mut Vec<String>) {
        match lost {
            Some(0) => {}
            Some(_) => notes.push("events were lost".to_owned()),
            None => notes.push("whether events were lost is unknown".to_owned()),
        }
        if let Some(unreached @ 1..) = self.unreached {
            notes.push(format!("{} could not be entered", namespaces(unreached)));
        }
        let unread = self.unread();
        if unread > 0 {
            notes.push(format!("no time to read the counters of {}, not compared", namespaces(unread)));
        }
        let gone = self.gone(tally);
        if gone > 0 {
            notes.push(format!("{} gone or out of reach, not compared", namespaces(gone)));
        }
    }

    /// The number of namespaces whose counters there was no time to read, at the start or at the end.
    fn unread(&self) -> usize {
        let both = self.start.iter().chain([&self.end]);
        both.flat_map(|counters| &counters.unread).collect::<HashSet<_>>().len()
    }

    /// The number of namespaces that have connections in the events, but no counters at the end.
    fn gone(&self, tally: &Tally) -> usize {
        let CountersByNetns { read, unread } = &self.end;
        let is_gone = |netns: &u32| !read.contains_key(netns) && !unread.contains(netns);
        tally.replaced() + tally.netns().filter(is_gone).count()
    }
}
