//! Counts of events, made the way the kernel counts in `/proc/net/snmp`, to be compared with those. What is
//! counted where: `docs/counters.md`.

use std::ops::RangeInclusive;

use hashbrown::HashMap;
use tracer_common::{Event, event::flag, state as number};

use crate::{
    facts::counts::{Bounds, KernelCounts, Reading, TcpCounts},
    track::table::cookie::CookieMap,
};

/// How long after the event the kernel counts at most, in nanoseconds: a client only when its SYN is sent.
pub const LEAD_NS: u64 = 1_000_000;

/// `sk_shutdown` of a socket that its process has closed.
const BOTH_SIDES: u8 = 3;

/// What events add to the kernel's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Added {
    counts: TcpCounts,
    /// Of the opened ones, those that never sent a SYN, which the kernel does not count.
    unsent: u64,
    /// Of the opened ones, those whose SYN may have been refused on this host, which it does not count either.
    doubtful: u64,
}

impl Added {
    fn of(event: &Event) -> Self {
        let is = |old: u8, new: u8| event.old_state == old && event.new_state == new;
        let has = |bit: u16| event.flags & bit != 0;
        let is_end = event.new_state == number::CLOSE;
        let was_new = matches!(event.old_state, number::SYN_SENT | number::SYN_RECV);
        let has_lived = matches!(event.old_state, number::ESTABLISHED | number::CLOSE_WAIT);
        // `tcp_done` counts failed attempts. It leaves an error, or the socket is an orphan already.
        // `tcp_close`, `tcp_disconnect` (also of a listener's children) and `inet_ehash_nolisten` set the state
        // without it.
        let is_done = event.error != 0 || has(flag::DEAD) && !has(flag::OWNED);
        // A repaired socket is established without a SYN (TCP_REPAIR).
        let is_answered = is(number::SYN_SENT, number::CLOSE) || is(number::SYN_SENT, number::ESTABLISHED);
        // `tcp_connect` does not count a SYN that the host's own rules refuse; `connect(AF_UNSPEC)` looks the
        // same.
        let may_be_refused = is(number::SYN_SENT, number::CLOSE)
            && has(flag::OWNED)
            && event.error == 0
            && event.shutdown != BOTH_SIDES
            && !has(flag::UNSENT);
        Self {
            counts: TcpCounts {
                opened: u64::from(is(number::CLOSE, number::SYN_SENT)),
                accepted: u64::from(is(number::LISTEN, number::SYN_RECV)),
                failed: u64::from(is_end && was_new && is_done),
                reset: u64::from(is_end && has_lived),
            },
            unsent: u64::from(is_answered && has(flag::UNSENT)),
            doubtful: u64::from(may_be_refused),
        }
    }

    fn add(&mut self, other: Self) {
        self.counts += other.counts;
        self.unsent += other.unsent;
        self.doubtful += other.doubtful;
    }
}

/// Counts of one network namespace.
#[derive(Clone, Debug, Default)]
struct NetnsCounts {
    /// Its cookie; 0 if the events have none.
    cookie: u64,
    /// Events between the two readings of the kernel's counters.
    between: Added,
    /// Events during the reading at the start: the kernel may have counted them before or after it.
    at_start: Added,
    /// Events during the reading at the end.
    at_end: Added,
    /// Sockets whose SYN may have waited for the first data at the first reading.
    waiting_at_start: u64,
}

/// A socket whose SYN may not have been sent.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    /// Inode number and cookie of its namespace.
    netns: (u32, u64),
    /// A snapshot has found it, so it is not counted as opened yet.
    is_older: bool,
    /// It waits no more, but it did when the kernel's counters were read at the end.
    has_left: bool,
}

impl Waiting {
    fn is_in(&self, netns: u32, cookie: u64) -> bool {
        self.netns.0 == netns && is_same(self.netns.1, cookie)
    }
}

/// The last two namespaces that had an inode number.
#[derive(Debug, Default)]
struct Tenants {
    last: NetnsCounts,
    before: Option<Box<NetnsCounts>>,
    /// How many there were before the last.
    gone: usize,
}

impl Tenants {
    /// The counts for the namespace of an event. Another cookie is another namespace: the one before is gone.
    fn of(&mut self, cookie: u64) -> &mut NetnsCounts {
        if self.last.cookie == cookie {
            return &mut self.last;
        }
        if self.before.as_ref().is_none_or(|before| before.cookie != cookie) {
            let last = std::mem::replace(&mut self.last, NetnsCounts { cookie, ..NetnsCounts::default() });
            self.before = Some(Box::new(last)).filter(|last| last.cookie != 0);
            self.gone += usize::from(self.before.is_some());
            return &mut self.last;
        }
        match &mut self.before {
            Some(before) => before,
            None => &mut self.last,
        }
    }

    /// The counts for the namespace with this cookie; with 0, all.
    fn get(&self, cookie: u64) -> impl Iterator<Item = &NetnsCounts> {
        let all = self.before.as_deref().into_iter().chain([&self.last]);
        all.filter(move |counts| is_same(counts.cookie, cookie))
    }
}

