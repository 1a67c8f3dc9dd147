//! Aborts by this side that look like an RST from the peer. If data comes for a connection that its process has
//! closed, `tcp_rcv_state_process` ends it with `tcp_reset`: that calls the tracepoint `tcp_receive_reset` and
//! leaves ECONNRESET, as for an RST that arrives. The RST that this side then sends (`tcp_send_reset`) tells one
//! from the other. It follows at once, so a batch is held back for it for a moment.

use tracer_common::{
    Event,
    event::{flag, kind},
    state::{CLOSE_WAIT, CLOSING, FIN_WAIT1, FIN_WAIT2, LAST_ACK},
};

/// `RCV_SHUTDOWN`: no process reads any more, or the peer has closed.
const NO_READER: u8 = 1;

/// How long to wait for the RST. In a softirq it takes microseconds; a task that works on its own socket may lose
/// the CPU in between, and a virtual CPU may be stopped.
pub const WAIT_NS: u64 = 20_000_000;

/// Tells these aborts from RSTs that were received.
#[derive(Debug, Default)]
pub struct LateData {
    /// The first event may be such an abort. Those behind it wait with it, so that all stay in order.
    held: Vec<Event>,
    /// Records of RSTs were lost since the first of them.
    has_lost: bool,
}

/// Where an RST that seems to have been received comes from.
enum RstSource {
    /// This side has sent it: the index of the record that says so.
    Sent(usize),
    Received,
    Undecided,
}

impl LateData {
    /// Turns records of RSTs received into those of RSTs sent, where the data of the peer caused them. `events` come
    /// in order and are complete up to `until_ns`; if some cannot be decided yet, they are held back for the next
    /// call. `has_lost`: records of RSTs were lost, so those that no other record explains are left out. Returns the
    /// time up to which events are complete now.
    pub fn decide(&mut self, events: &mut Vec<Event>, until_ns: u64, has_lost: bool) -> u64 {
        let has_lost = std::mem::take(&mut self.has_lost) || has_lost;
        if !self.held.is_empty() {
            events.splice(0..0, self.held.drain(..));
        }
        let mut at = 0;
        while let Some(found) = events[at..].iter().position(is_doubtful) {
            at += found;
            match source_of(&events[at..], until_ns) {
                RstSource::Sent(after) => {
                    let sent = events.remove(at + after);
                    (events[at].kind, events[at].detail) = (sent.kind, sent.detail);
                }
                RstSource::Received if has_lost => drop(events.remove(at)),
                RstSource::Received => at += 1,
                RstSource::Undecided => {
                    self.held.extend(events.drain(at..));
                    self.has_lost = has_lost;
                    return self.held[0].time_ns.saturating_sub(1).min(until_ns);
                }
            }
        }
        until_ns
    }

    /// When events that are held back are decided at the latest.
    #[must_use]
    pub fn due_ns(&self) -> Option<u64> {
        self.held.first().map(|first| first.time_ns + WAIT_NS)
    }
}

/// Whether data may be the cause: it is only looked at where nobody can read it (step 7 of
/// `tcp_rcv_state_process`).
fn is_doubtful(event: &Event) -> bool {
    event.kind == kind::RESET_RECEIVED
        // Kernels before 5.6 do not tell the first.
        && (event.shutdown & NO_READER != 0 || event.flags & flag::DEAD != 0)
        && matches!(event.old_state, FIN_WAIT1 | FIN_WAIT2 | CLOSING | CLOSE_WAIT | LAST_ACK)
}

/// Decides on the first event, by those that follow it.
fn source_of(events: &[Event], until_ns: u64) -> RstSource {
    let [doubtful, later @ ..] = events else {
        return RstSource::Received;
    };
    let due_ns = doubtful.time_ns.saturating_add(WAIT_NS);
    for (index, event) in later.iter().enumerate().take_while(|(_, event)| event.time_ns <= due_ns) {
        if event.cookie == doubtful.cookie {
            if event.kind == kind::RESET_SENT {
                return RstSource::Sent(index + 1);
            }
        } else if event.cpu == doubtful.cpu && doubtful.flags & flag::OWNED == 0 {
            // Both records come from one softirq, so something else on its CPU comes after them.
            return RstSource::Received;
        }
    }
    if until_ns >= due_ns { RstSource::Received } else { RstSource::Undecided }
}

