//! What the present sockets show, in one pass over them.

use hashbrown::HashMap;
use tracer_common::state as number;

use crate::{
    aggregate::{
        findings::{
            Moment,
            kinds::{FindingKind, Thresholds},
            place::{Place, task},
            queues::Queues,
        },
        totals::{STATES, state_index},
    },
    tcp::{endpoint::Task, limits::Limits, netns::NetnsId},
    track::connection::{Connection, Role},
};

/// From which length on an accept queue can be full. One connection is often there for a moment.
const SHORTEST_QUEUE: u32 = 2;

/// How long a connection is half open at least to count, in nanoseconds.
const HALF_OPEN_NS: u64 = 1_000_000_000;

/// How many groups, and how many destinations, there are at most. A scanner makes one for each of its targets.
const MOST_GROUPS: usize = 1 << 14;

/// Sockets of the same kind and place.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    /// How many there are; for a listener, the length of its queue.
    pub(super) count: u64,
    /// What the count is measured against, if there is such a limit.
    pub(super) limit: Option<u64>,
    /// How long the oldest has been there, in nanoseconds.
    pub(super) oldest_ns: u64,
    /// It may be older.
    pub(super) is_bound: bool,
    /// Bytes that wait.
    pub(super) bytes: u64,
    /// How many there are in each state.
    pub(super) by_state: [u32; STATES],
    /// One of the owners.
    pub(super) task: Option<Task>,
}

/// The groups that a pass over the sockets makes.
pub(super) type SocketGroups = HashMap<(FindingKind, Place), Group>;

/// A listener, with what it has dropped.
pub(super) struct Dropping {
    /// Its cookie.
    pub(super) cookie: u64,
    /// How many connections it has dropped so far.
    pub(super) drops: u32,
    /// Its address and port.
    pub(super) place: Place,
    /// Its owner.
    pub(super) task: Option<Task>,
}

/// What a pass finds.
pub(super) struct PassResult {
    /// The groups that reach their thresholds.
    pub(super) groups: SocketGroups,
    /// The listeners.
    pub(super) listeners: Vec<Dropping>,
    /// The namespaces in which a destination may run out of ports.
    pub(super) crowded: Vec<NetnsId>,
    /// Listeners whose accept queue is full, and since when, by cookie.
    pub(super) full: HashMap<u64, u64>,
}

/// A pass over the sockets.
pub(super) struct Pass<'a> {
    limits: &'a Limits,
    thresholds: &'a Thresholds,
    moment: &'a Moment<'a>,
    queues: &'a mut Queues,
    /// Listeners whose accept queue was full at the last pass, and since when, by cookie.
    full_before: &'a HashMap<u64, u64>,
    full: HashMap<u64, u64>,
    /// The namespaces in which a destination may run out of ports, as the last pass has found.
    crowded: &'a [NetnsId],
    groups: SocketGroups,
    /// The listeners with the connections that each has dropped so far.
    listeners: Vec<Dropping>,
    /// Half-open connections as listeners count them. Single ones are known only where they are hooked.
    half_open: HashMap<Place, Group>,
    /// Sockets with an ephemeral port in each namespace.
    with_ephemeral_port: HashMap<NetnsId, u64>,
    /// The ports in use for each destination, in the crowded ones: local address, remote address, remote port.
    destinations: HashMap<(NetnsId, [u8; 16], [u8; 16], u16), Group>,
}

impl<'a> Pass<'a> {
    /// Begins a pass.
    pub(super) fn new(
        (limits, thresholds): (&'a Limits, &'a Thresholds),
        moment: &'a Moment<'a>,
        (queues, full_before): (&'a mut Queues, &'a HashMap<u64, u64>),
        crowded: &'a [NetnsId],
    ) -> Self {
        Self {
            limits,
            thresholds,
            moment,
            queues,
            full_before,
            full: HashMap::new(),
            crowded,
            groups: SocketGroups::new(),
            listeners: Vec::new(),
            half_open: HashMap::new(),
            with_ephemeral_port: HashMap::new(),
            destinations: HashMap::new(),
        }
    }

