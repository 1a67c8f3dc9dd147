//! A copy of what a filter lets pass: nothing of others is in it.

use std::collections::{HashMap, HashSet};

use tracer_common::{
    Event,
    event::{COMM_LEN, Holder, kind},
};

use crate::{
    facts::{Fact, interfaces::DeviceKey, snapshot::TimewaitByNetns},
    filter::{Filter, Matcher, Verdict},
    recording::{header::Header, name::Name},
    run::{
        error::Error,
        recording::copy::{Editor, Everything},
    },
    source::{Demand, Source as _, replay::Replay},
    tcp::{endpoint::Tuple, netns::NetnsId},
    track::{
        checkpoint::{Edit, edited},
        connection::Connection,
    },
};

/// Keeps what a filter lets pass.
pub(super) struct Chosen {
    filter: Filter,
    matcher: Matcher,
    known: Referred,
    /// Transitions that are left out.
    filtered: u64,
}

/// What the connections that pass refer to: found out before anything is copied.
#[derive(Default)]
struct Referred {
    cookies: HashSet<u64>,
    cgroups: HashSet<u64>,
    netns: HashSet<u32>,
    pids: HashSet<u32>,
    devices: HashSet<DeviceKey>,
    /// Events that only a later one of the same socket has decided, by cookie and time.
    decided: HashSet<(u64, u64)>,
    undecided: HashMap<u64, u64>,
}

impl Chosen {
    /// Reads all of it, to know what the connections that pass refer to.
    pub(super) async fn find(filter: Filter, mut replay: Replay) -> Result<Self, Error> {
        let matcher = Matcher::new(&filter);
        let mut chosen = Self { filter, matcher, known: Referred::default(), filtered: 0 };
        let timewait = TimewaitByNetns::default();
        loop {
            match replay.next(Demand::all(&timewait)).await? {
                Fact::Events(batch) => batch.events.iter().for_each(|event| chosen.learn(event)),
                Fact::Refresh { sockets, .. } => sockets.iter().for_each(|socket| chosen.learn(socket)),
                Fact::Snapshot(snapshot) => {
                    let sockets = snapshot.sockets.iter().chain(&snapshot.holders);
                    sockets.for_each(|socket| chosen.learn(socket));
                }
                Fact::Checkpoint(checkpoint) => _ = edited(&checkpoint, &mut Learning(&mut chosen)),
                Fact::Holders(holders) => {
                    let sockets = holders.by_socket().flatten();
                    let chosen = &mut chosen.known;
                    let held = sockets.filter(|holder| chosen.cookies.contains(&holder.cookie));
                    chosen.pids.extend(held.map(|holder| holder.pid));
                }
                Fact::End(_) => {
                    let known = &mut chosen.known;
                    let processes = known.pids.iter().filter_map(|pid| replay.names().process_cgroup(*pid));
                    known.cgroups.extend(processes.map(|cgroup| cgroup.id));
                    return Ok(chosen);
                }
                _ => {}
            }
        }
    }

    fn judge(&self, event: &Event) -> Verdict {
        self.matcher.judge(&Tuple::of(event), event.family, event.flags)
    }

    fn learn(&mut self, event: &Event) {
        let verdict = self.judge(event);
        if verdict == Verdict::Undecided {
            self.known.undecided.insert(event.cookie, event.time_ns);
            return;
        }
        let beginning = self.known.undecided.remove(&event.cookie);
        if verdict == Verdict::Pass {
            self.known.decided.extend(beginning.map(|time_ns| (event.cookie, time_ns)));
            self.known.refer(event.cookie, &Tuple::of(event), event.cgroup, event.pid);
        }
    }

    fn passes(&self, event: &Event) -> bool {
        match self.judge(event) {
            Verdict::Pass => true,
            Verdict::Fail => false,
            Verdict::Undecided => self.known.decided.contains(&(event.cookie, event.time_ns)),
        }
    }

    fn passes_netns(&self, netns: NetnsId) -> bool {
        self.filter.netns.selects(netns) && self.known.netns.contains(&netns.inum)
    }
}

impl Referred {
    fn refer(&mut self, cookie: u64, tuple: &Tuple, cgroup: u64, pid: u32) {
        self.cookies.insert(cookie);
        self.cgroups.insert(cgroup);
        self.netns.insert(tuple.netns);
        self.pids.insert(pid);
        self.devices.insert(DeviceKey::of(tuple));
    }
}

