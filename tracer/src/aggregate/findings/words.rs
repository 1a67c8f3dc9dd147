//! Findings in words.

use tracer_common::state as number;

use crate::{
    aggregate::findings::{Draft, FindingKind, counted::Counted, place::Whom},
    tcp::state::State,
    text::{
        duration::duration,
        width::{grouped, short},
    },
};

/// From how long on it is worth saying that something is a finding.
const SEEN_NS: u64 = 60_000_000_000;

impl Draft {
    /// The facts that show it, apart from the count and whose it is.
    /// `seen_ns`: for how long it has been a finding.
    pub(super) fn evidence(&self, kind: FindingKind, seen_ns: Option<u64>) -> String {
        let group = &self.group;
        let mut parts = Vec::new();
        if let Some(limit) = group.limit {
            parts.push(format!("of {}", grouped(limit)));
        }
        if kind == FindingKind::Unfinished {
            let states = (0..).zip(group.by_state).filter(|(_, count)| *count > 0);
            parts.extend(states.map(|(state, count)| format!("{count} {}", State::from_kernel(state))));
        }
        if kind == FindingKind::ConnectFailures && group.count > 0 {
            parts.push(format!("{} without an answer", grouped(group.count)));
        }
        if kind == FindingKind::SlowHandshakes && group.count > 0 {
            parts.push(format!("{} without an answer yet", grouped(group.count)));
        }
        if group.oldest_ns > 0 {
            let bound = if group.is_bound { ">" } else { "" };
            let what = match kind {
                FindingKind::ZeroWindow | FindingKind::Stalled | FindingKind::Unread => "for ",
                FindingKind::AcceptQueue => "full for ",
                _ => "oldest ",
            };
            parts.push(format!("{what}{bound}{}", duration(group.oldest_ns)));
        }
        if group.bytes > 0 {
            parts.push(format!("{} bytes wait", short(group.bytes)));
        }
        let mut ends = self.ends.clone();
        ends.sort_by_key(|(reason, count)| (u64::MAX - count, reason.name()));
        parts.extend(ends.iter().map(|(reason, count)| format!("{} {}/min", grouped(*count), reason.name())));
        if self.slow.0 > 0 {
            parts.push(format!("the last took {}", duration(u64::from(self.slow.1) * 1000)));
        }
        parts.extend(self.counted.iter().map(|(counted, count)| {
            let what = match counted {
                Counted::Lost => "lost",
                Counted::Dropped | Counted::Overflowed => "dropped",
                Counted::Cookies => "SYN cookies",
                Counted::RequestsDropped => "SYNs dropped",
                Counted::NoRoute => "without a route",
                Counted::TimeWaitOverflows => "without room in TIME_WAIT",
            };
            format!("{} {what}/min", grouped(*count))
        }));
        if let Some(seen_ns) = seen_ns.filter(|seen_ns| group.oldest_ns == 0 && *seen_ns >= SEEN_NS) {
            parts.push(format!("for >{}", duration(seen_ns)));
        }
        parts.join(", ")
    }
}

/// The states that a kind of finding is about.
fn states(kind: FindingKind) -> &'static [u8] {
    match kind {
        FindingKind::CloseWait => &[number::CLOSE_WAIT],
        FindingKind::HalfOpen => &[number::SYN_RECV, number::NEW_SYN_RECV],
        FindingKind::TimeWait => &[number::TIME_WAIT],
        FindingKind::Unfinished => &[number::FIN_WAIT1, number::FIN_WAIT2, number::CLOSING, number::LAST_ACK],
        FindingKind::Unread => &[number::ESTABLISHED],
        _ => &[],
    }
}

/// The filters that select its sockets, as names and values. `has_namespaces`: there are several.
fn filters(kind: FindingKind, whom: &Whom, has_namespaces: bool) -> Vec<(&'static str, String)> {
    let mut filters = whom.filters(has_namespaces);
    let states = states(kind);
    if !states.is_empty() {
        let names: Vec<_> = states.iter().map(|state| State::from_kernel(*state).to_string()).collect();
        filters.push(("state", names.join(",")));
    }
    filters
}

/// The filter as it is typed in `top`.
pub(super) fn filter(kind: FindingKind, whom: &Whom, has_namespaces: bool) -> String {
    let words =
        filters(kind, whom, has_namespaces).into_iter().map(|(name, value)| format!("{name}={value}"));
    words.collect::<Vec<_>>().join(" ")
}

/// The command that shows more.
pub(super) fn command(kind: FindingKind, whom: &Whom, has_namespaces: bool) -> String {
    let (verb, more) = match kind {
        FindingKind::Lost => ("tracer check", ""),
        FindingKind::ConnectFailures | FindingKind::EphemeralPorts | FindingKind::Timeouts => {
            ("tracer life", "")
        }
        FindingKind::SlowHandshakes => ("tracer life", " --columns start,remote,comm,handshake_us"),
        FindingKind::Resets => ("tracer", " --resets"),
        FindingKind::Stalled | FindingKind::HalfOpen => ("tracer", " --retransmits"),
        _ => ("tracer top", ""),
    };
    // What has no route leaves no connection.
    let verb = if kind == FindingKind::ConnectFailures && whom.remote_addr.is_none() {
        "tracer summary"
    } else {
        verb
    };
    // Half-open connections have no sockets of their own where they are not hooked.
    let filters = match kind {
        FindingKind::HalfOpen => whom.filters(has_namespaces),
        _ => filters(kind, whom, has_namespaces),
    };
    let filters = filters.into_iter().map(|(name, value)| format!(" --{name} {value}"));
    let filters = if kind == FindingKind::Lost { String::new() } else { filters.collect() };
    format!("{verb}{filters}{more}")
}
