//! Identity of sockets where tracing programs cannot read socket cookies (before Linux 5.12). There the
//! kernel program reports the address of `struct sock` instead. The kernel uses that address again once the
//! socket is gone, so births and peers are used to recognise a new socket.

use hashbrown::{HashMap, hash_map::Entry};
use tracer_common::{
    Event,
    event::{flag, kind},
    state,
};

use crate::tcp::state::is_birth;

/// The first number that is used in place of a cookie. The kernel's own cookies do not get so high, and JSON
/// readers that use doubles can still tell it from the next.
pub const FIRST_NUMBER: u64 = 1 << 52;

/// A socket that is alive, as far as is known.
#[derive(Clone, Copy)]
struct KnownSocket {
    number: u64,
    /// When a snapshot found it; 0 if it was first seen in an event.
    found_ns: u64,
    peer: Peer,
}

/// What stays the same for the whole life of a connection.
#[derive(Clone, Copy)]
struct Peer {
    remote: ([u8; 16], u16, u32),
    /// 0 until the kernel has chosen it.
    local_port: u16,
}

impl Peer {
    fn of(event: &Event) -> Self {
        let remote = (event.remote_addr, event.remote_port, event.netns);
        let is_chosen = event.flags & flag::UNBOUND == 0;
        Self { remote, local_port: if is_chosen { event.local_port } else { 0 } }
    }

    fn is_another(self, known: Self) -> bool {
        let ports = [self.local_port, known.local_port];
        self.remote != known.remote || (!ports.contains(&0) && ports[0] != ports[1])
    }
}

/// Numbers sockets by the address of `struct sock`.
#[derive(Default)]
pub struct Cookies {
    by_address: HashMap<u64, KnownSocket>,
    number_count: u64,
}

impl Cookies {
    /// Replaces the address in each event by the socket's number. Events come in order.
    pub fn events(&mut self, events: &mut [Event]) {
        for event in events {
            if event.kind != kind::TRANSITION {
                // Such an event is never a birth, and some have no socket.
                event.cookie = self.known_number(event.cookie);
                continue;
            }
            if event.listener_cookie() != 0 {
                event.bytes_received = self.known_number(event.bytes_received);
            }
            let address = event.cookie;
            event.cookie = self.number(event);
            if event.new_state == state::CLOSE {
                self.by_address.remove(&address);
            }
        }
    }

    /// The same for the sockets of a snapshot. Each gets a number, because all existed at that time.
    pub fn found<'a>(&mut self, sockets: impl Iterator<Item = &'a mut Event>) {
        for event in sockets {
            event.cookie = self.number(event);
        }
    }

    /// The same for refreshed sockets. One whose birth has not been read yet gets 0.
    pub fn known(&self, sockets: &mut [Event]) {
        for event in sockets {
            event.cookie = self.known_number(event.cookie);
        }
    }

    /// The number of the socket at this address; 0 if it is not known.
    #[must_use]
    pub fn known_number(&self, address: u64) -> u64 {
        self.by_address.get(&address).map_or(0, |known| known.number)
    }

    fn number(&mut self, event: &Event) -> u64 {
        let peer = Peer::of(event);
        let is_found = event.old_state == event.new_state;
        let found_ns = if is_found { event.time_ns } else { 0 };
        let mut new_socket = || {
            let number = FIRST_NUMBER + self.number_count;
            self.number_count += 1;
            KnownSocket { number, found_ns, peer }
        };
        match self.by_address.entry(event.cookie) {
            Entry::Vacant(entry) => entry.insert(new_socket()).number,
            Entry::Occupied(mut entry) => {
                let known = entry.get_mut();
                // A birth from before the snapshot is that of the socket in it. If the peer changes without a
                // birth, events in between were lost.
                let is_another = if is_birth(event.old_state, event.new_state) {
                    event.time_ns > known.found_ns
                } else {
                    peer.is_another(known.peer)
                };
                if is_another {
                    *known = new_socket();
                } else {
                    known.peer = peer;
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
        events.iter().map(|event| event.cookie - FIRST_NUMBER).collect()
    }

    #[test]
    fn a_birth_at_a_known_address_is_a_new_socket() {
        let events = vec![
            event(1, CLOSE, SYN_SENT),
            event(2, SYN_SENT, ESTABLISHED),
            event(3, ESTABLISHED, CLOSE),
            event(4, LISTEN, SYN_RECV),
            event(5, SYN_RECV, ESTABLISHED),
            // The end of the last one was lost.
            event(9, CLOSE, SYN_SENT),
        ];
        assert_eq!(numbers(&mut Cookies::default(), events), [0, 0, 0, 1, 1, 2]);
    }

    #[test]
    fn a_birth_before_a_snapshot_is_the_socket_in_it() {
        let mut cookies = Cookies::default();
        let mut found = [event(10, ESTABLISHED, ESTABLISHED)];
        cookies.found(found.iter_mut());
        assert_eq!(found[0].cookie, FIRST_NUMBER);
        let events = vec![
            event(5, CLOSE, SYN_SENT),
            event(6, SYN_SENT, ESTABLISHED),
            event(12, ESTABLISHED, CLOSE),
            event(13, CLOSE, SYN_SENT),
        ];
        assert_eq!(numbers(&mut cookies, events), [0, 0, 0, 1]);
    }

    #[test]
    fn another_peer_is_a_new_socket() {
        let mut other = event(2, ESTABLISHED, CLOSE);
        other.remote_port = 443;
        assert_eq!(numbers(&mut Cookies::default(), vec![event(1, SYN_SENT, ESTABLISHED), other]), [0, 1]);
    }

    #[test]
    fn another_local_port_is_a_new_socket() {
        let with_port = |port, mut event: Event| {
            event.local_port = port;
            event
        };
        let events = vec![
            with_port(0, event(1, CLOSE, SYN_SENT)),
            with_port(40_000, event(2, SYN_SENT, ESTABLISHED)),
            // The end of the last one was lost, and the birth of this one.
            with_port(40_001, event(9, SYN_SENT, ESTABLISHED)),
            with_port(40_001, event(10, ESTABLISHED, CLOSE)),
        ];
        assert_eq!(numbers(&mut Cookies::default(), events), [0, 0, 1, 1]);
    }

    #[test]
    fn an_unknown_socket_in_a_refresh_has_no_number() {
        let cookies = Cookies::default();
        let mut found = [event(10, ESTABLISHED, ESTABLISHED)];
        cookies.known(&mut found);
        assert_eq!(found[0].cookie, 0);
    }
}