#[cfg(test)]
mod tests {
    use tracer_common::state::CLOSE;
    use zerocopy::FromZeros as _;

    use super::*;

    fn event(time_ns: u64, cookie: u64, kind: u8, old_state: u8) -> Event {
        Event { time_ns, cookie, kind, old_state, shutdown: 3, ..Event::new_zeroed() }
    }

    /// What the kernel reports when a socket in FIN_WAIT1 seems to be reset.
    fn reset(time_ns: u64) -> [Event; 2] {
        [
            event(time_ns, 1, kind::RESET_RECEIVED, FIN_WAIT1),
            event(time_ns + 1, 1, kind::TRANSITION, FIN_WAIT1),
        ]
    }

    fn sent(time_ns: u64) -> Event {
        Event { detail: 9, ..event(time_ns, 1, kind::RESET_SENT, CLOSE) }
    }

    fn kinds(events: &[Event]) -> Vec<(u64, u8, u8)> {
        events.iter().map(|event| (event.cookie, event.kind, event.detail)).collect()
    }

    #[test]
    fn an_rst_sent_next_tells_that_none_was_received() {
        let between = Event { cpu: 1, ..event(12, 2, kind::TRANSITION, CLOSE) };
        let mut events = [&reset(10)[..], &[between, sent(13)]].concat();
        assert_eq!(LateData::default().decide(&mut events, 20, false), 20);
        let told = [(1, kind::RESET_SENT, 9), (1, kind::TRANSITION, 0), (2, kind::TRANSITION, 0)];
        assert_eq!(kinds(&events), told);
    }

    #[test]
    fn that_record_may_come_with_the_next_batch() {
        let mut late = LateData::default();
        let mut events = [&[event(5, 3, kind::TRANSITION, CLOSE)], &reset(10)[..]].concat();
        assert_eq!(late.decide(&mut events, 11, false), 9);
        assert_eq!((events.len(), late.due_ns()), (1, Some(10 + WAIT_NS)));
        let mut events = vec![sent(12)];
        assert_eq!(late.decide(&mut events, 20, false), 20);
        assert_eq!(kinds(&events), [(1, kind::RESET_SENT, 9), (1, kind::TRANSITION, 0)]);
        assert_eq!(late.due_ns(), None);
    }

    #[test]
    fn without_it_one_was_received() {
        let next_on_cpu = event(12, 2, kind::TRANSITION, CLOSE);
        let received = [(1, kind::RESET_RECEIVED, 0), (1, kind::TRANSITION, 0)];
        for (next, until_ns) in [(Some(next_on_cpu), 20), (None, 10 + WAIT_NS)] {
            let mut events: Vec<_> = reset(10).into_iter().chain(next).collect();
            assert_eq!(LateData::default().decide(&mut events, until_ns, false), until_ns);
            assert_eq!(kinds(&events)[..2], received);
            // But it may be that very record that was lost.
            let mut events: Vec<_> = reset(10).into_iter().chain(next).collect();
            LateData::default().decide(&mut events, until_ns, true);
            assert_eq!(kinds(&events)[0], received[1]);
        }
    }

    /// A task works on its own socket: another task may run in between.
    #[test]
    fn a_task_may_be_interrupted() {
        let mut events = reset(10).to_vec();
        events[0].flags = flag::OWNED;
        events.extend([event(12, 2, kind::TRANSITION, CLOSE), sent(13)]);
        LateData::default().decide(&mut events, 20, false);
        assert_eq!(kinds(&events)[0], (1, kind::RESET_SENT, 9));
    }

    /// Somebody may still read: only an RST ends such a connection.
    #[test]
    fn where_data_is_welcome_nothing_waits() {
        let mut events = vec![Event { shutdown: 2, ..reset(10)[0] }];
        assert_eq!(LateData::default().decide(&mut events, 11, false), 11);
        assert_eq!(events.len(), 1);
    }
}
