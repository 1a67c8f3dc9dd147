//! Findings in words.

use crate::{
    aggregate::{
        findings::{
            Finding, FindingKind,
            episodes::{Episode, Episodes},
            place::{Place, Whom},
        },
        talks::{TalkCounts, TalkKey},
    },
    explain::texts::{Language, Texts},
    facts::context::Context,
    tcp::{endpoint::Endpoint, netns::Inum},
    text::{
        duration::duration,
        escape::{escaped, name},
        width::grouped,
    },
    view::report::explained::{Explained, pieces},
};

/// The most findings that are told.
const MOST: usize = 100;

/// How many pairs of process and peer are named beside a finding.
const PAIRS: usize = 3;

/// From which share of a peer's connections on, in percent, and from how many on, it is worth saying that something
/// is wrong with them, whatever happened in a minute.
const SHARE: u64 = 10;
const LEAST: u64 = 20;

/// A finding as the page has it.
#[derive(Clone, Debug)]
pub(super) struct ToldFinding {
    /// Its name in `explain`; what else is told has none.
    pub(super) name: &'static str,
    pub(super) sentence: String,
    /// How many, and of what.
    pub(super) count: String,
    pub(super) evidence: Vec<String>,
    /// From when to when, in nanoseconds; `None` if it is about all of the time.
    pub(super) span_ns: Option<(u64, u64)>,
    /// When, in words.
    pub(super) when: String,
    pub(super) command: String,
    pub(super) explained: Explained,
    weight: (FindingKind, u64),
}

/// What findings are told of.
pub(super) struct FindingWords<'a> {
    pub(super) episodes: &'a Episodes,
    /// Who talks to whom.
    pub(super) talks: &'a [(TalkKey, TalkCounts)],
    pub(super) context: &'a Context,
    /// When the page begins and ends, in nanoseconds.
    pub(super) span_ns: (u64, u64),
    /// What follows a command, so that it is about the recording.
    pub(super) from: &'a str,
    pub(super) is_complete: bool,
}

