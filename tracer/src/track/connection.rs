//! What is remembered of a socket while it lives.

use tracer_common::{
    Event,
    event::{REASON_UNTOLD, flag},
    state as number,
};

use crate::{
    tcp::{
        endpoint::Tuple,
        reset::Reset,
        state::{LIVED_STATES, State},
    },
    track::owner::Owner,
};

/// Which part a socket plays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// Its birth was not seen and nothing tells.
    #[default]
    Unknown,
    /// It connected.
    Client,
    /// It came out of a listener.
    Server,
    /// It listens.
    Listener,
}

impl Role {
    /// As the interface spells it.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Unknown => None,
            Self::Client => Some("client"),
            Self::Server => Some("server"),
            Self::Listener => Some("listener"),
        }
    }
}

/// Who sent the first FIN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum FirstFin {
    /// Nobody yet.
    #[default]
    Nobody,
    /// This side.
    Local,
    /// The peer.
    Remote,
    /// Both at once.
    Both,
}

/// The socket's counters, as the kernel keeps them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes acknowledged.
    pub bytes_acked: u64,
    /// Bytes of data received in order: the kernel counts the peer's FIN as a byte more.
    pub received: u64,
    /// Smoothed round-trip time in microseconds.
    pub srtt_us: u32,
    /// Retransmitted segments.
    pub retransmits: u32,
    /// Bytes received and not read yet; a listener's accept queue.
    pub recv_queue: u32,
    /// Bytes written and not acknowledged yet; the accept queue's limit.
    pub send_queue: u32,
}

impl Counters {
    /// The event's, or the socket's.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        Self {
            bytes_acked: event.bytes_acked,
            received: event.bytes_received.saturating_sub(u64::from(event.flags & flag::DONE != 0)),
            srtt_us: event.srtt_us,
            retransmits: event.retransmits,
            recv_queue: event.recv_queue,
            send_queue: event.send_queue,
        }
    }
}

impl Counters {
    /// Bytes of data that the peer has acknowledged: the kernel counts a client's SYN, and a FIN, as a
    /// byte each. `state` is the one in which it counted so.
    #[must_use]
    pub fn sent(&self, role: Role, state: u8) -> u64 {
        let fin_is_sent = matches!(
            state,
            number::FIN_WAIT1 | number::FIN_WAIT2 | number::CLOSING | number::LAST_ACK | number::TIME_WAIT
        );
        let fin_is_acked = fin_is_sent && self.send_queue == 0;
        let others = u64::from(role == Role::Client) + u64::from(fin_is_acked);
        self.bytes_acked.saturating_sub(others)
    }
}

/// Its birth was seen.
const BORN: u8 = 1;
/// When it entered its state is known, not only when it was found there.
const SINCE_KNOWN: u8 = 2;
/// See [`Connection::is_bare`].
const BARE: u8 = 4;

/// A socket's story so far. There may be a million of them.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    /// Identity.
    pub cookie: u64,
    /// When it entered its state; or when it was found there, without [`SINCE_KNOWN`].
    since_ns: u64,
    /// When it was born; or, if that is not known, when it was first seen.
    seen_ns: u64,
    /// When it was last heard of.
    pub last_ns: u64,
    /// When it last sent a segment again; 0 if that was not seen.
    pub retransmitted_ns: u64,
    /// Its cgroup.
    pub cgroup: u64,
    /// What its socket counted when it was last heard of.
    pub counters: Counters,
    /// Nanoseconds spent in each of [`LIVED_STATES`] that was left.
    spent_ns: [u64; LIVED_STATES.len()],
    /// Its ends.
    pub tuple: Tuple,
    /// Its user.
    pub uid: u32,
    /// Whose it is.
    pub owner: Owner,
    /// Length of the handshake in microseconds; 0 where not measured.
    pub handshake_us: u32,
    /// State.
    pub state: u8,
    /// Address family of the socket.
    pub family: u8,
    /// Part that it plays.
    pub role: Role,
    /// Who closed first.
    pub first_fin: FirstFin,
    /// [`BORN`], [`SINCE_KNOWN`], [`BARE`].
    marks: u8,
    /// Bit `i`: it was in `LIVED_STATES[i]` for a time that is not known.
    unknown: u8,
    /// The kernel has put a timewait socket in its place.
    pub is_timewait: bool,
    /// Its end has been told.
    pub is_ended: bool,
    /// The state in which it was told to be stuck; 0 if it was not.
    pub told_stuck: u8,
    /// Which way its last RST went.
    pub reset: Reset,
    /// The state in which it was when that went.
    pub reset_in: u8,
    /// Why it was sent: see [`crate::tcp::reset::ResetReasons`].
    pub reset_reason: u8,
}

// With its share of the table's index a record has to stay below 250 bytes.
const _: () = assert!(size_of::<Connection>() <= 232);

impl Default for Connection {
    fn default() -> Self {
        Self {
            cookie: 0,
            since_ns: 0,
            marks: 0,
            seen_ns: 0,
            last_ns: 0,
            retransmitted_ns: 0,
            cgroup: 0,
            counters: Counters::default(),
            spent_ns: [0; LIVED_STATES.len()],
            tuple: Tuple::default(),
            uid: 0,
            owner: Owner::default(),
            handshake_us: 0,
            state: number::CLOSE,
            family: 0,
            role: Role::Unknown,
            first_fin: FirstFin::Nobody,
            unknown: 0,
            is_timewait: false,
            is_ended: false,
            told_stuck: 0,
            reset: Reset::None,
            reset_in: 0,
            reset_reason: REASON_UNTOLD,
        }
    }
}

