//! Births that are reported too early. Older kernels (6.12 does, 6.16 does not) set the state of a
//! listener's child before they fill it in: at `LISTEN -> SYN_RECV` it has no peer, and still the listener's
//! cookie. The next transition on the same CPU is the child's, because both happen in one softirq.

use std::collections::HashMap;

use tracer_common::{
    Event,
    event::kind,
    state::{LISTEN, SYN_RECV},
};

/// Completes births from the transition that follows.
#[derive(Debug, Default)]
pub struct EarlyBirths {
    /// Births whose next transition has not come yet, by CPU.
    held_by_cpu: HashMap<u16, Event>,
    dropped: u64,
}

impl EarlyBirths {
    /// Completes the births among these events, which come in order. A birth whose next transition is not
    /// among them is held back for the next call.
    pub fn complete(&mut self, events: &mut Vec<Event>) {
        if self.held_by_cpu.is_empty() && !events.iter().any(is_early_birth) {
            return;
        }
        events.splice(0..0, self.held_by_cpu.drain().map(|(_, event)| event));
        let mut births_by_cpu: HashMap<u16, usize> = HashMap::new();
        let mut unmatched = Vec::new();
        for index in 0..events.len() {
            let event = events[index];
            if event.kind != kind::TRANSITION {
                continue;
            }
            let birth = births_by_cpu.remove(&event.cpu);
            if is_early_birth(&event) {
                births_by_cpu.insert(event.cpu, index);
            }
            match birth {
                Some(birth) if is_next_of(&event, &events[birth]) => fill(&mut events[birth], &event),
                // A filter in the kernel stopped the child's transition; or the child stays in SYN_RECV (TCP
                // Fast Open).
                Some(birth) => unmatched.push(birth),
                None => {}
            }
        }
        self.dropped += unmatched.len() as u64;
        self.held_by_cpu.extend(births_by_cpu.into_iter().map(|(cpu, index)| (cpu, events[index])));
        events.retain(|event| !is_early_birth(event));
    }

    /// How many births were dropped or are held back.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped + self.held_by_cpu.len() as u64
    }
}

fn is_early_birth(event: &Event) -> bool {
    event.old_state == LISTEN && event.new_state == SYN_RECV && event.remote_port == 0
}

/// Whether `event` is the transition that follows `birth`.
fn is_next_of(event: &Event, birth: &Event) -> bool {
    // A transparent listener's connection may have another port.
    let is_same_port = event.local_port == birth.local_port;
    let is_same_owner = (event.uid, event.cgroup) == (birth.uid, birth.cgroup);
    event.old_state == SYN_RECV
        && (is_same_port || is_same_owner)
        && (event.netns, event.family) == (birth.netns, birth.family)
}

fn fill(birth: &mut Event, next: &Event) {
    let Event { cookie, cgroup, uid, ifindex, local_addr, local_port, remote_addr, remote_port, .. } = *next;
    *birth = Event {
        // See `Event::listener_cookie`.
        bytes_received: birth.cookie,
        cookie,
        cgroup,
        uid,
        ifindex,
        local_addr,
        local_port,
        remote_addr,
        remote_port,
        ..*birth
    };
}

#[cfg(test)]
mod tests {
    use tracer_common::state::{CLOSE, ESTABLISHED};
    use zerocopy::FromZeros as _;

    use super::*;

    fn event(cpu: u16, cookie: u64, old_state: u8, new_state: u8) -> Event {
        let mut event = Event::new_zeroed();
        (event.cpu, event.cookie, event.local_port) = (cpu, cookie, 80);
        (event.old_state, event.new_state) = (old_state, new_state);
        if old_state != LISTEN {
            event.remote_port = 1000;
        }
        event
    }

    const LISTENER: u64 = 1;

    #[test]
    fn a_birth_is_completed_from_the_next_transition_on_its_cpu() {
        let mut unfilled = EarlyBirths::default();
        let mut events = vec![
            event(0, LISTENER, LISTEN, SYN_RECV),
            event(1, LISTENER, LISTEN, SYN_RECV),
            event(1, 3, SYN_RECV, ESTABLISHED),
            event(0, 2, SYN_RECV, ESTABLISHED),
        ];
        unfilled.complete(&mut events);
        assert_eq!(events.iter().map(|event| event.cookie).collect::<Vec<_>>(), [2, 3, 3, 2]);
        assert!(events.iter().all(|event| event.remote_port == 1000));
        assert_eq!(unfilled.dropped(), 0);
    }

    #[test]
    fn that_transition_may_come_with_the_next_batch() {
        let mut unfilled = EarlyBirths::default();
        let mut events = vec![event(0, LISTENER, LISTEN, SYN_RECV), event(1, LISTENER, LISTEN, CLOSE)];
        unfilled.complete(&mut events);
        assert_eq!(events.len(), 1);
        let mut events = vec![event(0, 2, SYN_RECV, ESTABLISHED)];
        unfilled.complete(&mut events);
        assert_eq!(events.iter().map(|event| event.cookie).collect::<Vec<_>>(), [2, 2]);
        assert_eq!(events[0].old_state, LISTEN);
    }

    #[test]
    fn a_transition_of_another_connection_drops_the_birth() {
        let mut unfilled = EarlyBirths::default();
        let between = event(0, 3, ESTABLISHED, CLOSE);
        let retransmit = Event { kind: kind::RETRANSMIT, ..between };
        let next = event(0, 2, SYN_RECV, ESTABLISHED);
        for (between, dropped) in [(retransmit, 0), (between, 1)] {
            let mut events = vec![event(0, LISTENER, LISTEN, SYN_RECV), between, next];
            unfilled.complete(&mut events);
            assert_eq!(unfilled.dropped(), dropped);
            assert_eq!(events.len() as u64, 3 - dropped);
        }
    }

    #[test]
    fn a_birth_whose_child_was_filtered_is_dropped() {
        let mut unfilled = EarlyBirths::default();
        let early = event(0, LISTENER, LISTEN, SYN_RECV);
        let mut events = vec![early, early, event(0, 2, SYN_RECV, ESTABLISHED)];
        unfilled.complete(&mut events);
        assert_eq!(events.iter().map(|event| event.cookie).collect::<Vec<_>>(), [2, 2]);
        assert_eq!(unfilled.dropped(), 1);
    }
}