impl FindingWords<'_> {
    /// All findings, the heaviest first, and how many more there are.
    pub(super) fn findings(&self) -> (Vec<ToldFinding>, u64) {
        // They are a part of this program, and its tests have read them.
        let texts = Texts::read(Language::ENGLISH).ok();
        let texts = texts.as_ref();
        let mut episodes = self.episodes.list();
        // What the counter of a namespace has told until its listener was found.
        let listeners: Vec<_> = episodes.iter().filter_map(|episode| full_listener(episode)).collect();
        episodes.retain(|episode| !is_of_listener(episode, &listeners));
        let mut told: Vec<_> = episodes.iter().map(|episode| self.episode(episode, texts)).collect();
        told.extend(self.shares(&episodes, texts));
        if !self.is_complete && !episodes.iter().any(|episode| episode.finding.kind == FindingKind::Lost) {
            told.push(self.incomplete(texts));
        }
        told.sort_by_key(|finding| (finding.weight.0, u64::MAX - finding.weight.1));
        let more = told.len().saturating_sub(MOST) as u64;
        told.truncate(MOST);
        (told, more + self.episodes.others())
    }

    fn episode(&self, episode: &Episode, texts: Option<&Texts>) -> ToldFinding {
        let Finding { kind, count, whom, evidence, command, .. } = &episode.finding;
        let mut parts: Vec<_> =
            evidence.split(", ").filter(|part| !part.is_empty()).map(str::to_owned).collect();
        parts.extend(self.pairs(*kind, episode.finding.place));
        let clock = |ns: u64| self.context.clock.wall(ns).strftime("%H:%M:%S").to_string();
        let (first, last) = (clock(episode.first_ns), clock(episode.last_ns));
        let when = match (first == last, self.episodes.lasts(episode)) {
            (_, true) => format!("since {first}, still so at the end"),
            (true, false) => format!("at {first}"),
            (false, false) => format!("{first} to {last}"),
        };
        ToldFinding {
            name: kind.name(),
            sentence: sentence(*kind, whom),
            count: format!("{} {}", grouped(*count), counted(*kind)),
            evidence: parts,
            span_ns: Some((episode.first_ns, episode.last_ns)),
            when: format!("{when}; worst at {}", clock(episode.peak_ns)),
            command: self.recorded(*kind, command),
            explained: Explained::finding(texts, kind.name()),
            weight: (*kind, *count),
        }
    }

    /// A command about the recording instead of what happens now.
    fn recorded(&self, kind: FindingKind, command: &str) -> String {
        match kind {
            FindingKind::Lost => command.to_owned(),
            _ => format!("{command} --from {}", self.from),
        }
    }

    /// Who is behind resets and failing connects of a place.
    fn pairs(&self, kind: FindingKind, place: Place) -> Vec<String> {
        let count: fn(&TalkCounts) -> u64 = match kind {
            FindingKind::Resets => |counts| counts.reset_local + counts.reset_remote,
            FindingKind::ConnectFailures => |counts| counts.not_connected,
            FindingKind::Timeouts => |counts| counts.timed_out,
            _ => return Vec::new(),
        };
        let is_it = |(key, counts): &&(TalkKey, TalkCounts)| count(counts) > 0 && is_at(key, place);
        let mut pairs: Vec<_> = self.talks.iter().filter(is_it).collect();
        pairs.sort_by_key(|(key, counts)| (u64::MAX - count(counts), *key));
        let more = pairs.len().saturating_sub(PAIRS);
        let mut told: Vec<_> =
            pairs.iter().take(PAIRS).map(|(key, counts)| pair(key, counts, kind)).collect();
        if more > 0 {
            told.push(format!("{more} pairs more in the service map"));
        }
        told
    }

    /// Peers with which much goes wrong over all of the time, although never enough in a minute.
    fn shares(&self, episodes: &[&Episode], texts: Option<&Texts>) -> Vec<ToldFinding> {
        let mut told = Vec::new();
        for (key, counts) in self.talks {
            for (kind, count) in [
                (FindingKind::ConnectFailures, counts.not_connected),
                (FindingKind::Timeouts, counts.timed_out),
                (FindingKind::Resets, counts.reset_local + counts.reset_remote),
            ] {
                let is_told = episodes
                    .iter()
                    .any(|episode| episode.finding.kind == kind && is_at(key, episode.finding.place));
                if !is_told && is_much(count, counts.connections) {
                    told.push(self.share(key, counts, (kind, count), texts));
                }
            }
            if is_much(counts.with_retransmits, counts.connections) {
                told.push(self.retransmits(key, counts));
            }
        }
        told
    }

    fn share(
        &self,
        key: &TalkKey,
        counts: &TalkCounts,
        (kind, count): (FindingKind, u64),
        texts: Option<&Texts>,
    ) -> ToldFinding {
        ToldFinding {
            name: kind.name(),
            sentence: sentence(kind, &whom(key)),
            count: format!("{} of {} connections", grouped(count), grouped(counts.connections)),
            evidence: vec![pair(key, counts, kind)],
            span_ns: None,
            when: "over all of the time".to_owned(),
            command: format!("tracer life{} --from {}", filters(key), self.from),
            explained: Explained::finding(texts, kind.name()),
            weight: (kind, count),
        }
    }

    fn retransmits(&self, key: &TalkKey, counts: &TalkCounts) -> ToldFinding {
        let TalkCounts { connections, with_retransmits, retransmits, .. } = *counts;
        ToldFinding {
            name: "retransmits",
            sentence: format!("Much is sent again {}: segments are lost on the way", to(key)),
            count: format!("{} of {} connections", grouped(with_retransmits), grouped(connections)),
            evidence: vec![
                format!("{} segments sent again", grouped(retransmits)),
                format!("by {}", process(key)),
            ],
            span_ns: None,
            when: "over all of the time".to_owned(),
            command: format!("tracer --retransmits{} --from {}", filters(key), self.from),
            explained: Explained {
                what: pieces(
                    "A segment that was sent again was lost, or its ACK was, or the answer came later than the \
                     kernel had expected (`tracer explain retransmits`).",
                ),
                ..Explained::default()
            },
            weight: (FindingKind::SlowHandshakes, retransmits),
        }
    }

    fn incomplete(&self, texts: Option<&Texts>) -> ToldFinding {
        ToldFinding {
            name: FindingKind::Lost.name(),
            sentence: "The recording is incomplete: what is missing is in no figure here".to_owned(),
            count: "see the receipt".to_owned(),
            evidence: Vec::new(),
            span_ns: None,
            when: duration(self.span_ns.1.saturating_sub(self.span_ns.0)) + " in all",
            command: format!("tracer recording verify {}", self.from),
            explained: Explained::finding(texts, FindingKind::Lost.name()),
            weight: (FindingKind::Lost, u64::MAX),
        }
    }
}

