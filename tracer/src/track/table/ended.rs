//! Connections that have just ended otherwise than in order. The RST of such an end may be reported after it, when the
//! socket is in CLOSE; and what the peer had on the way is answered with an RST when there is no socket any more. Their
//! lines still have to say whose they are.

use crate::{tcp::endpoint::Tuple, track::connection::Connection};

/// How many are remembered. The RST comes within microseconds, but other CPUs report at the same time.
const LEN: usize = 64;

/// How long what the peer had on the way may take, in nanoseconds. Later the port may be somebody else's.
const ON_THE_WAY_NS: u64 = 1_000_000_000;

/// The connections that were added last.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct LastEnded {
    records: Vec<Connection>,
    /// The place of the oldest, once there are [`LEN`].
    oldest: usize,
}

impl LastEnded {
    /// The same from outside, where it may be anything.
    #[must_use]
    pub fn checked(mut self) -> Self {
        self.records.truncate(LEN);
        self.oldest %= LEN;
        if self.records.len() < LEN {
            self.oldest = 0;
        }
        self
    }

    /// Adds a connection, in place of the oldest.
    pub fn insert(&mut self, connection: &Connection) {
        // A socket that connects again has the same cookie.
        if let Some(record) = self.records.iter_mut().find(|record| record.cookie == connection.cookie) {
            *record = *connection;
        } else if self.records.len() < LEN {
            self.records.push(*connection);
        } else {
            self.records[self.oldest] = *connection;
            self.oldest = (self.oldest + 1) % LEN;
        }
    }

    /// Keeps some of them, which may be changed.
    pub(in crate::track) fn retain(&mut self, mut keeps: impl FnMut(&mut Connection) -> bool) {
        let oldest = self.oldest.min(self.records.len());
        self.records.rotate_left(oldest);
        self.records.retain_mut(&mut keeps);
        self.oldest = 0;
    }

    /// The connection with this cookie.
    #[must_use]
    pub fn find(&self, cookie: u64) -> Option<&Connection> {
        self.records.iter().find(|connection| connection.cookie == cookie)
    }

    /// The last connection that had these addresses and ports, if it ended shortly before.
    #[must_use]
    pub fn find_by_tuple(&self, tuple: &Tuple, at_ns: u64) -> Option<&Connection> {
        let is_recent = |connection: &&Connection| {
            connection.last_ns <= at_ns && at_ns - connection.last_ns <= ON_THE_WAY_NS
        };
        let same = self.records.iter().filter(|connection| connection.tuple == *tuple);
        same.filter(is_recent).max_by_key(|connection| connection.last_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_found() {
        let mut ended = LastEnded::default();
        for cookie in 1..=100 {
            let mut connection = Connection::default();
            connection.cookie = cookie;
            ended.insert(&connection);
        }
        assert!((37..=100).all(|cookie| ended.find(cookie).is_some()));
        assert!((0..37).all(|cookie| ended.find(cookie).is_none()));
    }

    #[test]
    fn the_last_one_with_a_tuple_is_found_for_a_while() {
        let mut ended = LastEnded::default();
        let tuple = |local_port| Tuple { local_port, ..Tuple::default() };
        for (cookie, last_ns, port) in [(1, 10, 80), (2, 20, 80), (3, 30, 81)] {
            let mut connection = Connection::default();
            (connection.cookie, connection.last_ns, connection.tuple) = (cookie, last_ns, tuple(port));
            ended.insert(&connection);
        }
        let find = |port, at_ns| ended.find_by_tuple(&tuple(port), at_ns).map(|found| found.cookie);
        assert_eq!((find(80, 25), find(80, 15), find(80, 5), find(82, 25)), (Some(2), Some(1), None, None));
        assert_eq!((find(80, 20 + ON_THE_WAY_NS), find(80, 21 + ON_THE_WAY_NS)), (Some(2), None));
    }
}
