//! Births that are told too early, before the socket is filled. Older kernels (6.12 does, 6.16 does not)
//! set the state of a listener's child before they give it anything of its own: at `LISTEN -> SYN_RECV` it
//! has no peer, and still its listener's cookie. The next transition on that CPU tells of it: both happen in
//! one softirq.

use std::collections::HashMap;

use tracer_common::{
    Event,
    event::kind,
    state::{LISTEN, SYN_RECV},
};

/// Completes them.
#[derive(Debug, Default)]
pub struct Unfilled {
    /// By CPU, those of which nothing more was told yet.
    incomplete: HashMap<u16, Event>,
    dropped: u64,
}

impl Unfilled {
    /// Completes the births among these events, which come in order. Those of which nothing more is told
    /// yet are kept back.
    pub fn complete(&mut self, events: &mut Vec<Event>) {
        if self.incomplete.is_empty() && !events.iter().any(is_too_early) {
            return;
        }
        events.splice(0..0, self.incomplete.drain().map(|(_, event)| event));
        let mut open: HashMap<u16, usize> = HashMap::new();
        let mut gone = Vec::new();
        for index in 0..events.len() {
            let event = events[index];
            if event.kind != kind::TRANSITION {
                continue;
            }
            let birth = open.remove(&event.cpu);
            if is_too_early(&event) {
                open.insert(event.cpu, index);
            }
            match birth {
                Some(birth) if is_of(&event, &events[birth]) => fill(&mut events[birth], &event),
                // A filter kept the child in the kernel; or, with TCP Fast Open, it stays in SYN_RECV.
                Some(birth) => gone.push(birth),
                None => {}
            }
        }
        self.dropped += gone.len() as u64;
        self.incomplete.extend(open.into_iter().map(|(cpu, index)| (cpu, events[index])));
        events.retain(|event| !is_too_early(event));
    }

    /// How many were of connections that nothing else was told of.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped + self.incomplete.len() as u64
    }
}

fn is_too_early(event: &Event) -> bool {
    event.old_state == LISTEN && event.new_state == SYN_RECV && event.remote_port == 0
}

/// Whether it is the next event of what was born.
fn is_of(event: &Event, birth: &Event) -> bool {
    event.old_state == SYN_RECV
        && (event.netns, event.local_port, event.family) == (birth.netns, birth.local_port, birth.family)
}

fn fill(birth: &mut Event, next: &Event) {
    let Event { cookie, cgroup, uid, local_addr, remote_addr, remote_port, .. } = *next;
    *birth = Event { cookie, cgroup, uid, local_addr, remote_addr, remote_port, ..*birth };
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
    fn the_next_event_of_the_cpu_tells_who_was_born() {
        let mut unfilled = Unfilled::default();
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
    fn it_may_come_with_the_next_batch() {
        let mut unfilled = Unfilled::default();
        let mut events = vec![event(0, LISTENER, LISTEN, SYN_RECV), event(1, LISTENER, LISTEN, CLOSE)];
        unfilled.complete(&mut events);
        assert_eq!(events.len(), 1);
        let mut events = vec![event(0, 2, SYN_RECV, ESTABLISHED)];
        unfilled.complete(&mut events);
        assert_eq!(events.iter().map(|event| event.cookie).collect::<Vec<_>>(), [2, 2]);
        assert_eq!(events[0].old_state, LISTEN);
    }

    #[test]
    fn what_comes_behind_another_event_is_of_another() {
        let mut unfilled = Unfilled::default();
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
    fn one_that_was_filtered_is_no_event_of_its_listener() {
        let mut unfilled = Unfilled::default();
        let early = event(0, LISTENER, LISTEN, SYN_RECV);
        let mut events = vec![early, early, event(0, 2, SYN_RECV, ESTABLISHED)];
        unfilled.complete(&mut events);
        assert_eq!(events.iter().map(|event| event.cookie).collect::<Vec<_>>(), [2, 2]);
        assert_eq!(unfilled.dropped(), 1);
    }
}