impl Connection {
    /// A socket that `event` tells of for the first time.
    #[must_use]
    pub fn first_seen(event: &Event) -> Self {
        let mut connection = Self {
            marks: if event.flags & flag::BARE != 0 { BARE } else { 0 },
            cookie: event.cookie,
            since_ns: event.time_ns,
            seen_ns: event.time_ns,
            last_ns: event.time_ns,
            state: event.old_state,
            family: event.family,
            ..Self::default()
        };
        connection.renew(event);
        connection
    }

    /// A socket that begins with `event`.
    #[must_use]
    pub fn born(event: &Event, role: Role) -> Self {
        let mut connection = Self { role, ..Self::first_seen(event) };
        connection.mark(BORN, true);
        connection
    }

    /// Takes over what may have changed.
    pub fn renew(&mut self, event: &Event) {
        self.tuple = Tuple::of(event);
        self.uid = event.uid;
        self.cgroup = event.cgroup;
        self.counters = Counters::of(event);
        self.mark(BARE, event.flags & flag::BARE != 0);
    }

    fn mark(&mut self, mark: u8, is_so: bool) {
        self.marks = if is_so { self.marks | mark } else { self.marks & !mark };
    }

    fn has(&self, mark: u8) -> bool {
        self.marks & mark != 0
    }

    /// Whether nothing but its ends is known of it: there is no socket, or was none yet.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.has(BARE)
    }

    /// It began as `before`.
    pub(super) fn begin_with(&mut self, before: &Self) {
        self.seen_ns = before.seen_ns;
        self.mark(BORN, before.has(BORN));
        self.retransmitted_ns = before.retransmitted_ns;
    }

    /// When it was born, if that was seen.
    #[must_use]
    pub fn born_ns(&self) -> Option<u64> {
        self.has(BORN).then_some(self.seen_ns)
    }

    /// When it was first seen.
    #[must_use]
    pub fn seen_ns(&self) -> u64 {
        self.seen_ns
    }

    /// When it entered its state, if that is known.
    #[must_use]
    pub fn since_ns(&self) -> Option<u64> {
        self.has(SINCE_KNOWN).then_some(self.since_ns)
    }

    /// From when on it has been in its state, at least.
    #[must_use]
    pub fn in_state_from_ns(&self) -> u64 {
        self.since_ns
    }

    /// It entered its state at this time.
    pub fn set_since(&mut self, since_ns: u64) {
        self.since_ns = since_ns;
        self.mark(SINCE_KNOWN, true);
    }

    /// It was found in its state at this time; how long it had been there is not known.
    pub fn set_found(&mut self, found_ns: u64) {
        self.since_ns = found_ns;
        self.mark(SINCE_KNOWN, false);
    }

    /// When it entered its state is not known any more.
    pub fn forget_since(&mut self) {
        self.mark(SINCE_KNOWN, false);
    }

    /// Leaves its state at `now_ns`; gives how long it was there, if that is known.
    pub fn leave(&mut self, now_ns: u64) -> Option<u64> {
        let spent_ns = self.since_ns().and_then(|since_ns| now_ns.checked_sub(since_ns));
        self.was_in(self.state, spent_ns);
        spent_ns
    }

    /// It was in `state`, for so long if that is known.
    pub fn was_in(&mut self, state: u8, spent_ns: Option<u64>) {
        if let Some(index) = LIVED_STATES.iter().position(|lived| *lived == state) {
            match spent_ns {
                Some(ns) => self.spent_ns[index] = self.spent_ns[index].saturating_add(ns),
                None => self.unknown |= 1 << index,
            }
        }
    }

    /// Takes back the last [`Connection::leave`] of `state`: it goes on.
    pub fn take_back_leave(&mut self, state: u8, spent_ns: Option<u64>) {
        if let Some(index) = LIVED_STATES.iter().position(|lived| *lived == state) {
            self.spent_ns[index] = self.spent_ns[index].saturating_sub(spent_ns.unwrap_or_default());
        }
    }

    /// How long it was in `LIVED_STATES[index]`; `None` if that is not known, or it never was.
    #[must_use]
    pub fn spent_ns(&self, index: usize) -> Option<u64> {
        let is_known = self.unknown & (1 << index) == 0;
        (is_known && self.spent_ns[index] > 0).then(|| self.spent_ns[index])
    }

    /// Each of [`LIVED_STATES`] that it was in for a known time, and how long.
    pub fn lived(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let spent = LIVED_STATES.iter().enumerate();
        spent.filter_map(|(index, state)| Some((State::from_kernel(*state).name()?, self.spent_ns(index)?)))
    }

    /// Whether it has left `LIVED_STATES[index]`, and after how long; `Some(None)` if that is not
    /// known.
    #[must_use]
    pub fn stay_in(&self, index: usize) -> Option<Option<u64>> {
        let has_been = self.unknown & (1 << index) != 0 || self.spent_ns[index] > 0;
        has_been.then(|| self.spent_ns(index))
    }

    /// Whether it has sent an RST while it was in FIN_WAIT2. An orphan that nobody may hand over to a
    /// timewait socket, because its last ACK came while its `close` was at work, ends so when its time
    /// is over (`tcp_keepalive_timer`).
    #[must_use]
    pub fn has_reset_in_fin_wait2(&self) -> bool {
        self.reset == Reset::Sent && self.reset_in == number::FIN_WAIT2
    }
}
