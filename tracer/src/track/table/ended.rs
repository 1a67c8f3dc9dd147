//! Connections that have just ended otherwise than in order. The RST of such an end may be reported after it, when the
//! socket is in CLOSE; its line still has to say whose it is.

use crate::track::connection::Connection;

/// How many are remembered. The RST comes within microseconds, but other CPUs report at the same time.
const LEN: usize = 64;

/// The connections that were added last.
#[derive(Debug, Default)]
pub struct LastEnded {
    records: Vec<Connection>,
    /// The place of the oldest, once there are [`LEN`].
    oldest: usize,
}

impl LastEnded {
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

    /// The connection with this cookie.
    #[must_use]
    pub fn find(&self, cookie: u64) -> Option<&Connection> {
        self.records.iter().find(|connection| connection.cookie == cookie)
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
}
