//! Who is who, where tracing programs are not told a socket's cookie (before Linux 5.12): the kernel
//! program reports its address, which the next socket gets as soon as it is gone. Births tell one from
//! the other.

use hashbrown::{HashMap, hash_map::Entry};
use tracer_common::{
    Event,
    event::{flag, kind},
    state,
};

use crate::tcp::state::is_birth;

/// The first of the numbers that stand for cookies. No kernel counts so far, and every reader of JSON
/// can still tell it from the next.
pub const FIRST: u64 = 1 << 52;

/// A socket that lives, as far as is known.
#[derive(Clone, Copy)]
struct Known {
    number: u64,
    /// When it was found by looking; 0 if events told of it first.
    sighted_ns: u64,
    ends: Peer,
}

/// What stays the same from a connection's birth on.
#[derive(Clone, Copy)]
struct Peer {
    remote: ([u8; 16], u16, u32),
    /// 0 until it is chosen.
    local_port: u16,
}

impl Peer {
    fn of(event: &Event) -> Self {
        let remote = (event.remote_addr, event.remote_port, event.netns);
        let is_chosen = event.flags & flag::UNBOUND == 0;
        Self { remote, local_port: if is_chosen { event.local_port } else { 0 } }
    }

    fn are_others(self, known: Self) -> bool {
        let ports = [self.local_port, known.local_port];
        self.remote != known.remote || (!ports.contains(&0) && ports[0] != ports[1])
    }
}

/// Gives numbers to sockets, by their addresses and births.
#[derive(Default)]
pub struct Cookies {
    by_address: HashMap<u64, Known>,
    given: u64,
}

impl Cookies {
    /// Puts the number in the place of the address of each of these events, which come in order.
    pub fn events(&mut self, events: &mut [Event]) {
        for event in events {
            if event.kind != kind::TRANSITION {
                // It begins nothing; and some have no socket.
                event.cookie = self.number_known(event.cookie);
                continue;
            }
            let address = event.cookie;
            event.cookie = self.number(event);
            if event.new_state == state::CLOSE {
                self.by_address.remove(&address);
            }
        }
    }

    /// The same for sockets that were found by looking, all of which there were then.
    pub fn found<'a>(&mut self, sockets: impl Iterator<Item = &'a mut Event>) {
        for event in sockets {
            event.cookie = self.number(event);
        }
    }

    /// The same for sockets that were found by looking, of which some may not be known yet: those get 0.
    pub fn known(&self, sockets: &mut [Event]) {
        for event in sockets {
            event.cookie = self.number_known(event.cookie);
        }
    }

    fn number_known(&self, address: u64) -> u64 {
        self.by_address.get(&address).map_or(0, |known| known.number)
    }

    fn number(&mut self, event: &Event) -> u64 {
        let ends = Peer::of(event);
        let is_sighting = event.old_state == event.new_state;
        let sighted_ns = if is_sighting { event.time_ns } else { 0 };
        let mut fresh = || {
            let number = FIRST + self.given;
            self.given += 1;
            Known { number, sighted_ns, ends }
        };
        match self.by_address.entry(event.cookie) {
            Entry::Vacant(entry) => entry.insert(fresh()).number,
            Entry::Occupied(mut entry) => {
                let known = entry.get_mut();
                // A birth before the socket is that of what was found then. Other ends without a
                // birth: what happened between was lost.
                let is_another = if is_birth(event.old_state, event.new_state) {
                    event.time_ns > known.sighted_ns
                } else {
                    ends.are_others(known.ends)
                };
                if is_another {
                    *known = fresh();
                } else {
                    known.ends = ends;
                }
                known.number
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::state::{CLOSE, ESTABLISHED, LISTEN, SYN_RECV, SYN_SENT};
    use zerocopy::FromZeros as _;

    use super::*;

    fn event(time_ns: u64, old_state: u8, new_state: u8) -> Event {
        let mut event = Event::new_zeroed();
        (event.cookie, event.time_ns) = (0xffff_8880, time_ns);
        (event.old_state, event.new_state) = (old_state, new_state);
        event
    }

    fn numbers(cookies: &mut Cookies, mut events: Vec<Event>) -> Vec<u64> {
        cookies.events(&mut events);
        events.iter().map(|event| event.cookie - FIRST).collect()
    }

    #[test]
    fn one_address_has_one_connection_after_the_other() {
        let events = vec![
            event(1, CLOSE, SYN_SENT),
            event(2, SYN_SENT, ESTABLISHED),
            event(3, ESTABLISHED, CLOSE),
            event(4, LISTEN, SYN_RECV),
            event(5, SYN_RECV, ESTABLISHED),
            // Its end was lost.
            event(9, CLOSE, SYN_SENT),
        ];
        assert_eq!(numbers(&mut Cookies::default(), events), [0, 0, 0, 1, 1, 2]);
    }

    #[test]
    fn what_was_found_is_what_was_born_before() {
        let mut cookies = Cookies::default();
        let mut found = [event(10, ESTABLISHED, ESTABLISHED)];
        cookies.found(found.iter_mut());
        assert_eq!(found[0].cookie, FIRST);
        let events = vec![
            event(5, CLOSE, SYN_SENT),
            event(6, SYN_SENT, ESTABLISHED),
            event(12, ESTABLISHED, CLOSE),
            event(13, CLOSE, SYN_SENT),
        ];
        assert_eq!(numbers(&mut cookies, events), [0, 0, 0, 1]);
    }

    #[test]
    fn another_peer_is_another_connection() {
        let mut other = event(2, ESTABLISHED, CLOSE);
        other.remote_port = 443;
        assert_eq!(numbers(&mut Cookies::default(), vec![event(1, SYN_SENT, ESTABLISHED), other]), [0, 1]);
    }

    #[test]
    fn another_local_port_is_another_connection() {
        let with_port = |port, mut event: Event| {
            event.local_port = port;
            event
        };
        let events = vec![
            with_port(0, event(1, CLOSE, SYN_SENT)),
            with_port(40_000, event(2, SYN_SENT, ESTABLISHED)),
            // Its end was lost, and the beginning of this.
            with_port(40_001, event(9, SYN_SENT, ESTABLISHED)),
            with_port(40_001, event(10, ESTABLISHED, CLOSE)),
        ];
        assert_eq!(numbers(&mut Cookies::default(), events), [0, 0, 1, 1]);
    }

    #[test]
    fn what_is_not_known_yet_has_no_number() {
        let cookies = Cookies::default();
        let mut found = [event(10, ESTABLISHED, ESTABLISHED)];
        cookies.known(&mut found);
        assert_eq!(found[0].cookie, 0);
    }
}
