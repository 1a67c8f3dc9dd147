//! Groups of connections: a row for each process, service, peer, cgroup, namespace or state.

use hashbrown::HashMap;
use tracer_common::event::COMM_LEN;

use crate::{
    aggregate::{
        By,
        totals::{RankingKey, begins_connection, ranking_key},
    },
    facts::known_names::KnownNames,
    tcp::reason::Reason,
    track::{Transition, connection::Connection},
    view::{input::Input, top::cursor::Cursor},
};

/// How many groups are counted at most.
const MOST: usize = 1 << 14;

/// For how long a retransmission counts as going on, in nanoseconds.
const RECENTLY_NS: u64 = 10_000_000_000;

/// How much an average is moved by the last second: a tenth.
const SMOOTHING: u64 = 10;

/// What the rows are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grouping {
    /// Processes as soon as there are more connections than rows.
    #[default]
    Auto,
    /// Connections.
    Off,
    /// Groups.
    By(By),
}

/// The order in which the key goes through them.
const GROUPINGS: [Grouping; 9] = [
    Grouping::By(By::Pid),
    Grouping::By(By::Process),
    Grouping::By(By::Service),
    Grouping::By(By::Peer),
    Grouping::By(By::Cgroup),
    Grouping::By(By::Container),
    Grouping::By(By::Netns),
    Grouping::By(By::State),
    Grouping::Off,
];

impl Grouping {
    /// The next one after `shown`.
    #[must_use]
    pub fn after(shown: Option<By>) -> Self {
        let now = shown.map_or(Self::Off, Self::By);
        let index = GROUPINGS.iter().position(|grouping| *grouping == now).unwrap_or_default();
        GROUPINGS[(index + 1) % GROUPINGS.len()]
    }
}

/// Events of a group, second by second.
#[derive(Clone, Copy, Debug, Default)]
struct Flow {
    /// Connections that began and that failed in the current second.
    now: [u64; 2],
    /// The same in the last seconds, averaged, in thousandths per second.
    average: [u64; 2],
    /// Bytes of connections that have ended.
    ended_bytes: u64,
    /// How the last one ended.
    last_end: Option<Reason>,
}

/// A row.
#[derive(Clone, Copy, Debug)]
pub struct GroupRow {
    /// What its connections have in common.
    pub key: RankingKey,
    /// The name of a process in it.
    pub comm: Option<[u8; COMM_LEN]>,
    /// How many sockets there are.
    pub count: u64,
    /// How many of them are stuck.
    pub stuck: u64,
    /// How long the one has been in its state that has been there longest, in nanoseconds; of the stuck ones if there
    /// are any.
    pub oldest_ns: u64,
    /// It may have been there for longer.
    pub is_bound: bool,
    /// How many send data again.
    pub retransmitting: u64,
    /// Connections that begin, and that fail, in thousandths per second.
    pub begun: u64,
    /// The same for those that fail.
    pub failed: u64,
    /// How the last of its connections ended, if one has since the rows are groups.
    pub last_end: Option<Reason>,
    /// Bytes sent and received by its connections so far.
    bytes: u64,
    /// Bytes per second; `None` before there are two counts.
    pub bytes_per_second: Option<u64>,
}

/// The groups, and the cursor in them.
#[derive(Debug, Default)]
pub struct Groups {
    /// All groups in order.
    pub rows: Vec<GroupRow>,
    /// Where the cursor is.
    pub cursor: Cursor,
    /// What is chosen.
    pub grouping: Grouping,
    /// What the rows are; `None` for connections.
    shown: Option<By>,
    flows: HashMap<RankingKey, Flow>,
    /// Bytes of each group at the last look, and when that was.
    bytes: HashMap<RankingKey, (u64, Option<u64>)>,
    looked_ns: u64,
    held: Option<RankingKey>,
}

impl Groups {
    /// What the rows are; `None` for connections.
    #[must_use]
    pub fn shown(&self) -> Option<By> {
        self.shown
    }

    /// Chooses what the rows are.
    pub fn choose(&mut self, grouping: Grouping, connections: usize) {
        self.grouping = grouping;
        self.decide(connections);
        (self.cursor.at, self.held) = (0, None);
    }

    /// Decides what the rows are if there are so many connections.
    pub fn decide(&mut self, connections: usize) {
        let by = match self.grouping {
            Grouping::Off => None,
            Grouping::By(by) => Some(by),
            // The size of the screen is not known yet.
            Grouping::Auto if self.cursor.height == 0 => None,
            // Not back and forth at every connection.
            Grouping::Auto if self.shown.is_some() => {
                (connections > self.cursor.height / 2).then_some(By::Pid)
            }
            Grouping::Auto => (connections > self.cursor.height).then_some(By::Pid),
        };
        if by != self.shown {
            self.shown = by;
            self.forget();
            self.rows = Vec::new();
        }
    }

    /// Forgets what has been measured: other connections are shown from now on.
    pub fn forget(&mut self) {
        (self.flows, self.bytes, self.looked_ns) = (HashMap::new(), HashMap::new(), 0);
    }

    /// Takes a transition of a connection that is shown.
    pub fn note(&mut self, transition: &Transition, names: &KnownNames) {
        let Some(by) = self.shown else { return };
        let connection = &transition.connection;
        let has_begun = begins_connection(transition.old_state, transition.new_state);
        let has_failed = transition.reason.is_some_and(|reason| !reason.is_orderly());
        if !has_begun && transition.reason.is_none() {
            return;
        }
        let key = ranking_key(by, connection, names);
        if self.flows.len() >= MOST && !self.flows.contains_key(&key) {
            return;
        }
        let flow = self.flows.entry(key).or_default();
        flow.now[0] += u64::from(has_begun);
        flow.now[1] += u64::from(has_failed);
        if transition.reason.is_some() {
            flow.ended_bytes += bytes(connection);
            flow.last_end = transition.reason;
        }
    }

