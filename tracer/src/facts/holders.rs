//! Which processes hold which sockets.

use tracer_common::event::Holder;

use crate::facts::{columns, snapshot::Snapshot};

/// All TCP sockets that processes hold.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Holders {
    /// Start and end of the search, in nanoseconds of the kernel's monotonic clock.
    pub during_ns: (u64, u64),
    /// Sorted by cookie and process, each pair once.
    #[serde(with = "columns")]
    sorted: Vec<Holder>,
    /// Tokens of MPTCP connections, sorted, each with the cookie in `sorted`.
    tokens: Vec<(u32, u64)>,
    /// Whether all processes of the host were searched. If not, a socket without a holder may have one.
    pub is_complete: bool,
    /// When the next search is allowed, in nanoseconds of the kernel's monotonic clock; 0 if at any time.
    pub next_ns: u64,
}

impl Holders {
    /// From what the kernel lists: a process that has several file descriptors of a socket is listed for each.
    #[must_use]
    pub fn new(during_ns: (u64, u64), mut found: Vec<Holder>, is_complete: bool) -> Self {
        found.sort_unstable_by_key(|holder| (holder.cookie, holder.pid));
        found.dedup_by_key(|holder| (holder.cookie, holder.pid));
        let with_token = found.iter().filter(|holder| holder.mptcp_token != 0);
        let mut tokens: Vec<_> = with_token.map(|holder| (holder.mptcp_token, holder.cookie)).collect();
        tokens.sort_unstable();
        Self { during_ns, sorted: found, tokens, is_complete, next_ns: 0 }
    }

    /// Those in a snapshot, if it has all of them: a part says of no socket that it has all of its holders.
    #[must_use]
    pub fn in_snapshot(snapshot: &Snapshot) -> Option<Self> {
        // Only the first part of several has holders.
        let was_searched = !snapshot.is_part || !snapshot.holders.is_empty();
        if !was_searched || snapshot.holders_are_cut_off {
            return None;
        }
        let holders = snapshot.holders.iter().map(|event| Holder {
            cookie: event.cookie,
            comm: event.comm,
            pid: event.pid,
            mptcp_token: event.mptcp_token,
        });
        Some(Self::new(snapshot.holders_ns, holders.collect(), snapshot.knows_all_holders))
    }

    /// Replaces each cookie by another one; a socket that gets 0 is left out.
    pub fn renumber(&mut self, number: impl Fn(u64) -> u64) {
        let mut holders = std::mem::take(&mut self.sorted);
        for holder in &mut holders {
            holder.cookie = number(holder.cookie);
        }
        holders.retain(|holder| holder.cookie != 0);
        *self = Self { next_ns: self.next_ns, ..Self::new(self.during_ns, holders, self.is_complete) };
    }

    /// Keeps some of them, which may be changed, except for their cookies and processes.
    pub fn edit(&mut self, mut keeps: impl FnMut(&mut Holder) -> bool) {
        self.sorted.retain_mut(&mut keeps);
        let cookies = &self.sorted;
        let is_there = |cookie| cookies.binary_search_by_key(&cookie, |holder| holder.cookie).is_ok();
        self.tokens.retain(|(_, cookie)| is_there(*cookie));
    }

    /// The sockets, each with its holders.
    pub fn by_socket(&self) -> impl Iterator<Item = &[Holder]> {
        self.sorted.chunk_by(|one, next| one.cookie == next.cookie)
    }

    /// The holders of a socket; for a subflow of MPTCP (`token` is not 0) those of its connection.
    ///
    /// ```
    /// use tracer::facts::holders::Holders;
    /// use tracer_common::event::Holder;
    ///
    /// let holder = |cookie, pid| Holder { cookie, pid, ..Holder::default() };
    /// let holders = Holders::new((0, 0), vec![holder(7, 2), holder(7, 1), holder(8, 1), holder(7, 2)], true);
    /// let pids: Vec<_> = holders.of(7, 0).iter().map(|holder| holder.pid).collect();
    /// assert_eq!(pids, [1, 2]);
    /// ```
    #[must_use]
    pub fn of(&self, cookie: u64, token: u32) -> &[Holder] {
        let of_cookie = |cookie: u64| {
            let begin = self.sorted.partition_point(|holder| holder.cookie < cookie);
            let end = self.sorted.partition_point(|holder| holder.cookie <= cookie);
            self.sorted.get(begin..end).unwrap_or_default()
        };
        let found = of_cookie(cookie);
        if token == 0 || !found.is_empty() {
            return found;
        }
        // Another subflow is the one that stands for the connection.
        let at = self.tokens.partition_point(|(other, _)| *other < token);
        self.tokens.get(at).filter(|(found, _)| *found == token).map_or(&[], |(_, cookie)| of_cookie(*cookie))
    }

    /// Whether any holder has MPTCP connections.
    #[must_use]
    pub fn has_mptcp(&self) -> bool {
        !self.tokens.is_empty()
    }
}