    /// Takes a socket.
    pub(super) fn take(&mut self, connection: &Connection) {
        match connection.state {
            number::LISTEN => return self.listener(connection),
            number::SYN_RECV | number::NEW_SYN_RECV => self.half_open(connection),
            number::SYN_SENT => self.connecting(connection),
            number::CLOSE_WAIT => {
                self.stuck(connection, FindingKind::CloseWait, Place::process(connection));
            }
            number::FIN_WAIT1 | number::FIN_WAIT2 | number::CLOSING | number::LAST_ACK => {
                self.stuck(connection, FindingKind::Unfinished, Place::process(connection));
            }
            _ => {}
        }
        self.port(connection);
        if !connection.is_timewait && !connection.is_bare() {
            self.queues(connection);
        }
    }

    /// The group of a socket; `None` if there are too many.
    fn group(&mut self, connection: &Connection, kind: FindingKind, place: Place) -> Option<&mut Group> {
        if self.groups.len() >= MOST_GROUPS && !self.groups.contains_key(&(kind, place)) {
            return None;
        }
        let group = self.groups.entry((kind, place)).or_default();
        group.task = group.task.or_else(|| task(connection));
        Some(group)
    }

    /// Adds a socket that has been in its state for longer than the limit.
    /// Returns whether it is one.
    fn stuck(&mut self, connection: &Connection, kind: FindingKind, place: Place) -> bool {
        let loss_gap_ns = self.moment.tracker.loss_gap_ns();
        let Some(stuck_ns) = connection.stuck_ns(self.limits, self.moment.now_ns, loss_gap_ns) else {
            return false;
        };
        let is_bound = connection.may_be_older();
        self.aged(connection, (kind, place), stuck_ns, is_bound);
        true
    }

    /// A connect without an answer: it has failed if it lasts for longer than the limit, else it may be slow. One that has not
    /// sent its SYN yet waits for nobody.
    fn connecting(&mut self, connection: &Connection) {
        let place = Place::target(connection);
        if self.stuck(connection, FindingKind::ConnectFailures, place) || connection.needs_a_look() {
            return;
        }
        let waits_ns = connection.waits_ns(self.moment.now_ns, self.moment.tracker.loss_gap_ns());
        if self.thresholds.are_reached(FindingKind::SlowHandshakes, waits_ns) {
            let is_bound = connection.may_be_older();
            self.aged(connection, (FindingKind::SlowHandshakes, place), waits_ns, is_bound);
        }
    }

    fn aged(
        &mut self,
        connection: &Connection,
        key: (FindingKind, Place),
        age_ns: u64,
        is_bound: bool,
    ) -> Option<&mut Group> {
        let group = self.group(connection, key.0, key.1)?;
        group.count += 1;
        group.by_state[state_index(connection.state)] += 1;
        if age_ns > group.oldest_ns {
            (group.oldest_ns, group.is_bound) = (age_ns, is_bound);
        }
        Some(group)
    }

    fn half_open(&mut self, connection: &Connection) {
        let since_ns = connection.in_state_from_ns();
        let (age_ns, is_bound) = (self.moment.now_ns.saturating_sub(since_ns), connection.may_be_older());
        // A handshake takes a round trip.
        if age_ns < HALF_OPEN_NS {
            return;
        }
        let tuple = &connection.tuple;
        self.aged(
            connection,
            (FindingKind::HalfOpen, Place::Served(tuple.netns, tuple.local_port)),
            age_ns,
            is_bound,
        );
    }

    fn listener(&mut self, listener: &Connection) {
        let (counters, tuple) = (listener.counters, &listener.tuple);
        if listener.half_open() > 0 {
            let place = Place::Served(tuple.netns, tuple.local_port);
            let group = self.half_open.entry(place).or_default();
            group.count += u64::from(listener.half_open());
            group.task = group.task.or_else(|| task(listener));
        }
        self.listeners.push(Dropping {
            cookie: listener.cookie,
            drops: listener.drops,
            place: Place::listener(listener),
            task: task(listener),
        });
        let (length, limit) = (u64::from(counters.recv_queue), u64::from(counters.send_queue).max(1));
        let is_full = counters.recv_queue >= SHORTEST_QUEUE
            && self.thresholds.are_reached(FindingKind::AcceptQueue, length * 100 / limit);
        if !is_full {
            return;
        }
        // Two readings: any queue may be full for a moment.
        let read_ns = self.moment.tracker.queue_read_ns(listener);
        let since_ns = self.full_before.get(&listener.cookie).copied().unwrap_or(read_ns);
        self.full.insert(listener.cookie, since_ns);
        let full_ns = read_ns.saturating_sub(since_ns);
        if full_ns > 0
            && let Some(group) = self.group(listener, FindingKind::AcceptQueue, Place::listener(listener))
        {
            (group.count, group.limit) = (group.count + length, Some(limit));
            (group.oldest_ns, group.is_bound) = (group.oldest_ns.max(full_ns), true);
        }
    }

