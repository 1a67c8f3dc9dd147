//! The sort order of the list.

use tracer_common::state as number;

use crate::track::connection::Connection;

/// What the list is sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Stuck connections first, then those that wait for something, then open ones, then those that no process has
    /// any more, timewait sockets last; within each group the oldest first.
    #[default]
    Trouble,
    /// The longest time in the current state first.
    Age,
    /// The order in which a connection goes through its states.
    State,
    /// By the owner's name.
    Owner,
    /// The local port.
    Port,
    /// The remote address.
    Peer,
    /// The fullest receive queue first.
    RecvQueue,
    /// The fullest send queue first.
    SendQueue,
    /// The longest round-trip time first.
    Rtt,
    /// The most retransmitted segments first.
    Retransmits,
}

/// All orders with their names. The key `s` goes through them in this order.
const ORDERS: [(Sort, &str); 10] = [
    (Sort::Trouble, "trouble"),
    (Sort::Age, "age"),
    (Sort::State, "state"),
    (Sort::Owner, "owner"),
    (Sort::Port, "port"),
    (Sort::Peer, "peer"),
    (Sort::RecvQueue, "recv queue"),
    (Sort::SendQueue, "send queue"),
    (Sort::Rtt, "rtt"),
    (Sort::Retransmits, "retransmits"),
];

/// A connection's sort key; the smallest comes first.
pub type SortKey = (u128, u64);

impl Sort {
    fn index(self) -> usize {
        ORDERS.iter().position(|(sort, _)| *sort == self).unwrap_or_default()
    }

    /// The name of the order.
    #[must_use]
    pub fn name(self) -> &'static str {
        ORDERS[self.index()].1
    }

    /// The next order, or the previous one.
    #[must_use]
    pub fn next(self, forward: bool) -> Self {
        let step = if forward { 1 } else { ORDERS.len() - 1 };
        ORDERS[(self.index() + step) % ORDERS.len()].0
    }

    /// The sort key of a connection.
    #[must_use]
    pub fn place(self, connection: &Connection, is_stuck: bool) -> SortKey {
        let since = connection.in_state_from_ns();
        let falling = |number: u32| u128::from(u32::MAX - number);
        let first = match self {
            Self::Trouble => class(connection, is_stuck),
            Self::Age => 0,
            Self::State => u128::from(connection.state),
            Self::Owner if connection.owner.is_known() => u128::from_be_bytes(connection.owner.comm),
            Self::Owner => u128::MAX,
            Self::Port => u128::from(connection.tuple.local_port),
            Self::Peer => u128::from_be_bytes(connection.tuple.remote_addr),
            Self::RecvQueue => falling(connection.counters.recv_queue),
            Self::SendQueue => falling(connection.counters.send_queue),
            Self::Rtt => falling(connection.counters.srtt_us),
            Self::Retransmits => falling(connection.counters.retransmits),
        };
        (first, since)
    }
}

fn class(connection: &Connection, is_stuck: bool) -> u128 {
    // Nobody can do anything about a socket that no process has any more.
    let is_orphan = connection.is_timewait || connection.is_ended;
    match connection.state {
        number::TIME_WAIT => 4,
        _ if is_stuck && !is_orphan => 0,
        number::ESTABLISHED => 2,
        _ if is_orphan => 3,
        _ => 1,
    }
}
