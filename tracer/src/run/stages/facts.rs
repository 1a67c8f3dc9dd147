//! What each type of fact does to the stages.

use tracer_common::{
    Event,
    event::{Holder, flag, kind},
};

use crate::{
    facts::{
        Batch,
        checkpoint::Checkpoint,
        gauges::Gauges,
        holders::Holders,
        interfaces::Interfaces,
        names::Names,
        snapshot::{Snapshot, TimewaitSample},
    },
    run::stages::{
        ActContext, Stages,
        lines::{LineCounter, showing},
    },
    time::clock::{Anchor, Clock},
    track::prefetch_groups,
};

/// How often a view acts by itself in one batch, at most: every second for an hour. Someone may have written a
/// recording whose time leaps by centuries.
const MOST_ACTS: usize = 4096;

impl Stages {
    /// Takes a clock anchor. The first one starts the run; later ones follow changes of the wall clock.
    pub fn clock(&mut self, anchor: Anchor) {
        if self.has_clock {
            self.context.clock.set(anchor);
        } else {
            (self.context.clock, self.has_clock) = (Clock::new(anchor), true);
        }
    }

    /// Takes a batch of events. If the view is due before the end of the batch, it acts in between, at its
    /// due time, provided that `may_act` accepts the bytes made so far. After a great leap of time it does so once more,
    /// at the end, and what was due in between is left out.
    pub fn events(
        &mut self,
        batch: &Batch,
        may_act: impl Fn(&[u8]) -> bool,
        around: &mut ActContext<'_>,
        out: &mut Vec<u8>,
    ) {
        let (mut events, until_ns) = (&batch.events[..], batch.until_ns);
        self.learn_names(events, around.names);
        let mut acts = 0;
        while let Some(due_ns) = self.due().filter(|due_ns| *due_ns <= until_ns)
            && acts <= MOST_ACTS
            && may_act(out)
            && self.ending().is_none()
        {
            let due_ns = if acts == MOST_ACTS { until_ns } else { due_ns };
            acts += 1;
            let before = events.partition_point(|event| event.time_ns <= due_ns);
            self.show(&events[..before], around.names, out);
            events = &events[before..];
            // An action may be late, but time never goes back.
            self.now_ns = self.now_ns.max(due_ns);
            self.act(around, out);
        }
        self.show(events, around.names, out);
        self.now_ns = self.now_ns.max(until_ns);
    }

    fn learn_names(&mut self, events: &[Event], names: &mut dyn Names) {
        if self.shows_names {
            for event in events {
                self.context.names.learn(event, names);
            }
        }
    }

    fn show(&mut self, events: &[Event], names: &mut dyn Names, out: &mut Vec<u8>) {
        self.last_event_ns = events.last().map_or(self.last_event_ns, |event| event.time_ns);
        let mut counter = LineCounter::new(&self.counts, self.limit, self.span);
        if self.has_stories {
            self.show_stories(events, &mut counter, names, out);
        } else {
            self.show_raw(events, &mut counter, out);
        }
        self.shown(&counter, out);
    }

    fn show_raw(&mut self, events: &[Event], counter: &mut LineCounter, out: &mut Vec<u8>) {
        for event in events {
            if event.kind != kind::TRANSITION {
                self.counts.hook_events_seen += 1;
            } else if counter.next(event.time_ns, true) {
                let at = out.len();
                self.view.event(event, &self.context, out);
                self.starts.add(at, out, event.time_ns, &self.context);
            }
        }
    }

    fn show_stories(
        &mut self,
        events: &[Event],
        counter: &mut LineCounter,
        names: &mut dyn Names,
        out: &mut Vec<u8>,
    ) {
        let Self { tracker, select, view, context, counts, starts, .. } = self;
        for [group, next, after] in prefetch_groups(events) {
            tracker.prefetch(next, after);
            for event in group {
                counts.hook_events_seen += u64::from(event.kind != kind::TRANSITION);
                if select.refuses(event) {
                    tracker.drop_filtered(event.cookie);
                    continue;
                }
                let before = counter.shown;
                {
                    let mut show = showing(&mut **view, counter, context, (out, starts));
                    tracker.event(event, &mut |transition| {
                        select.learn_cgroups(&transition.connection, names);
                        select.pass(transition, &mut show);
                    });
                }
                // Other hooks report these transitions, not the tracepoint.
                if kind::implies_transition(event.kind) {
                    counts.sampled += counter.shown - before;
                }
            }
        }
    }

