//! Following the connections that wait as timewait sockets, of which no event tells.

use tracer_common::state as number;

use crate::{
    facts::snapshot::TimewaitSample,
    tcp::reason::Reason,
    track::{Tracker, Transition, connection::Connection, reason, table::prefetch::ahead},
};

impl Tracker {
    /// Follows the connections in TIME_WAIT, and orphans in FIN_WAIT2. `watermark_ns`: up to when events
    /// have come; what the sample proves is told as of then, so that lines stay in order.
    pub fn sample(&mut self, sample: &TimewaitSample, watermark_ns: u64, out: &mut impl FnMut(&Transition)) {
        let now_ns = watermark_ns.max(sample.from_ns);
        for (cookie, confirmed_ns) in self.timewaits.found(&sample.sockets, sample.from_ns) {
            // A look may meet a socket twice.
            let orphan = self.table.get(cookie).filter(|known| known.state == number::FIN_WAIT2);
            if let Some(connection) = orphan.copied() {
                self.turn_to_time_wait(&connection, now_ns, confirmed_ns, out);
            }
        }
        // Where hooks tell, what is not found may have been told of and not been read yet: only what two
        // looks have not found has been missed.
        let last_ns = std::mem::replace(&mut self.sampled_ns, sample.from_ns);
        let missing_ns = if self.is_told_of_timewait { last_ns } else { sample.from_ns };
        let missing = self.timewaits.missing(missing_ns, &sample.netns, &sample.gone);
        for (index, (cookie, confirmed_ns)) in missing.iter().copied().enumerate() {
            ahead(
                &missing,
                index,
                |(cookie, _)| self.table.prefetch_index(*cookie),
                |(cookie, _)| {
                    self.table.prefetch(*cookie);
                    self.ended.prefetch(*cookie);
                },
            );
            match self.table.get(cookie).copied() {
                None => self.timewaits.remove(cookie),
                Some(connection) if sample.gone.contains(&connection.tuple.netns) => {
                    self.give_up(&connection, watermark_ns, out);
                }
                Some(connection) => {
                    let timeout_ns = sample.fin_timeout_ns.get(&connection.tuple.netns).copied();
                    let reason = reason::waited_in_vain(&connection, now_ns, timeout_ns);
                    self.end_timewait(&connection, now_ns, confirmed_ns, reason, out);
                }
            }
        }
    }

    /// Its namespace is gone, or out of reach: nothing tells what becomes of it.
    fn give_up(&mut self, connection: &Connection, now_ns: u64, out: &mut impl FnMut(&Transition)) {
        if connection.state == number::FIN_WAIT2 {
            let mut transition = self.sampled(connection, number::FIN_WAIT2, now_ns, connection.last_ns);
            transition.reason = Some(Reason::Unknown);
            transition.is_silent = true;
            out(&transition);
        }
        self.timewaits.remove(connection.cookie);
        self.forget(connection.cookie);
    }

    pub(super) fn turn_to_time_wait(
        &mut self,
        connection: &Connection,
        now_ns: u64,
        confirmed_ns: u64,
        out: &mut impl FnMut(&Transition),
    ) {
        let mut transition = self.sampled(connection, number::TIME_WAIT, now_ns, confirmed_ns);
        transition.reason = Some(reason::orderly(connection, number::FIN_WAIT2));
        transition.connection.set_since(now_ns);
        transition.connection.is_ended = true;
        self.table.insert(transition.connection);
        self.timewaits.turn(connection.cookie, now_ns, now_ns.saturating_sub(confirmed_ns));
        out(&transition);
    }

    pub(super) fn end_timewait(
        &mut self,
        connection: &Connection,
        now_ns: u64,
        confirmed_ns: u64,
        reason: Option<Reason>,
        out: &mut impl FnMut(&Transition),
    ) {
        let mut transition = self.sampled(connection, number::CLOSE, now_ns, confirmed_ns);
        transition.reason = reason;
        self.timewaits.remove(connection.cookie);
        self.forget(connection.cookie);
        out(&transition);
    }

    /// A transition that nobody reported: it happened between `confirmed_ns` and `now_ns`.
    fn sampled(&self, connection: &Connection, new_state: u8, now_ns: u64, confirmed_ns: u64) -> Transition {
        let mut connection = *connection;
        let old_state = connection.state;
        self.forget_across_loss_gap(&mut connection);
        let state_ns = connection.leave(now_ns);
        connection.state = new_state;
        connection.last_ns = now_ns;
        let error_ns = now_ns.saturating_sub(confirmed_ns) + self.timewaits.doubt_ns(connection.cookie);
        Transition { state_ns, error_ns, ..Transition::found(connection, now_ns, old_state, new_state) }
    }
}
