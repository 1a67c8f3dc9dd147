//! Who holds the sockets now. An owner that was seen at work may have handed its socket on (`fork`, SCM_RIGHTS),
//! taken another name, or exited; one that is only inherited was never seen with it.

use tracer_common::{event::Holder, state as number};

use crate::{
    facts::holders::Holders,
    track::{
        Tracker,
        connection::Connection,
        owner::{Evidence, Owner},
        table::prefetch::prefetch_ahead,
    },
};

/// How long a line about a stuck connection waits for the answer who holds it, in nanoseconds.
pub(super) const PATIENCE_NS: u64 = 3_000_000_000;

impl Tracker {
    /// Sets whether the source tells who holds which sockets.
    #[must_use]
    pub fn with_holders(self, expects_holders: bool) -> Self {
        Self { expects_holders, ..self }
    }

    /// Corrects the owners by those who hold the sockets now. Skips sockets with an event since the search
    /// began: who was at work then knows better.
    pub fn merge_holders(&mut self, holders: &Holders) {
        self.next_holders_ns = holders.next_ns;
        self.take_holders(holders, holders.during_ns.0, |connection, of_socket| {
            connection.owner.correct(of_socket);
        });
    }

    /// The same for the holders in a snapshot, which does not know better than an event.
    pub fn count_holders(&mut self, holders: &Holders) {
        self.take_holders(holders, holders.during_ns.1, |connection, of_socket| {
            if let [first, ..] = of_socket {
                connection.owner.learn(Owner::holder(first, Evidence::Snapshot));
            }
            connection.owner.set_holders(of_socket.len());
        });
    }

    /// `take` gets sockets without an event after `quiet_ns`.
    fn take_holders(&mut self, holders: &Holders, quiet_ns: u64, take: impl Fn(&mut Connection, &[Holder])) {
        self.holders_ns = holders.during_ns.0;
        self.search = self.search.wrapping_add(1);
        let sockets: Vec<_> = holders.by_socket().collect();
        for (index, of_socket) in sockets.iter().enumerate() {
            let [first, ..] = of_socket else {
                continue;
            };
            prefetch_ahead(
                &sockets,
                index,
                |later| self.table.prefetch_index(later[0].cookie),
                |later| self.table.prefetch(later[0].cookie),
            );
            let Some(connection) = self.table.get_mut(first.cookie) else {
                continue;
            };
            connection.owner.search = self.search;
            if connection.is_settled_since(quiet_ns) {
                take(connection, of_socket);
                if connection.state == number::LISTEN {
                    self.listeners.add(connection);
                }
            }
        }
        self.take_unfound(holders, quiet_ns, take);
    }

    /// Sockets that the search has not found. They are subflows of an MPTCP connection, or nobody holds them.
    fn take_unfound(&mut self, holders: &Holders, quiet_ns: u64, take: impl Fn(&mut Connection, &[Holder])) {
        let has_mptcp = holders.has_mptcp();
        for connection in self.table.iter_mut() {
            if connection.owner.search == self.search || !connection.is_settled_since(quiet_ns) {
                continue;
            }
            if has_mptcp && connection.mptcp_token != 0 {
                let of_connection = holders.of(connection.cookie, connection.mptcp_token);
                if !of_connection.is_empty() {
                    take(connection, of_connection);
                    continue;
                }
            }
            if holders.is_complete {
                connection.owner.set_holders(0);
            }
        }
    }

    /// No search and no look will follow: lines wait no longer.
    pub fn expect_no_holders(&mut self) {
        self.patience_ns = 0;
    }

    /// When the last search began.
    #[must_use]
    pub fn holders_ns(&self) -> u64 {
        self.holders_ns
    }

    /// Since when a line waits for the answer who holds its socket; `None` if none does.
    #[must_use]
    pub fn wants_holders(&self) -> Option<u64> {
        self.wants_holders_ns
    }
}

impl Connection {
    /// Whether a search tells who holds it: a full socket without an event since `quiet_ns`, in a state in
    /// which a process holds it. After its own close nobody does, and the owner is who closed it.
    fn is_settled_since(&self, quiet_ns: u64) -> bool {
        self.last_ns <= quiet_ns && self.may_have_holders()
    }

    /// Whether a process may hold it.
    pub(super) fn may_have_holders(&self) -> bool {
        let is_held = matches!(
            self.state,
            number::SYN_SENT | number::ESTABLISHED | number::CLOSE_WAIT | number::LISTEN | number::FIN_WAIT2
        );
        is_held && !self.is_timewait && !self.is_bare()
    }

    /// Whether it is doubtful that the owner holds it now: it is only inherited, nobody was found, or the search
    /// took too long.
    #[must_use]
    pub fn has_doubtful_owner(&self) -> bool {
        let owner = &self.owner;
        owner.evidence == Evidence::Listener
            || (owner.is_known() && self.is_owner_in_doubt())
            || (owner.is_known() && owner.holders() == Some(0) && self.may_have_holders())
    }
}