    /// Shows the transitions that follow from a sample of timewait sockets.
    pub fn sample(&mut self, sample: &TimewaitSample, out: &mut Vec<u8>) {
        if !self.has_stories {
            return;
        }
        let mut counter = LineCounter::new(&self.counts, self.limit, self.span);
        let Self { tracker, select, view, context, now_ns, starts, .. } = self;
        {
            let mut show = showing(&mut **view, &mut counter, context, (out, starts));
            tracker.sample(sample, *now_ns, &mut |transition| select.pass(transition, &mut show));
        }
        self.counts.sampled += counter.shown - self.counts.shown;
        self.shown(&counter, out);
    }

    /// Merges a snapshot: adds the sockets that the filters select, and retires connections that are not in
    /// it, because they ended without an event. Returns the number of retired connections.
    pub fn snapshot(&mut self, mut snapshot: Snapshot, names: &mut dyn Names) -> u64 {
        if !self.has_stories {
            return 0;
        }
        let retired = if self.tracker.is_empty() { 0 } else { self.tracker.retire(&snapshot) };
        let holders = Holders::in_snapshot(&snapshot);
        // Listeners need their owners first, because their connections inherit them.
        for sockets in [&mut snapshot.holders, &mut snapshot.sockets] {
            sockets.retain(|socket| socket.flags & flag::BARE == 0 && self.select.wants(socket));
            self.tracker.merge_snapshot(sockets);
            self.learn_names(sockets, names);
        }
        if let Some(holders) = holders {
            self.tracker.count_holders(&holders);
            self.context.holders = holders;
        }
        self.context.interfaces.extend(snapshot.interfaces);
        retired as u64
    }

    /// Takes over what was known at a checkpoint, and returns whether it could be read.
    pub fn restore(&mut self, checkpoint: &Checkpoint, names: &mut dyn Names) -> bool {
        self.now_ns = self.now_ns.max(checkpoint.at_ns);
        let restored = if self.has_stories { self.tracker.restore(checkpoint) } else { Ok(()) };
        if let Err(error) = &restored {
            log::warn!("{error}");
        }
        if self.shows_names {
            for connection in self.tracker.iter() {
                self.context.names.learn_ids(connection.cgroup, connection.tuple.netns_id(), names);
                self.context.names.learn_process(connection.owner.pid, checkpoint.at_ns, names);
            }
        }
        restored.is_ok()
    }

    /// Corrects the owners of sockets by those who hold them now.
    pub fn holders(&mut self, holders: Holders, names: &mut dyn Names) {
        if self.shows_names {
            for first in holders.by_socket().filter_map(<[Holder]>::first) {
                self.context.names.learn_process(first.pid, holders.during_ns.1, names);
            }
        }
        self.tracker.merge_holders(&holders);
        self.context.holders = holders;
    }

    /// Takes names of network devices.
    pub fn interfaces(&mut self, interfaces: Interfaces) {
        self.context.interfaces.extend(interfaces);
    }

    /// Takes what the kernel counts in network namespaces.
    pub fn gauges(&mut self, gauges: Gauges) {
        self.context.gauges = gauges;
    }

    /// Updates connections from the current counters of full sockets, such as queues and bytes.
    pub fn refresh(&mut self, sockets: &[Event], is_part: bool) {
        self.tracker.refresh(sockets, is_part);
    }

    /// Takes the number of transitions lost so far. If it has changed, durations across the loss gap are
    /// unknown.
    pub fn losses(&mut self, lost: Option<u64>, until_ns: u64) {
        if lost.is_some() && lost != self.lost {
            self.tracker.lost(until_ns);
        }
        self.lost = lost;
        if self.span.is_before(until_ns) {
            self.lost_before = lost;
        }
    }
}