/// Whether two cookies may be of the same namespace.
fn is_same(cookie: u64, other: u64) -> bool {
    cookie == 0 || other == 0 || cookie == other
}

/// When the kernel's counters of a namespace were read.
#[derive(Debug)]
struct ReadAt {
    cookie: u64,
    during_ns: RangeInclusive<u64>,
    counts: KernelCounts,
}

impl ReadAt {
    fn of(reading: &Reading) -> Self {
        Self {
            cookie: reading.netns_cookie,
            during_ns: with_lead(&reading.during_ns),
            counts: reading.counts,
        }
    }
}

/// Counts by network namespace, over the time for which the kernel's counters are compared.
#[derive(Debug, Default)]
pub struct Tally {
    by_netns: HashMap<u32, Tenants>,
    total: Added,
    /// Sockets whose SYN may wait for the first data (`TCP_FASTOPEN_CONNECT`), by cookie. The kernel counts
    /// them when it sends the SYN, of which no event tells.
    waiting: CookieMap<Waiting>,
    /// When the kernel's counters were read at the start, by namespace, in nanoseconds.
    start: HashMap<u32, ReadAt>,
    /// The same at the end.
    end: HashMap<u32, ReadAt>,
}

impl Tally {
    /// Counts an event.
    pub fn count(&mut self, event: &Event) {
        let added = Added::of(event);
        self.note_waiting(event);
        if added == Added::default() {
            return;
        }
        self.total.add(added);
        let of_netns = self.by_netns.entry(event.netns).or_default().of(event.netns_cookie);
        let start = read_at(&self.start, event);
        let end = read_at(&self.end, event);
        let is_before = start.is_some_and(|read| event.time_ns < *read.start());
        let is_after = end.is_some_and(|read| event.time_ns > *read.end());
        if is_before || is_after {
            return;
        }
        if start.is_some_and(|read| read.contains(&event.time_ns)) {
            of_netns.at_start.add(added);
        } else if end.is_some_and(|read| read.contains(&event.time_ns)) {
            of_netns.at_end.add(added);
        } else {
            of_netns.between.add(added);
        }
    }

    /// Notes that a socket of a snapshot may not have sent its SYN yet.
    pub fn found(&mut self, socket: &Event) {
        if socket.new_state == number::SYN_SENT && socket.flags & flag::UNSENT != 0 {
            self.begins_waiting(socket, true);
        }
    }

    fn note_waiting(&mut self, event: &Event) {
        if event.new_state == number::SYN_SENT {
            self.begins_waiting(event, false);
        } else if event.old_state == number::SYN_SENT && !self.waiting.is_empty() {
            let Some(waiting) = self.waiting.get_mut(&event.cookie).filter(|waiting| !waiting.has_left)
            else {
                return;
            };
            waiting.has_left = true;
            self.total.counts.opened += u64::from(waiting.is_older);
            // One that leaves the state later was still waiting when the counters were read at the end.
            if read_at(&self.end, event).is_none_or(|read| event.time_ns < *read.start()) {
                self.waiting.remove(&event.cookie);
            }
        }
    }

    fn begins_waiting(&mut self, event: &Event, is_older: bool) {
        let may_wait = event.flags & flag::FASTOPEN_CONNECT != 0;
        if !may_wait || self.waiting.contains_key(&event.cookie) {
            return;
        }
        let netns = (event.netns, event.netns_cookie);
        self.waiting.insert(event.cookie, Waiting { netns, is_older, has_left: false });
        let start = read_at(&self.start, event);
        if start.is_some_and(|read| is_older || event.time_ns <= *read.end()) {
            self.by_netns.entry(event.netns).or_default().of(event.netns_cookie).waiting_at_start += 1;
        }
    }

    /// Notes when the kernel's counters of a namespace were read at the start of the capture.
    pub fn read_at_start(&mut self, netns: u32, reading: &Reading) {
        self.start.insert(netns, ReadAt::of(reading));
        for waiting in self.waiting.values().filter(|waiting| waiting.is_in(netns, reading.netns_cookie)) {
            self.by_netns.entry(netns).or_default().of(waiting.netns.1).waiting_at_start += 1;
        }
    }

    /// What the kernel had counted in a namespace at the start of the capture, if it was read then.
    #[must_use]
    pub fn counted_at_start(&self, netns: u32, cookie: u64) -> Option<KernelCounts> {
        let read = self.start.get(&netns)?;
        is_same(read.cookie, cookie).then_some(read.counts)
    }

    /// The same at the end.
    pub fn read_at_end(&mut self, netns: u32, reading: &Reading) {
        self.end.insert(netns, ReadAt::of(reading));
    }

    /// Takes back a connection that was counted as opened, because filters turn out not to select it.
    pub fn drop_filtered(&mut self, cookie: u64) {
        self.total.unsent += 1;
        self.forget(cookie);
    }

    /// Notes that a connection is gone, and that its end was lost.
    pub fn forget(&mut self, cookie: u64) {
        self.waiting.remove(&cookie);
    }