impl Editor for Chosen {
    fn header(&mut self, header: &mut Header) {
        Everything.header(header);
        header.filter = self.filter.clone();
    }

    fn fact(&mut self, fact: &mut Fact) -> bool {
        match fact {
            Fact::Events(batch) => {
                let transitions = |events: &[Event]| {
                    events.iter().filter(|event| event.kind == kind::TRANSITION).count() as u64
                };
                let before = transitions(&batch.events);
                batch.events.retain(|event| self.passes(event));
                self.filtered += before - transitions(&batch.events);
            }
            Fact::Refresh { sockets, .. } => sockets.retain(|socket| self.passes(socket)),
            Fact::Snapshot(snapshot) => {
                snapshot.sockets.retain(|socket| self.passes(socket));
                snapshot.holders.retain(|socket| self.passes(socket));
                snapshot.interfaces.edit(|device, _| self.known.devices.contains(device));
            }
            Fact::TimewaitSample(sample) => {
                sample.sockets.retain(|socket| self.known.cookies.contains(&socket.cookie));
                sample.netns.retain(|netns| self.passes_netns(*netns));
                sample.gone.retain(|netns| self.passes_netns(*netns));
                sample.fin_timeout_ns.retain(|netns, _| self.passes_netns(*netns));
            }
            Fact::Holders(holders) => {
                holders.edit(|holder: &mut Holder| self.known.cookies.contains(&holder.cookie));
            }
            Fact::Interfaces(interfaces) => {
                interfaces.edit(|device, _| self.known.devices.contains(device));
            }
            Fact::Gauges(gauges) => gauges.by_netns.retain(|netns, _| self.passes_netns(*netns)),
            Fact::CountersAtStart(counters) | Fact::CountersAtEnd(counters) => {
                counters.read.retain(|inum, read| self.filter.has_netns(*inum, read.netns_cookie));
                // The kernel counts the connections of all.
                return self.filter.is_open_but_for_netns();
            }
            Fact::Checkpoint(checkpoint) => match edited(checkpoint, &mut Keeping(self)) {
                Ok(kept) => **checkpoint = kept,
                Err(error) => {
                    log::warn!("{error}");
                    return false;
                }
            },
            Fact::End(totals) => {
                totals.filtered = totals.filtered.map(|filtered| filtered.saturating_add(self.filtered));
            }
            Fact::Clock(_) | Fact::Ready(_) | Fact::Losses(..) | Fact::Time(_) => {}
        }
        true
    }

    fn name(&mut self, name: &mut Name) -> bool {
        match name {
            Name::Cgroup(id, _) | Name::Container(id, _) => self.known.cgroups.contains(id),
            Name::Netns(inum, _) => self.known.netns.contains(inum),
            Name::CommandLine(pid, _) | Name::Process(pid, _) => self.known.pids.contains(pid),
            Name::Cgroups(_, paths) => {
                paths.retain(|id, _| self.known.cgroups.contains(id));
                true
            }
        }
    }
}

fn passes(matcher: &Matcher, connection: &Connection) -> bool {
    matcher.judge(&connection.tuple, connection.family, 0) == Verdict::Pass
}

/// Learns what the connections of a checkpoint refer to.
struct Learning<'a>(&'a mut Chosen);

impl Edit for Learning<'_> {
    fn keeps(&mut self, connection: &Connection) -> bool {
        let passes = passes(&self.0.matcher, connection);
        if passes {
            let Connection { cookie, cgroup, .. } = *connection;
            self.0.known.refer(cookie, &connection.tuple, cgroup, connection.owner.pid);
        }
        passes
    }

    fn keeps_ended(&mut self, _: u64) -> bool {
        true
    }

    fn address(&mut self, _: &mut [u8; 16]) {}

    fn comm(&mut self, _: &mut [u8; COMM_LEN]) {}
}

/// Keeps the connections of a checkpoint that pass.
struct Keeping<'a>(&'a Chosen);

impl Edit for Keeping<'_> {
    fn keeps(&mut self, connection: &Connection) -> bool {
        passes(&self.0.matcher, connection)
    }

    fn keeps_ended(&mut self, cookie: u64) -> bool {
        self.0.known.cookies.contains(&cookie)
    }

    fn address(&mut self, _: &mut [u8; 16]) {}

    fn comm(&mut self, _: &mut [u8; COMM_LEN]) {}
}