    /// Data that waits in a queue of a connection.
    fn queues(&mut self, connection: &Connection) {
        let counters = connection.counters;
        if counters.recv_queue > 0 && connection.state == number::ESTABLISHED {
            let position = counters.received.wrapping_sub(u64::from(counters.recv_queue));
            let bytes = u64::from(counters.recv_queue);
            self.waiting(connection, FindingKind::Unread, Place::process(connection), position, bytes);
        }
        let may_send = matches!(
            connection.state,
            number::ESTABLISHED | number::CLOSE_WAIT | number::FIN_WAIT1 | number::LAST_ACK | number::CLOSING
        );
        if counters.send_queue > 0 && may_send {
            let kind = if connection.is_window_zero() {
                FindingKind::ZeroWindow
            } else if connection.backoff > 0 {
                FindingKind::Stalled
            } else {
                return;
            };
            let bytes = u64::from(counters.send_queue);
            self.waiting(connection, kind, Place::peer(connection), counters.bytes_acked, bytes);
        }
    }

    fn waiting(
        &mut self,
        connection: &Connection,
        kind: FindingKind,
        place: Place,
        position: u64,
        bytes: u64,
    ) {
        let Some(unmoved_ns) = self.queues.unmoved_ns(connection.cookie, kind, position) else {
            return;
        };
        if self.thresholds.are_reached(kind, unmoved_ns) {
            // It may have stood there before the first reading.
            if let Some(group) = self.aged(connection, (kind, place), unmoved_ns, true) {
                group.bytes += bytes;
            }
        }
    }

    /// Counts the local port of a client.
    fn port(&mut self, connection: &Connection) {
        if matches!(connection.role, Role::Server | Role::Listener) {
            return;
        }
        let tuple = &connection.tuple;
        let netns = tuple.netns_id();
        let ports = self.moment.gauges.of(netns).and_then(|gauges| gauges.ports.as_ref());
        if !ports.is_some_and(|ports| ports.contains(tuple.local_port)) {
            return;
        }
        *self.with_ephemeral_port.entry(netns).or_default() += 1;
        if self.crowded.contains(&netns) {
            let key = (netns, tuple.local_addr, tuple.remote_addr, tuple.remote_port);
            if self.destinations.len() >= MOST_GROUPS && !self.destinations.contains_key(&key) {
                return;
            }
            let destination = self.destinations.entry(key).or_default();
            destination.count += 1;
            destination.task = destination.task.or_else(|| task(connection));
        }
    }

    /// Ends the pass.
    pub(super) fn end(mut self) -> PassResult {
        let available = |netns: NetnsId| {
            let ports = self.moment.gauges.of(netns)?.ports.as_ref()?;
            Some(ports.available().max(1))
        };
        let is_crowded = |netns: NetnsId, count: u64| {
            available(netns).is_some_and(|all| {
                self.thresholds.are_reached(FindingKind::EphemeralPorts, count * 100 / all)
            })
        };
        let crowded = self.with_ephemeral_port.iter().filter(|(netns, count)| is_crowded(**netns, **count));
        let crowded = crowded.map(|(netns, _)| *netns).collect();
        for ((netns, _, remote, port), mut group) in std::mem::take(&mut self.destinations) {
            if is_crowded(netns, group.count) {
                group.limit = available(netns);
                let place = Place::Target(netns.inum, remote, port);
                let worst = self.groups.entry((FindingKind::EphemeralPorts, place)).or_default();
                if worst.count < group.count {
                    *worst = group;
                }
            }
        }
        for (place, counted) in std::mem::take(&mut self.half_open) {
            let single = self.groups.entry((FindingKind::HalfOpen, place)).or_default();
            if single.count < counted.count {
                *single = Group { by_state: single.by_state, ..counted };
            }
        }
        let thresholds = self.thresholds;
        self.groups.retain(|(kind, _), group| match kind {
            FindingKind::HalfOpen | FindingKind::CloseWait | FindingKind::Unfinished => {
                thresholds.are_reached(*kind, group.count)
            }
            _ => thresholds.of(*kind).is_some(),
        });
        PassResult { groups: self.groups, listeners: self.listeners, crowded, full: self.full }
    }
}
