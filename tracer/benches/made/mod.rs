//! Makes up events as the kernel would report them: clients connect to services of this host, many at a time,
//! and both ends of each connection are closed in order.

// Each program that includes this module uses a part of it, and reports errors by panicking.
#![allow(dead_code, clippy::panic)]
// The casts are of made-up addresses.
#![allow(clippy::cast_possible_truncation)]

use std::{net::Ipv4Addr, slice::Chunks};

use clap::Parser as _;
use tracer::{
    cli::{Cli, Command},
    config::{self, RunConfig},
    facts::{Batch, kernel::KernelInfo},
    run::stages::{ActContext, Stages, StagesOptions},
    source::{decode::decode, merge::Merge, order::Order, script::Script},
    time::clock::Anchor,
};
use tracer_common::{
    Event,
    event::{AF_INET, COMM_LEN, flag},
    state::{CLOSE, CLOSE_WAIT, ESTABLISHED, FIN_WAIT1, FIN_WAIT2, LAST_ACK, LISTEN, SYN_RECV, SYN_SENT},
};
use zerocopy::{FromZeros as _, IntoBytes as _};

/// Connections that are open at the same time.
const OPEN: usize = 1000;

/// Transitions of a connection: five at each end.
pub(crate) const TRANSITIONS: usize = 10;

/// The transitions of each end. Step by step, the client's comes before the server's.
const CLIENT: [(u8, u8); 5] = [
    (CLOSE, SYN_SENT),
    (SYN_SENT, ESTABLISHED),
    (ESTABLISHED, FIN_WAIT1),
    (FIN_WAIT1, FIN_WAIT2),
    (FIN_WAIT2, CLOSE),
];
const SERVER: [(u8, u8); 5] = [
    (LISTEN, SYN_RECV),
    (SYN_RECV, ESTABLISHED),
    (ESTABLISHED, CLOSE_WAIT),
    (CLOSE_WAIT, LAST_ACK),
    (LAST_ACK, CLOSE),
];

/// Time of the first event, and time between events.
const BEGIN_NS: u64 = 1_000_000_000_000;
const PACE_NS: u64 = 2_000;

/// The events of so many connections, in time order.
pub(crate) fn events(connections: usize) -> Vec<Event> {
    let mut events = Vec::with_capacity(connections * TRANSITIONS);
    for first in (0..connections).step_by(OPEN) {
        let open = first..(first + OPEN).min(connections);
        for step in 0..CLIENT.len() {
            for connection in open.clone() {
                for (is_client, way) in [(true, CLIENT), (false, SERVER)] {
                    let mut event = end(connection, is_client, step);
                    (event.old_state, event.new_state) = way[step];
                    event.time_ns = BEGIN_NS + events.len() as u64 * PACE_NS;
                    events.push(event);
                }
            }
        }
    }
    events
}

/// The event of one end of a connection at a step, without its time and states.
fn end(connection: usize, is_client: bool, step: usize) -> Event {
    let mut event = Event::new_zeroed();
    event.cookie = 1 + 2 * connection as u64 + u64::from(!is_client);
    event.cgroup = 4711 + connection as u64 % 16;
    event.netns = 4_026_531_840;
    event.uid = 33;
    event.family = AF_INET;
    let client = Ipv4Addr::new(10, 1, (connection / 251 % 256) as u8, (connection % 251) as u8);
    let server = Ipv4Addr::new(192, 168, 7, (connection % 64) as u8);
    let client = (client.to_ipv6_mapped().octets(), 32_768 + (connection % 28_000) as u16);
    let server = (server.to_ipv6_mapped().octets(), [80, 443, 5432, 6379][connection % 4]);
    let (local, remote) = if is_client { (client, server) } else { (server, client) };
    (event.local_addr, event.local_port) = local;
    (event.remote_addr, event.remote_port) = remote;
    event.comm = name(if is_client { b"checkout" } else { b"nginx" });
    event.pid = 1000 + connection as u32 % 40;
    event.tid = event.pid;
    event.cpu = (connection % 2) as u16;
    // A client makes the first and the third transition in calls of its own, a server the fourth.
    let is_own = if is_client { step == 0 || step == 2 } else { step == 3 };
    if is_own {
        event.flags |= flag::OWNED;
    }
    if is_client && step == 0 {
        event.flags |= flag::UNBOUND;
    }
    if step >= 1 {
        event.srtt_us = 250 + connection as u32 % 1000;
    }
    if step >= 2 {
        event.bytes_acked = 900 + connection as u64 % 5000;
        event.bytes_received = 15_000 + connection as u64 % 90_000;
    }
    if (is_client && step == 4) || (!is_client && step >= 2) {
        event.flags |= flag::DONE;
    }
    event
}