    /// Ends a second.
    pub fn tick(&mut self) {
        for flow in self.flows.values_mut() {
            for (average, now) in flow.average.iter_mut().zip(std::mem::take(&mut flow.now)) {
                *average = (*average * (SMOOTHING - 1) + now * 1000) / SMOOTHING;
            }
        }
        let there: hashbrown::HashSet<_> = self.rows.iter().map(|row| row.key).collect();
        self.flows.retain(|key, flow| there.contains(key) || flow.average != [0; 2] || flow.now != [0; 2]);
    }

    /// Adds a socket. `stuck_ns`: how long it has been stuck, if it is.
    pub fn add(
        &mut self,
        table: &mut GroupTable,
        connection: &Connection,
        stuck_ns: Option<u64>,
        (now_ns, names): (u64, &KnownNames),
    ) {
        let Some(by) = self.shown else { return };
        let key = ranking_key(by, connection, names);
        if table.groups.len() >= MOST && !table.groups.contains_key(&key) {
            return;
        }
        let group = table.groups.entry(key).or_insert_with(|| GroupRow::empty(key));
        let age_ns = stuck_ns.unwrap_or_else(|| now_ns.saturating_sub(connection.in_state_from_ns()));
        let is_first_stuck = stuck_ns.is_some() && group.stuck == 0;
        if is_first_stuck || (stuck_ns.is_some() || group.stuck == 0) && age_ns > group.oldest_ns {
            (group.oldest_ns, group.is_bound) = (age_ns, connection.may_be_older());
        }
        group.count += 1;
        group.stuck += u64::from(stuck_ns.is_some());
        let is_recent = now_ns.saturating_sub(connection.retransmitted_ns) < RECENTLY_NS;
        group.retransmitting +=
            u64::from(connection.backoff > 0 || connection.retransmitted_ns > 0 && is_recent);
        if !connection.is_ended {
            group.bytes += bytes(connection);
        }
        if connection.owner.is_known() {
            group.comm = group.comm.or(Some(connection.owner.comm));
        }
    }

    /// Sorts the groups: those in trouble first.
    pub fn arrange(&mut self, table: GroupTable, is_reversed: bool, looked_ns: u64) {
        let mut rows: Vec<GroupRow> = table.groups.into_values().collect();
        for row in &mut rows {
            if let Some(flow) = self.flows.get(&row.key) {
                [row.begun, row.failed] = flow.average;
                row.bytes += flow.ended_bytes;
                row.last_end = flow.last_end;
            }
        }
        self.measure(&mut rows, looked_ns);
        rows.sort_unstable_by_key(|row| {
            (u64::MAX - row.stuck, u64::MAX - row.failed, u64::MAX - row.count, row.key)
        });
        if is_reversed {
            rows.reverse();
        }
        self.rows = rows;
        self.cursor.set_total(self.rows.len());
        if let Some(held) = self.held
            && let Some(row) = self.rows.iter().position(|row| row.key == held)
        {
            self.cursor.at = row;
            self.cursor.set_total(self.rows.len());
        }
        self.held = self.at_cursor().filter(|_| self.cursor.at > 0).map(|group| group.key);
    }

    /// Bytes per second between the last two looks at the sockets.
    fn measure(&mut self, rows: &mut [GroupRow], looked_ns: u64) {
        if looked_ns > self.looked_ns {
            let passed_ns = looked_ns - self.looked_ns;
            let is_first = self.looked_ns == 0;
            let rate = |before: u64, now: u64| {
                let bytes = u128::from(now.saturating_sub(before)) * 1_000_000_000 / u128::from(passed_ns);
                u64::try_from(bytes).unwrap_or(u64::MAX)
            };
            let measured = rows.iter().map(|row| {
                let before = self.bytes.get(&row.key).filter(|_| !is_first);
                (row.key, (row.bytes, before.map(|(before, _)| rate(*before, row.bytes))))
            });
            self.bytes = measured.collect();
            self.looked_ns = looked_ns;
        }
        for row in rows {
            row.bytes_per_second = self.bytes.get(&row.key).and_then(|(_, rate)| *rate);
        }
    }

    /// The selected group.
    #[must_use]
    pub fn at_cursor(&self) -> Option<&GroupRow> {
        self.rows.get(self.cursor.at)
    }

    /// Handles keys that move the cursor.
    pub fn input(&mut self, input: Input) {
        if self.cursor.input(input) {
            self.held = None;
        }
    }
}

/// Groups that are being counted.
#[derive(Debug, Default)]
pub struct GroupTable {
    groups: HashMap<RankingKey, GroupRow>,
}

impl GroupRow {
    fn empty(key: RankingKey) -> Self {
        Self {
            key,
            comm: None,
            count: 0,
            stuck: 0,
            oldest_ns: 0,
            is_bound: false,
            retransmitting: 0,
            begun: 0,
            failed: 0,
            last_end: None,
            bytes: 0,
            bytes_per_second: None,
        }
    }
}

fn bytes(connection: &Connection) -> u64 {
    connection.counters.bytes_acked.saturating_add(connection.counters.received)
}
