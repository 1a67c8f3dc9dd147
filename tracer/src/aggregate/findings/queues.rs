//! Since when queues of sockets have not moved.

use hashbrown::HashMap;

use crate::aggregate::findings::kinds::FindingKind;

/// How many queues are watched at most.
const MOST: usize = 1 << 16;

/// A queue at the last look.
#[derive(Clone, Copy, Debug)]
struct Queue {
    /// A number that changes when the queue moves.
    position: u64,
    /// The first look that found it there.
    since_ns: u64,
    /// The last look that found it there.
    until_ns: u64,
}

/// Queues that are not empty. Only two looks at a socket can tell that its queue has not moved between them.
#[derive(Clone, Debug, Default)]
pub(super) struct Queues {
    by_socket: HashMap<(u64, FindingKind), Queue>,
    /// When the sockets were last looked at.
    looked_ns: u64,
}

impl Queues {
    /// Begins with a look at all sockets at this time. The queues that the one before did not find are forgotten.
    pub(super) fn begin(&mut self, looked_ns: u64) {
        if looked_ns > self.looked_ns {
            let before_ns = self.looked_ns;
            self.by_socket.retain(|_, queue| queue.until_ns >= before_ns);
            self.looked_ns = looked_ns;
        }
    }

    /// For how long the queue of a socket has not moved, in nanoseconds; `None` if there are too many, or before the
    /// first look.
    pub(super) fn unmoved_ns(&mut self, cookie: u64, kind: FindingKind, position: u64) -> Option<u64> {
        let looked_ns = self.looked_ns;
        // Nobody has looked yet.
        if looked_ns == 0 {
            return None;
        }
        if self.by_socket.len() >= MOST && !self.by_socket.contains_key(&(cookie, kind)) {
            return None;
        }
        let queue = self.by_socket.entry((cookie, kind)).or_insert(Queue {
            position,
            since_ns: looked_ns,
            until_ns: looked_ns,
        });
        if queue.position != position {
            (queue.position, queue.since_ns) = (position, looked_ns);
        }
        queue.until_ns = looked_ns;
        Some(looked_ns - queue.since_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_looks_count() {
        let mut queues = Queues::default();
        assert_eq!(queues.unmoved_ns(1, FindingKind::Unread, 5), None);
        let mut at = |looked_ns, position| {
            queues.begin(looked_ns);
            queues.unmoved_ns(1, FindingKind::Unread, position)
        };
        assert_eq!(at(10, 5), Some(0));
        assert_eq!(at(10, 5), Some(0), "nobody has looked since");
        assert_eq!(at(20, 5), Some(10));
        assert_eq!(at(30, 6), Some(0), "it has moved");
        queues.begin(40);
        queues.begin(50);
        assert_eq!(queues.unmoved_ns(1, FindingKind::Unread, 6), Some(0), "it was empty at 40");
        assert_eq!(queues.by_socket.len(), 1);
    }
}