    /// The counts of all namespaces.
    #[must_use]
    pub fn total(&self) -> TcpCounts {
        let Added { counts, unsent, .. } = self.total;
        let waiting = self.waiting.values().filter(|waiting| !waiting.is_older && !waiting.has_left).count();
        let uncounted = unsent + waiting as u64;
        TcpCounts { opened: counts.opened.saturating_sub(uncounted), ..counts }
    }

    /// The namespaces in which anything was counted.
    pub fn netns(&self) -> impl Iterator<Item = u32> {
        self.by_netns.keys().copied()
    }

    /// How many namespaces with counts are gone, because another one has their inode number now.
    #[must_use]
    pub fn replaced(&self) -> usize {
        self.by_netns.values().map(|tenants| tenants.gone).sum()
    }

    /// Whether all events of a namespace have its cookie, so that they are of no other.
    #[must_use]
    pub fn is_sure_of(&self, netns: u32) -> bool {
        self.by_netns.get(&netns).is_none_or(|tenants| tenants.get(0).all(|counts| counts.cookie != 0))
    }

    /// What the kernel may have counted in the namespace with this inode number and this cookie, 0 if it is
    /// not known.
    #[must_use]
    pub fn bounds(&self, netns: u32, cookie: u64) -> Bounds {
        let (mut between, mut all, mut waiting_at_start) = (Added::default(), Added::default(), 0);
        for counts in self.by_netns.get(&netns).into_iter().flat_map(|tenants| tenants.get(cookie)) {
            between.add(counts.between);
            for part in [counts.between, counts.at_start, counts.at_end] {
                all.add(part);
            }
            waiting_at_start += counts.waiting_at_start;
        }
        let waiting = self.waiting.values().filter(|waiting| waiting.is_in(netns, cookie)).count() as u64;
        // What was opened before the first reading may have turned out unsent after it, and the like.
        let uncounted = all.unsent + all.doubtful + waiting;
        let opened_least = between.counts.opened.saturating_sub(uncounted);
        let opened_most = (all.counts.opened + waiting_at_start).saturating_sub(between.unsent);
        Bounds {
            least: TcpCounts { opened: opened_least, ..between.counts },
            most: TcpCounts { opened: opened_most.max(opened_least), ..all.counts },
        }
    }
}

/// When the counters of an event's namespace were read.
fn read_at<'a>(readings: &'a HashMap<u32, ReadAt>, event: &Event) -> Option<&'a RangeInclusive<u64>> {
    let read = readings.get(&event.netns)?;
    is_same(read.cookie, event.netns_cookie).then_some(&read.during_ns)
}

/// Events shortly before a reading belong to it, too.
fn with_lead(during_ns: &RangeInclusive<u64>) -> RangeInclusive<u64> {
    during_ns.start().saturating_sub(LEAD_NS)..=*during_ns.end()
}

#[cfg(test)]
mod tests {
    use zerocopy::FromZeros as _;

    use super::*;
    use crate::facts::counts::KernelCounts;

    const MS: u64 = 1_000_000;

    fn event(time_ns: u64, cookie: u64, old_state: u8, new_state: u8) -> Event {
        let mut event = Event::new_zeroed();
        (event.time_ns, event.cookie, event.old_state, event.new_state) =
            (time_ns, cookie, old_state, new_state);
        (event.netns, event.netns_cookie) = (1, 1);
        event.flags = flag::FASTOPEN_CONNECT | flag::UNSENT;
        event
    }

    /// Sockets whose SYN still waits when the counters are read at the end, and that are closed without one then.
    #[test]
    fn a_syn_that_is_never_sent_is_taken_back_once() {
        let mut tally = Tally::default();
        let reading = |time_ns| Reading {
            counts: KernelCounts::default(),
            during_ns: time_ns..=time_ns,
            netns_cookie: 1,
        };
        tally.found(&event(0, 1, 0, number::SYN_SENT));
        tally.read_at_start(1, &reading(10 * MS));
        let opened = |tally: &mut Tally, time_ns, cookie, old, new| {
            tally.count(&event(time_ns, cookie, old, new));
            tally.total().opened
        };
        assert_eq!(opened(&mut tally, 20 * MS, 2, number::CLOSE, number::SYN_SENT), 0);
        tally.read_at_end(1, &reading(30 * MS));
        assert_eq!(opened(&mut tally, 40 * MS, 3, number::CLOSE, number::SYN_SENT), 0);
        for cookie in [1, 2, 3] {
            assert_eq!(opened(&mut tally, 50 * MS, cookie, number::SYN_SENT, number::CLOSE), 0);
        }
        let mut sent = event(60 * MS, 4, number::CLOSE, number::SYN_SENT);
        sent.flags = 0;
        tally.count(&sent);
        assert_eq!(tally.total().opened, 1);
        let bounds = tally.bounds(1, 1);
        assert_eq!((bounds.least.opened, bounds.most.opened), (0, 2));
    }
}
