//! The rounds: every contestant in turn, and nobody in between.

use std::{path::Path, time::Duration, time::Instant};

use anyhow::{Context as _, Result};

use crate::{
    contestant::Contestant,
    interrupt,
    load::Load,
    process::{Looked, ticks_s},
    programs,
    report::Sample,
};

/// Length of the window in which the kernel measures the programs, which costs throughput and so
/// is a window of its own.
const STATS_S: f64 = 1.0;

/// What a contestant does after it has said that it is ready is none of its load's.
const SETTLES: Duration = Duration::from_millis(200);

/// How to measure.
pub(crate) struct Plan<'a> {
    /// Who takes part.
    pub contestants: Vec<&'static Contestant>,
    /// How many rounds.
    pub rounds: u32,
    /// Length of a window.
    pub seconds: f64,
    /// What kind of connections.
    pub load: &'a Load,
    /// Where contestants write.
    pub scratch: &'a Path,
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Measured {
    /// Contestants in rounds.
    pub samples: Vec<Sample>,
    /// Connections per second of nobody, before, between and after them.
    pub untraced: Vec<f64>,
}

impl Plan<'_> {
    /// Measures all.
    pub(crate) fn run(&self) -> Result<Measured> {
        let mut measured = Measured::default();
        if self.contestants.is_empty() {
            return Ok(measured);
        }
        eprintln!("bench: filling TIME_WAIT, so that all find it alike");
        self.load.fill_time_wait()?;
        let started = Instant::now();
        let mut before = self.untraced(&mut measured)?;
        for round in 1..=self.rounds {
            for contestant in self.order(round) {
                self.progress(round, contestant.name, measured.samples.len(), started);
                let mut sample = self.measure(round, contestant).with_context(|| contestant.name)?;
                let after = self.untraced(&mut measured)?;
                sample.untraced_per_s = f64::midpoint(before, after);
                before = after;
                measured.samples.push(sample);
            }
        }
        Ok(measured)
    }

    /// Each round begins one further, so that nobody always follows the same.
    fn order(&self, round: u32) -> impl Iterator<Item = &'static Contestant> + '_ {
        let first = (round as usize - 1) % self.contestants.len();
        self.contestants.iter().copied().cycle().skip(first).take(self.contestants.len())
    }

    fn progress(&self, round: u32, name: &str, done: usize, started: Instant) {
        let all = self.rounds as usize * self.contestants.len();
        let left = match u32::try_from(done) {
            Ok(done @ 1..) => {
                let each = started.elapsed() / done;
                format!(
                    ", {} s left",
                    (each * u32::try_from(all).unwrap_or(done).saturating_sub(done)).as_secs()
                )
            }
            _ => String::new(),
        };
        eprintln!("bench: round {round} of {}, {} of {all}: {name}{left}", self.rounds, done + 1);
    }

    fn untraced(&self, measured: &mut Measured) -> Result<f64> {
        self.load.fill_time_wait()?;
        let connections_per_s = self.load.run(self.seconds)?.connections_per_s;
        measured.untraced.push(connections_per_s);
        Ok(connections_per_s)
    }

    fn measure(&self, round: u32, contestant: &Contestant) -> Result<Sample> {
        self.load.fill_time_wait()?;
        let others = programs::loaded();
        let running = contestant.start(self.scratch)?;
        interrupt::sleep(SETTLES)?;
        let programs = programs::loaded().difference(&others).copied().collect();
        let process = Looked::at(running.pid());

        let (ticks, wakeups) = (process.cpu_ticks()?, process.wakeups()?);
        let timed = self.load.run(self.seconds)?;
        let wakeups = process.wakeups()?.saturating_sub(wakeups);
        process.settle()?;

        let statistics = programs::measure()?;
        let before = programs::ran(&programs);
        let counted = self.load.run(STATS_S)?;
        let ran = programs::ran(&programs).since(before);
        drop(statistics);
        process.settle()?;

        let cpu_s = ticks_s(process.cpu_ticks()? - ticks);
        let peak = process.peak()?;
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