/// The namespace of a listener whose accept queue was full.
fn full_listener(episode: &Episode) -> Option<Inum> {
    match (episode.finding.kind, episode.finding.place) {
        (FindingKind::AcceptQueue, Place::Listener(netns, ..)) => Some(netns),
        _ => None,
    }
}

/// Whether it is about the namespace of one of these listeners, and no listener of its own.
fn is_of_listener(episode: &Episode, listeners: &[Inum]) -> bool {
    let Finding { kind, place, .. } = &episode.finding;
    matches!((kind, place), (FindingKind::AcceptQueue, Place::Netns(netns)) if listeners.contains(netns))
}

fn is_much(count: u64, of: u64) -> bool {
    count >= LEAST && count * 100 >= of * SHARE
}

/// Whether connections of a pair are those of a place.
fn is_at(key: &TalkKey, place: Place) -> bool {
    match place {
        Place::Target(_, addr, port) => !key.serves && key.addr == addr && (key.port == port || port == 0),
        Place::Served(_, port) | Place::Listener(_, _, port) => key.serves && key.port == port,
        Place::Used(_, port) => !key.serves && key.port == port,
        Place::Process(_) | Place::Netns(_) | Place::Host => false,
    }
}

fn process(key: &TalkKey) -> String {
    key.comm.map_or_else(|| "a process that is not known".to_owned(), |comm| escaped(name(&comm)))
}

/// From where to where a pair talks, for people.
fn to(key: &TalkKey) -> String {
    if key.serves {
        format!("to {}, which uses port {}", Endpoint::of(key.addr, 0).addr, key.port)
    } else {
        format!("to {}", Endpoint::of(key.addr, key.port))
    }
}

fn whom(key: &TalkKey) -> Whom {
    let addr = Some(Endpoint::of(key.addr, 0).addr);
    let port = Some(key.port);
    if key.serves {
        Whom { local_port: port, ..Whom::default() }
    } else {
        Whom { remote_addr: addr, remote_port: port, ..Whom::default() }
    }
}

fn filters(key: &TalkKey) -> String {
    let addr = Endpoint::of(key.addr, 0).addr;
    let side = if key.serves { "local" } else { "remote" };
    format!(" --remote-addr {addr} --{side}-port {}", key.port)
}

fn pair(key: &TalkKey, counts: &TalkCounts, kind: FindingKind) -> String {
    let both = if key.serves {
        format!("{} from {}", process(key), Endpoint::of(key.addr, 0).addr)
    } else {
        format!("{} to {}", process(key), Endpoint::of(key.addr, key.port))
    };
    let what = match kind {
        FindingKind::Resets => {
            format!(
                "{} reset here, {} by the peer",
                grouped(counts.reset_local),
                grouped(counts.reset_remote)
            )
        }
        FindingKind::Timeouts => format!("{} timed out", grouped(counts.timed_out)),
        _ => format!("{} not connected", grouped(counts.not_connected)),
    };
    format!("{both}: {what} (of {})", grouped(counts.connections))
}

