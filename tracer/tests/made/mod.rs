//! Recordings that are made of facts which are written down, in memory.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::net::Ipv4Addr;

use tracer::{
    facts::{
        Batch, Fact,
        counts::CountersByNetns,
        gauges::Gauges,
        holders::Holders,
        interfaces::{DeviceKey, Interfaces},
        kernel::KernelInfo,
        losses::{Losses, SourceTotals},
        snapshot::{Snapshot, TimewaitSample},
    },
    recording::{encoder::Encoder, header::Header, name::Name},
    tcp::{device::DeviceName, netns::NetnsId},
    time::clock::Anchor,
    track::Tracker,
};
use tracer_common::{
    Event,
    event::{AF_INET, Holder, TimewaitSocket, flag, kind},
    state::{
        CLOSE, CLOSE_WAIT, ESTABLISHED, FIN_WAIT1, FIN_WAIT2, LAST_ACK, LISTEN, SYN_RECV, SYN_SENT, TIME_WAIT,
    },
};
use zerocopy::FromZeros as _;

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1000 * MS;
/// When recordings begin, on the kernel's clock; the wall clock is at 2026-01-01T00:00:00Z then.
pub(crate) const BEGIN: u64 = 500 * SECOND;
pub(crate) const WALL: i64 = 1_767_225_600_000_000_000;
pub(crate) const NETNS: u32 = 4_026_531_840;

/// Something that is written into a recording.
pub(crate) enum Piece {
    Fact(Fact),
    Name(Name),
    /// A block ends.
    End,
}

/// A connection between two hosts: `number` tells it from others, and is the last byte of the peer's address.
#[derive(Clone, Copy)]
pub(crate) struct Pair {
    pub(crate) number: u8,
    pub(crate) port: u16,
    pub(crate) comm: &'static str,
    pub(crate) cgroup: u64,
}

pub(crate) const WEB: Pair = Pair { number: 2, port: 443, comm: "curl", cgroup: 42 };
pub(crate) const DATABASE: Pair = Pair { number: 77, port: 5432, comm: "canary-client", cgroup: 43 };

pub(crate) fn comm(name: &str) -> [u8; 16] {
    let mut comm = [0; 16];
    comm[..name.len()].copy_from_slice(name.as_bytes());
    comm
}

pub(crate) fn address(last: u8) -> [u8; 16] {
    Ipv4Addr::new(10, 99, 0, last).to_ipv6_mapped().octets()
}

impl Pair {
    /// A transition of the client's socket.
    pub(crate) fn client(self, at_ms: u64, old: u8, new: u8) -> Event {
        let mut event = Event::new_zeroed();
        (event.time_ns, event.cookie) = (BEGIN + at_ms * MS, 10 * u64::from(self.number));
        (event.old_state, event.new_state, event.flags) = (old, new, flag::OWNED);
        (event.family, event.netns, event.cgroup) = (AF_INET, NETNS, self.cgroup);
        (event.local_addr, event.local_port) = (address(1), 40_000 + u16::from(self.number));
        (event.remote_addr, event.remote_port) = (address(self.number), self.port);
        (event.pid, event.tid, event.uid) = (700, 700, 1000);
        (event.comm, event.srtt_us, event.bytes_received) = (comm(self.comm), 950, 1234);
        if new == CLOSE {
            event.flags |= flag::DONE;
        }
        event
    }

    /// A client that connects and closes, from this time on.
    pub(crate) fn conversation(self, at_ms: u64) -> Vec<Event> {
        let steps = [
            (0, CLOSE, SYN_SENT),
            (1, SYN_SENT, ESTABLISHED),
            (400, ESTABLISHED, FIN_WAIT1),
            (401, FIN_WAIT1, FIN_WAIT2),
            (450, FIN_WAIT2, TIME_WAIT),
        ];
        steps.map(|(after, old, new)| self.client(at_ms + after, old, new)).into()
    }

    /// The same with a peer that closes first.
    pub(crate) fn closed_by_peer(self, at_ms: u64) -> Vec<Event> {
        let steps = [
            (0, CLOSE, SYN_SENT),
            (1, SYN_SENT, ESTABLISHED),
            (300, ESTABLISHED, CLOSE_WAIT),
            (400, CLOSE_WAIT, LAST_ACK),
            (401, LAST_ACK, CLOSE),
        ];
        steps.map(|(after, old, new)| self.client(at_ms + after, old, new)).into()
    }
}

pub(crate) fn header() -> Header {
    Header {
        tracer: "0.1.0".to_owned(),
        host: "canary-host".to_owned(),
        machine: "00112233445566778899aabbccddeeff".to_owned(),
        release: "6.12.0".to_owned(),
        arch: "x86_64".to_owned(),
        cpus: 4,
        booted_ns: WALL - i64::try_from(BEGIN).unwrap(),
        begun_ns: WALL,
        id: 7,
        kernel: KernelInfo { has_cookies: true, tick_ns: 4 * MS, ..KernelInfo::default() },
        has_stories: true,
        follows_timewait: true,
        ..Header::default()
    }
}

pub(crate) fn events(events: Vec<Event>) -> Piece {
    let until_ns = events.last().map_or(BEGIN, |event| event.time_ns);
    Piece::Fact(Fact::Events(Batch { events, until_ns }))
}

pub(crate) fn until(at_ms: u64) -> Piece {
    Piece::Fact(Fact::Events(Batch { events: Vec::new(), until_ns: BEGIN + at_ms * MS }))
}

