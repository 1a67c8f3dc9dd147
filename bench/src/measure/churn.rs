//! Measures contestants on the load of connections that are opened and closed.

use std::{path::Path, time::Duration};

use anyhow::Result;

use super::turns::Turns;
use crate::{
    contestant::Contestant,
    interrupt,
    load::churn::Churn,
    process::{Process, ticks_s},
    programs,
    report::churn::Sample,
};

/// Length of the second window, in which the kernel measures the BPF programs. That costs throughput, so the
/// first window goes without.
const STATS_S: f64 = 1.0;

/// Wait before a window, so that it contains neither the last work of a start nor the kernel's work after an
/// end.
pub(super) const SETTLE_TIME: Duration = Duration::from_millis(200);

/// How to measure.
pub(crate) struct Plan<'a> {
    /// The contestants, and the number of rounds.
    pub turns: Turns<'a>,
    /// Length of a window.
    pub seconds: f64,
    /// The kind of connections.
    pub churn: &'a Churn,
    /// The folder for contestants' output.
    pub scratch: &'a Path,
}

impl Plan<'_> {
    /// Measures all contestants in all rounds. Returns the samples, and the untraced rates.
    pub(crate) fn run(&self) -> Result<(Vec<Sample>, Vec<f64>)> {
        if self.turns.contestants.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        eprintln!("bench: filling TIME_WAIT, so that all contestants find the same");
        self.churn.fill_time_wait()?;
        let measured =
            self.turns.run(|| self.untraced(), |round, contestant| self.traced(round, contestant))?;
        let samples = measured
            .turns
            .into_iter()
            .map(|turn| Sample { untraced_per_s: turn.untraced_per_s, ..turn.sample });
        Ok((samples.collect(), measured.untraced_per_s))
    }

    fn untraced(&self) -> Result<f64> {
        self.churn.fill_time_wait()?;
        interrupt::sleep(SETTLE_TIME)?;
        Ok(self.churn.run(self.seconds)?.connections_per_s)
    }

    fn traced(&self, round: u32, contestant: &Contestant) -> Result<Sample> {
        self.churn.fill_time_wait()?;
        let running = contestant.start(self.scratch)?;
        interrupt::sleep(SETTLE_TIME)?;
        let programs = programs::of(running.pid());
        let process = Process::of(running.pid());

        let (ticks, wakeups) = (process.cpu_ticks()?, process.wakeups()?);
        let timed = self.churn.run(self.seconds)?;
        let wakeups = process.wakeups()?.saturating_sub(wakeups);
        process.wait_until_idle()?;

        let enabled = programs::measure_runs()?;
        let before = programs::run_stats(&programs);
        let counted = self.churn.run(STATS_S)?;
        let ran = programs::run_stats(&programs).since(before);
        drop(enabled);
        process.wait_until_idle()?;

        let cpu_s = ticks_s(process.cpu_ticks()? - ticks);
        let peak = process.peak_memory()?;
        let ready_ms = running.ready.as_secs_f64() * 1e3;
        let counts = running.finish(self.scratch)?;
        Ok(Sample {
            round,
            contestant: contestant.name.to_owned(),
            connections_per_s: timed.connections_per_s,
            untraced_per_s: 0.0,
            failures: timed.failures + counted.failures,
            expected: timed.events + counted.events,
            seen: counts.seen,
            lost: counts.lost,
            cpu_s,
            ran,
            ran_events: counted.events,
            wakeups_per_s: per_second(wakeups, timed.elapsed_s),
            peak_mib: peak.mib,
            peak_beside_ring_mib: peak.beside_ring_mib,
            ready_ms,
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "wakeups of some seconds")]
fn per_second(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds
}
