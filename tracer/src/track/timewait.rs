//! Following timewait sockets, whose changes fire no event on `inet_sock_set_state`.

use tracer_common::state as number;

use crate::{
    facts::snapshot::TimewaitSample,
    tcp::reason::Reason,
    track::{Tracker, Transition, connection::Connection, reason, table::prefetch::prefetch_ahead},
};

impl Tracker {
    /// Merges a sample of timewait sockets. Emits orphans that went from FIN_WAIT2 to TIME_WAIT, and the ends
    /// of sockets that the sample does not contain. All events up to `watermark_ns` have been taken; the
    /// transitions get that time, so that lines stay in order.
    pub fn sample(&mut self, sample: &TimewaitSample, watermark_ns: u64, out: &mut impl FnMut(&Transition)) {
        let now_ns = watermark_ns.max(sample.from_ns);
        for (cookie, confirmed_ns) in
            self.timewaits.confirm_sampled(&sample.sockets, sample.from_ns, self.tick_ns)
        {
            // A sample may contain a socket twice.
            let orphan = self.table.get(cookie).filter(|known| known.state == number::FIN_WAIT2);
            if let Some(connection) = orphan.copied() {
                self.turn_to_time_wait(&connection, now_ns, confirmed_ns, out);
            }
        }
        // If hooks report ends, that of a socket which is not in the sample may not have been read yet. So
        // only a socket that is missing from two samples of its namespace has ended unseen.
        let missing = self.timewaits.missing(sample, self.has_timewait_hooks);
        for (index, (cookie, confirmed_ns)) in missing.iter().copied().enumerate() {
            prefetch_ahead(
                &missing,
                index,
                |(cookie, _)| self.table.prefetch_index(*cookie),
                |(cookie, _)| {
                    self.table.prefetch(*cookie);
                    self.recently_ended.prefetch(*cookie);
                },
            );
            match self.table.get(cookie).copied() {
                None => self.timewaits.remove(cookie),
                Some(connection) if sample.gone.contains(&connection.tuple.netns_id()) => {
                    self.end_with_netns(&connection, watermark_ns, out);
                }
                Some(connection) => {
                    let timeout_ns = sample.fin_timeout_ns.get(&connection.tuple.netns_id()).copied();
                    let due_ns = self.due_ns(&connection, timeout_ns);
                    let reason = reason::orphan_reason(&connection, now_ns, due_ns);
                    self.end_timewait(&connection, now_ns, confirmed_ns, reason, out);
                }
            }
        }
    }

    /// Drops a connection whose namespace is gone or cannot be entered: its end cannot be seen.
    fn end_with_netns(&mut self, connection: &Connection, now_ns: u64, out: &mut impl FnMut(&Transition)) {
        if connection.state == number::FIN_WAIT2 {
            let mut transition = self.sampled(connection, number::FIN_WAIT2, now_ns, connection.last_ns);
            self.give_reason(&mut transition, Reason::Unknown);
            transition.is_silent = true;
            out(&transition);
        }
        self.timewaits.remove(connection.cookie);
        self.end(connection.cookie);
    }

    /// Emits an orphan's transition from FIN_WAIT2 to TIME_WAIT, and follows it further. `confirmed_ns` is
    /// when it was last known to be in FIN_WAIT2.
    pub(super) fn turn_to_time_wait(
        &mut self,
        connection: &Connection,
        now_ns: u64,
        confirmed_ns: u64,
        out: &mut impl FnMut(&Transition),
    ) {
        let mut transition = self.sampled(connection, number::TIME_WAIT, now_ns, confirmed_ns);
        self.give_reason(&mut transition, reason::orderly_reason(connection, number::FIN_WAIT2));
        transition.connection.set_since(now_ns);
        transition.connection.is_ended = true;
        self.table.insert(transition.connection);
        self.timewaits.set_time_wait(connection.cookie, now_ns, now_ns.saturating_sub(confirmed_ns));
        out(&transition);
    }

