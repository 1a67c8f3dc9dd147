//! The end of a capture: what is left is shown or counted, and the receipt is made.

use tracer_common::event::kind;

use crate::{
    facts::Fact,
    run::{
        capture::{Capture, around},
        error::Error,
        receipt::Receipt,
        stop::Stop,
    },
    source::{Demand, Source},
    view::ClosingReceipt,
};

impl<S: Source> Capture<S> {
    /// Ends the capture, and shows what had happened by then. A second signal or a blocked reader cuts this
    /// short; transitions that are not shown then are counted.
    pub(super) async fn finish(&mut self, result: Result<(), Error>, stop: &mut Stop) -> Result<(), Error> {
        self.manager.stopping();
        self.source.stop();
        let result = match result {
            Ok(()) => stop.unless_impatient(self.write_rest()).await,
            error => error,
        };
        let result = match result {
            Err(Error::Impatience) => result,
            _ => result.and(stop.unless_impatient(self.export_rest()).await),
        };
        if result.is_err() {
            self.output.abandon();
            self.unread += self.skip_rest().await;
        } else if self.stages.is_full() {
            self.past_limit += self.skip_rest().await;
        }
        result
    }

    async fn write_rest(&mut self) -> Result<(), Error> {
        while self.totals.is_none() && !self.stages.is_full() {
            self.output.patience().await?;
            let demand = Demand::all(self.stages.timewait_by_netns());
            let fact = self.source.next(demand).await?;
            self.take(fact);
            if !(self.out.len() < self.at_once && self.source.has_more()) {
                self.write();
            }
        }
        if self.stages.wants_receipt() {
            let receipt = self.receipt();
            let lines = receipt.to_string().lines().map(str::to_owned).collect();
            self.stages.receipt(ClosingReceipt { lines, is_complete: receipt.is_complete() });
        }
        let mut around = around(&mut self.source);
        self.stages.end(&mut around, &mut self.out);
        self.lead_to_explanations();
        self.lines += self.stages.take_lines();
        self.output.patience().await?;
        self.write();
        self.output.patience().await?;
        let now_ns = self.stages.now_ns();
        Ok(self.output.finish_files(now_ns, |time_ns| self.stages.wall_ns(time_ns))?)
    }

    /// Makes the last pages for what sends them.
    async fn export_rest(&mut self) -> Result<(), Error> {
        while let Some(requests) = &mut self.requests
            && let Some(request) = requests.next_last().await
        {
            self.answer(request);
        }
        Ok(())
    }

    /// Reads the remaining facts without showing them. Returns the number of transitions.
    async fn skip_rest(&mut self) -> u64 {
        let mut skipped = 0;
        while self.totals.is_none() {
            let demand = Demand::all(self.stages.timewait_by_netns());
            match self.source.next(demand).await {
                Ok(Fact::Events(batch)) => {
                    let transitions = batch.events.iter().filter(|event| event.kind == kind::TRANSITION);
                    skipped += transitions.count() as u64;
                    self.source.recycle(batch.events);
                }
                Ok(Fact::End(totals)) => self.totals = Some(totals),
                Ok(Fact::CountersAtEnd(counters)) => {
                    self.comparison.at_end(counters, self.stages.tracker_mut());
                }
                Ok(_) => {}
                Err(_) => return skipped,
            }
        }
        skipped
    }

    /// Builds the receipt.
    pub(super) fn receipt(&mut self) -> Receipt {
        let counts = self.stages.counts();
        let totals = self.totals.unwrap_or_default();
        let select = self.stages.select();
        let mut receipt = Receipt {
            seen: self.read - counts.hook_events_seen
                + totals.filtered.unwrap_or_default()
                + self.unread
                + self.past_limit,
            shown: if self.stages.has_lines() { self.output.written() } else { counts.shown },
            filtered: totals.filtered.map(|filtered| filtered + select.filtered() + counts.outside),
            beyond: counts.beyond + self.past_limit,
            unwritten: self.output.unwritten() + self.lines + self.unread,
            losses: totals.losses,
            gaps: 0,
            cut_off: totals.is_cut_off,
            damaged: totals.is_damaged || self.is_damaged,
            sampled: counts.sampled,
            incidents: counts.incidents_shown,
            stuck: counts.stuck_shown,
            forgotten: select.given_up(),
            crowded_out_hooks: self
                .source
                .kernel()
                .hooks
                .crowded_out()
                .map(|hook| hook.hook.clone().into())
                .collect(),
            connections: None,
            kernel: None,
            hosts: Vec::new(),
        };
        self.comparison.is_cut_short = self.stages.is_full() || self.unread > 0 || totals.is_joined;
        if let Some(tracker) = self.stages.tracker() {
            self.comparison.conclude(tracker, &mut receipt);
        }
        receipt
    }
}