/// What the number of a finding counts.
fn counted(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Lost => "events lost in a minute",
        FindingKind::EphemeralPorts => "ports in use",
        FindingKind::AcceptQueue => "in the queue or dropped",
        FindingKind::HalfOpen => "half-open or dropped",
        FindingKind::ConnectFailures | FindingKind::Timeouts | FindingKind::Resets => "in a minute",
        FindingKind::SlowHandshakes => "handshakes in a minute",
        FindingKind::CloseWait
        | FindingKind::ZeroWindow
        | FindingKind::Stalled
        | FindingKind::Unread
        | FindingKind::TimeWait
        | FindingKind::Unfinished => "sockets at once",
    }
}

/// What is wrong, and whose it is.
fn sentence(kind: FindingKind, whom: &Whom) -> String {
    let process = whom.process().unwrap_or_else(|| "A process that is not known".to_owned());
    let place = whom.place();
    let at = |before: &str| match &place {
        // `to 10.0.0.9:80`, `port 80`, `10.0.0.1:80`, `netns 4026531840`
        Some(place) if place.starts_with("to ") => format!(" {place}"),
        Some(place) if place.starts_with("netns ") => format!(" in {place}"),
        Some(place) => format!(" {before} {place}"),
        None => String::new(),
    };
    match kind {
        FindingKind::Lost => "tracer has lost events: what is missing is in no figure here".to_owned(),
        FindingKind::EphemeralPorts => format!("Local ports run out for connections{}", at("in")),
        FindingKind::AcceptQueue => {
            let by = whom.process().map_or_else(String::new, |process| format!(": {process} is too slow"));
            format!("The queue of connections to be accepted is full{}{by}", at("at"))
        }
        FindingKind::HalfOpen => format!("Half-open connections pile up{}", at("at")),
        FindingKind::ConnectFailures => format!("Connects{} fail", at("in")),
        FindingKind::CloseWait => {
            format!("{process} does not close connections that its peers have closed (CLOSE_WAIT)")
        }
        FindingKind::ZeroWindow => format!("Data{} waits: the peer does not read (zero window)", at("of")),
        FindingKind::Stalled => format!("Data{} is sent again and again, and never acknowledged", at("of")),
        FindingKind::Unread => format!("{process} does not read what has come"),
        FindingKind::Timeouts => format!("Connections{} end because the peer falls silent", at("of")),
        FindingKind::SlowHandshakes => {
            format!("Handshakes{} are slow: SYNs or their answers are lost", at("of"))
        }
        FindingKind::Resets => format!("Connections{} end by RST", at("of")),
        FindingKind::TimeWait => format!("TIME_WAIT is near the kernel's limit{}", at("in")),
        FindingKind::Unfinished => {
            format!("Connections of {process} are closed, and their peers do not finish it")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finding_has_a_sentence_with_whose_it_is() {
        let remote = Some("10.0.0.9".parse().unwrap());
        let target = Whom {
            remote_addr: remote,
            remote_port: Some(80),
            pid: Some(7),
            comm: Some("web".into()),
            ..Whom::default()
        };
        for kind in FindingKind::all().filter(|kind| *kind != FindingKind::Lost) {
            let sentence = sentence(kind, &target);
            assert!(
                ["10.0.0.9:80", "web (7)"].iter().any(|whose| sentence.contains(whose))
                    || kind == FindingKind::TimeWait,
                "{kind}: {sentence}"
            );
        }
        let port = Whom { local_port: Some(80), ..Whom::default() };
        assert_eq!(sentence(FindingKind::Resets, &port), "Connections of port 80 end by RST");
        assert_eq!(sentence(FindingKind::ConnectFailures, &target), "Connects to 10.0.0.9:80 fail");
    }

    #[test]
    fn a_few_failures_are_not_much() {
        assert!(!is_much(19, 19) && is_much(20, 200) && !is_much(20, 201));
    }
}