    /// Emits the end of a timewait socket that was last known to exist at `confirmed_ns`.
    pub(super) fn end_timewait(
        &mut self,
        connection: &Connection,
        now_ns: u64,
        confirmed_ns: u64,
        reason: Option<Reason>,
        out: &mut impl FnMut(&Transition),
    ) {
        let mut transition = self.sampled(connection, number::CLOSE, now_ns, confirmed_ns);
        if let Some(reason) = reason {
            self.give_reason(&mut transition, reason);
            self.last_ended.insert(&transition.connection);
        }
        self.timewaits.remove(connection.cookie);
        self.end(connection.cookie);
        out(&transition);
    }

    /// A transition without an event: it happened between `confirmed_ns` and `now_ns`, or when a hook told that
    /// the socket is gone.
    fn sampled(&self, connection: &Connection, new_state: u8, now_ns: u64, confirmed_ns: u64) -> Transition {
        let mut connection = *connection;
        // A timewait socket enters each of its states once, so what was lost since is no other stay in it.
        let old_state = connection.state;
        let gone_ns = self.timewaits.gone_ns(connection.cookie);
        let (left_ns, error_ns) =
            gone_ns.map_or_else(|| (now_ns, now_ns.saturating_sub(confirmed_ns)), |gone_ns| (gone_ns, 0));
        let state_ns = connection.leave(left_ns);
        connection.state = new_state;
        connection.last_ns = now_ns;
        let error_ns = error_ns + self.timewaits.uncertainty_ns(connection.cookie);
        Transition {
            state_ns,
            error_ns,
            ..Transition::without_event(connection, now_ns, old_state, new_state)
        }
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::{
        Event,
        event::{TimewaitSocket, flag},
    };
    use zerocopy::FromZeros as _;

    use super::*;
    use crate::tcp::netns::NetnsId;

    /// A sample of these namespaces that contains no socket.
    fn sample(at_ns: u64, netns: &[u32]) -> TimewaitSample {
        let netns = netns.iter().map(|inum| NetnsId::new(*inum, 0)).collect();
        TimewaitSample { from_ns: at_ns, netns, ..TimewaitSample::default() }
    }

    /// A tracker with hooks, and a connection in TIME_WAIT in namespace 1.
    fn waiting() -> Tracker {
        let mut tracker = Tracker::new(true).with_timewait_hook(true);
        let (old_state, new_state) = (number::FIN_WAIT2, number::CLOSE);
        let event = Event { time_ns: 10, cookie: 7, netns: 1, old_state, new_state, ..Event::new_zeroed() };
        tracker.event(&Event { flags: flag::DONE, ..event }, &mut |_| {});
        tracker
    }

    #[test]
    fn its_time_is_known_although_others_events_were_lost() {
        let mut tracker = waiting();
        tracker.lost(20);
        let mut times = Vec::new();
        for at_ns in [30, 40] {
            let sample = sample(at_ns, &[1]);
            tracker.sample(&sample, at_ns, &mut |transition| times.push(transition.state_ns));
        }
        assert!(matches!(times[..], [Some(1..)]), "{times:?}");
    }

    #[test]
    fn only_samples_of_its_namespace_tell_of_a_socket() {
        let there = TimewaitSocket { cookie: 7, state: u32::from(number::TIME_WAIT), rest_jiffies: 0 };
        let with_it = |at_ns| TimewaitSample { sockets: vec![there], ..sample(at_ns, &[1]) };
        for (samples, is_over) in [
            (vec![sample(20, &[2]), sample(30, &[1, 2])], false),
            (vec![sample(20, &[1]), sample(30, &[2])], false),
            (vec![sample(20, &[1]), with_it(30), sample(40, &[1])], false),
            (vec![sample(20, &[1]), sample(30, &[2]), sample(40, &[1])], true),
        ] {
            let mut tracker = waiting();
            for sample in &samples {
                tracker.sample(sample, sample.from_ns, &mut |_| {});
            }
            assert_eq!(tracker.is_empty(), is_over, "{samples:?}");
        }
    }
}
