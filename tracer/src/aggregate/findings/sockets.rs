//! What the present sockets show, in one pass over them.

use hashbrown::HashMap;
use tracer_common::state as number;

use crate::{
    aggregate::{
        findings::{
            kinds::{FindingKind, Thresholds},
            place::{Place, task},
            queues::Queues,
        },
        totals::{STATES, state_index},
    },
    facts::gauges::Gauges,
    tcp::{endpoint::Task, limits::Limits, netns::NetnsId},
    track::connection::{Connection, Role},
};

/// From which length on an accept queue can be full. One connection is often there for a moment.
const SHORTEST_QUEUE: u32 = 2;

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
    /// An owner, and whether others have sockets in it, too.
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
}

/// A pass over the sockets.
pub(super) struct Pass<'a> {
    pub(super) limits: &'a Limits,
    pub(super) thresholds: &'a Thresholds,
    pub(super) gauges: &'a Gauges,
    pub(super) now_ns: u64,
    pub(super) loss_gap_ns: u64,
    pub(super) queues: &'a mut Queues,
    pub(super) accept_queues: &'a mut Queues,
    /// The namespaces in which a destination may run out of ports, as the last pass has found.
    pub(super) crowded: &'a [NetnsId],
    groups: SocketGroups,
    /// The listeners with the connections that each has dropped so far.
    listeners: Vec<Dropping>,
    /// Sockets with an ephemeral port in each namespace.
    with_ephemeral_port: HashMap<NetnsId, u64>,
    /// The ports in use for each destination, in the crowded ones: local address, remote address, remote port.
    destinations: HashMap<(NetnsId, [u8; 16], [u8; 16], u16), Group>,
}

impl<'a> Pass<'a> {
    /// Begins a pass.
    pub(super) fn new(
        (limits, thresholds): (&'a Limits, &'a Thresholds),
        gauges: &'a Gauges,
        (now_ns, loss_gap_ns): (u64, u64),
        (queues, accept_queues): (&'a mut Queues, &'a mut Queues),
        crowded: &'a [NetnsId],
    ) -> Self {
        Self {
            limits,
            thresholds,
            gauges,
            now_ns,
            loss_gap_ns,
            queues,
            accept_queues,
            crowded,
            groups: SocketGroups::new(),
            listeners: Vec::new(),
            with_ephemeral_port: HashMap::new(),
            destinations: HashMap::new(),
        }
    }

    /// Takes a socket.
    pub(super) fn take(&mut self, connection: &Connection) {
        match connection.state {
            number::LISTEN => return self.listener(connection),
            number::SYN_RECV | number::NEW_SYN_RECV => self.half_open(connection),
            number::SYN_SENT => {
                self.stuck(connection, FindingKind::ConnectFailures, Place::target(connection));
            }
            number::CLOSE_WAIT => self.stuck(connection, FindingKind::CloseWait, Place::process(connection)),
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

    fn group(&mut self, connection: &Connection, kind: FindingKind, place: Place) -> &mut Group {
        let group = self.groups.entry((kind, place)).or_default();
        group.task = group.task.or_else(|| task(connection));
        group
    }

    /// Adds a socket that has been in its state for longer than the limit.
    fn stuck(&mut self, connection: &Connection, kind: FindingKind, place: Place) {
        let Some(stuck_ns) = connection.stuck_ns(self.limits, self.now_ns, self.loss_gap_ns) else {
            return;
        };
        let is_bound = connection.may_be_older();
        self.aged(connection, (kind, place), stuck_ns, is_bound);
    }

    fn aged(
        &mut self,
        connection: &Connection,
        key: (FindingKind, Place),
        age_ns: u64,
        is_bound: bool,
    ) -> &mut Group {
        let group = self.group(connection, key.0, key.1);
        group.count += 1;
        group.by_state[state_index(connection.state)] += 1;
        if age_ns > group.oldest_ns {
            (group.oldest_ns, group.is_bound) = (age_ns, is_bound);
        }
        group
    }

    fn half_open(&mut self, connection: &Connection) {
        let since_ns = connection.in_state_from_ns();
        let (age_ns, is_bound) = (self.now_ns.saturating_sub(since_ns), connection.may_be_older());
        let tuple = &connection.tuple;
        self.aged(
            connection,
            (FindingKind::HalfOpen, Place::Served(tuple.netns, tuple.local_port)),
            age_ns,
            is_bound,
        );
    }

    fn listener(&mut self, listener: &Connection) {
        let counters = listener.counters;
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
        // Two looks: any queue may be full for a moment.
        let unmoved_ns =
            self.accept_queues.unmoved_ns(listener.cookie, FindingKind::AcceptQueue, 0).unwrap_or_default();
        if unmoved_ns > 0 {
            let group = self.group(listener, FindingKind::AcceptQueue, Place::listener(listener));
            (group.count, group.limit) = (group.count + length, Some(limit));
            group.oldest_ns = group.oldest_ns.max(unmoved_ns);
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
            self.waiting(connection, kind, Place::target(connection), counters.bytes_acked, bytes);
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
            self.aged(connection, (kind, place), unmoved_ns, false).bytes += bytes;
        }
    }

    /// Counts the local port of a client.
    fn port(&mut self, connection: &Connection) {
        if matches!(connection.role, Role::Server | Role::Listener) {
            return;
        }
        let tuple = &connection.tuple;
        let netns = tuple.netns_id();
        let ports = self.gauges.of(netns).and_then(|gauges| gauges.ports.as_ref());
        if !ports.is_some_and(|ports| ports.contains(tuple.local_port)) {
            return;
        }
        *self.with_ephemeral_port.entry(netns).or_default() += 1;
        if self.crowded.contains(&netns) {
            let key = (netns, tuple.local_addr, tuple.remote_addr, tuple.remote_port);
            let destination = self.destinations.entry(key).or_default();
            destination.count += 1;
            destination.by_state[state_index(connection.state)] += 1;
            destination.task = destination.task.or_else(|| task(connection));
        }
    }

    /// Ends the pass.
    pub(super) fn end(mut self) -> PassResult {
        let available = |netns: NetnsId| {
            let ports = self.gauges.of(netns)?.ports.as_ref()?;
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
        let thresholds = self.thresholds;
        self.groups.retain(|(kind, _), group| match kind {
            FindingKind::HalfOpen | FindingKind::CloseWait | FindingKind::Unfinished => {
                thresholds.are_reached(*kind, group.count)
            }
            _ => thresholds.of(*kind).is_some(),
        });
        PassResult { groups: self.groups, listeners: self.listeners, crowded }
    }
}