fn name(name: &[u8]) -> [u8; COMM_LEN] {
    let mut comm = [0; COMM_LEN];
    comm[..name.len()].copy_from_slice(name);
    comm
}

/// The configuration for a command line of `tracer`.
pub(crate) fn config(words: &[&str]) -> RunConfig {
    let cli = Cli::parse_from([&["tracer"], words].concat());
    let config = match cli.command {
        Some(Command::Life(args)) => config::life(*args),
        Some(Command::Summary(args)) => config::summary(*args),
        Some(Command::Log(args)) => config::log(*args),
        _ => panic!("measured are log, life and summary"),
    };
    config.unwrap_or_else(|error| panic!("{error}"))
}

/// Events in a batch, as from the ring buffers.
const BATCH: usize = 2048;

/// The whole pipeline as in `run/capture.rs`, with memory in place of ring buffers and of a file.
pub(crate) struct Way {
    merge: Merge,
    order: Order,
    batch: Batch,
    stages: Stages,
    names: Script,
    /// Bytes that would be written.
    pub(crate) out: Vec<u8>,
}

impl Way {
    /// The pipeline for a command line of `tracer`.
    pub(crate) fn new(words: &[&str]) -> Self {
        let config = config(words).capture;
        let mut names = Script::default();
        let filters = config.filters.resolve(&mut names).unwrap_or_else(|error| panic!("{error}"));
        let mut stages = Stages::new(StagesOptions {
            view: config.view,
            filters,
            kernel: &KernelInfo::default(),
            host: String::new(),
            follows_timewait: config.follows_timewait,
            limit: None,
        });
        stages.clock(Anchor { monotonic_ns: BEGIN_NS, wall_ns: 1_700_001_000_000_000_000 });
        Self {
            merge: Merge::new(RINGS),
            order: Order::default(),
            batch: Batch::default(),
            stages,
            names,
            out: Vec::new(),
        }
    }

    /// Takes the records of ring buffers, and passes the bytes of lines to `write`. Returns how many lines
    /// there were.
    pub(crate) fn take(&mut self, rings: &Rings, mut write: impl FnMut(&[u8])) -> u64 {
        let mut lines = 0;
        let mut rings = records(rings);
        while self.merge.take(&mut rings, BATCH, next, |event| self.order.push(event)) > 0 {
            self.order.settle(u64::MAX, &mut self.batch.events);
            let mut around = ActContext { names: &mut self.names, message: || None, playback: None };
            self.stages.events(&self.batch, |_| true, &mut around, &mut self.out);
            lines += self.stages.take_lines();
            write(&self.out);
            self.out.clear();
        }
        lines
    }
}

/// How many ring buffers there are.
pub(crate) const RINGS: usize = 2;

/// The bytes in each ring buffer.
pub(crate) type Rings = [Vec<u8>; RINGS];

/// Puts events into the ring buffers of their CPUs.
pub(crate) fn rings(events: &[Event]) -> Rings {
    let mut rings = Rings::default();
    for event in events {
        rings[usize::from(event.cpu)].extend_from_slice(event.as_bytes());
    }
    rings
}

/// The records of each ring buffer.
pub(crate) fn records(rings: &Rings) -> [Chunks<'_, u8>; RINGS] {
    rings.each_ref().map(|ring| ring.chunks(size_of::<Event>()))
}

/// Decodes the next record of a ring buffer.
pub(crate) fn next(records: &mut Chunks<'_, u8>) -> Option<Event> {
    records.next().map(|record| *decode(record).unwrap_or_else(|error| panic!("{error}")))
}