pub(crate) fn clock() -> Piece {
    Piece::Fact(Fact::Clock(Anchor { monotonic_ns: BEGIN, wall_ns: WALL }))
}

pub(crate) fn end() -> Piece {
    Piece::Fact(Fact::End(SourceTotals {
        losses: Losses::NONE,
        filtered: Some(0),
        ..SourceTotals::default()
    }))
}

/// A recording of everything that can be in one, in several blocks.
pub(crate) fn pieces() -> Vec<Piece> {
    let listener = Event {
        remote_addr: [0; 16],
        remote_port: 0,
        local_port: 443,
        cookie: 5,
        ..Pair { number: 1, port: 0, comm: "nginx", cgroup: 42 }.client(0, LISTEN, LISTEN)
    };
    let open = Pair { number: 9, port: 80, comm: "old", cgroup: 42 }.client(0, ESTABLISHED, ESTABLISHED);
    let mut interfaces = Interfaces::default();
    let device = DeviceKey { netns: NETNS, netns_cookie: 0, ifindex: 2 };
    interfaces.insert(device, DeviceName::new("eth0").unwrap());
    let snapshot = Snapshot {
        during_ns: (BEGIN - 2 * MS, BEGIN - MS),
        sockets: vec![listener, open],
        holders: vec![listener, open],
        knows_all_holders: true,
        netns: [NETNS].into(),
        interfaces: interfaces.clone(),
        ..Snapshot::default()
    };
    let timewait = TimewaitSocket { cookie: 20, state: TIME_WAIT.into(), rest_jiffies: 100 };
    let sample = TimewaitSample {
        from_ns: BEGIN + 500 * MS,
        sockets: vec![timewait],
        netns: [NetnsId::new(NETNS, 0)].into(),
        ..TimewaitSample::default()
    };
    let held = Holder { cookie: 90, comm: comm("worker"), pid: 900, mptcp_token: 0 };
    let birth = Event { flags: 0, ..listener };
    let birth = Event {
        cookie: 30,
        time_ns: BEGIN + 700 * MS,
        old_state: LISTEN,
        new_state: SYN_RECV,
        remote_addr: address(3),
        remote_port: 50_000,
        bytes_received: 5,
        ..birth
    };
    let reset = Event { kind: kind::RESET_RECEIVED, ..WEB.client(900, ESTABLISHED, ESTABLISHED) };
    vec![
        Piece::Name(Name::Cgroups(
            "/sys/fs/cgroup".into(),
            [(42, "/system.slice/web.service".to_owned())].into(),
        )),
        Piece::Name(Name::Cgroup(42, Some("/system.slice/web.service".to_owned()))),
        Piece::Name(Name::Netns(NETNS, None)),
        clock(),
        Piece::Fact(Fact::CountersAtStart(CountersByNetns::default())),
        Piece::Fact(Fact::Snapshot(snapshot)),
        Piece::Fact(Fact::Interfaces(interfaces)),
        Piece::Fact(Fact::Gauges(Gauges { read_ns: BEGIN, ..Gauges::default() })),
        Piece::Fact(Fact::Ready(BEGIN)),
        Piece::End,
        events(WEB.conversation(10)),
        Piece::Fact(Fact::TimewaitSample(sample)),
        Piece::End,
        events(vec![birth]),
        Piece::Fact(Fact::Refresh { sockets: vec![open], is_part: false }),
        Piece::Fact(Fact::Holders(Holders::new((BEGIN + 750 * MS, BEGIN + 760 * MS), vec![held], true))),
        Piece::Fact(Fact::Losses(Losses::NONE, BEGIN + 800 * MS)),
        events(vec![reset]),
        Piece::End,
        Piece::Name(Name::CommandLine(700, Some("curl https://canary".to_owned()))),
        Piece::Name(Name::Cgroup(43, Some("/canary.slice".to_owned()))),
        events(DATABASE.closed_by_peer(1000)),
        Piece::End,
        Piece::Fact(Fact::Time(BEGIN + 2000 * MS)),
        until(2000),
        Piece::Fact(Fact::CountersAtEnd(CountersByNetns::default())),
        end(),
    ]
}

/// What a tracker knows after these events.
pub(crate) fn checkpoint(events: &[Event], at_ms: u64) -> Fact {
    let mut tracker = Tracker::new(true);
    for event in events {
        tracker.event(event, &mut |_| {});
    }
    Fact::Checkpoint(Box::new(tracker.checkpoint(BEGIN + at_ms * MS)))
}

/// The bytes of a recording, and where its blocks begin; the first two are the copies of the header.
pub(crate) fn blocks(encoder: &mut Encoder, header: &Header, pieces: &[Piece]) -> Vec<Vec<u8>> {
    let both = encoder.header(header);
    let mut blocks: Vec<Vec<u8>> = both.chunks(both.len() / 2).map(<[u8]>::to_vec).collect();
    for piece in pieces {
        match piece {
            Piece::Fact(fact) => encoder.fact(fact).unwrap(),
            Piece::Name(name) => encoder.name(name).unwrap(),
            Piece::End => blocks.extend(encoder.take().map(|block| block.pack().to_vec())),
        }
    }
    blocks.extend(std::iter::from_fn(|| encoder.take()).map(|block| block.pack().to_vec()));
    blocks
}

/// The bytes of a recording.
pub(crate) fn bytes(header: &Header, pieces: &[Piece]) -> Vec<u8> {
    blocks(&mut Encoder::default(), header, pieces).concat()
}
