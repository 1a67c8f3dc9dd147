//! Compares two builds of tracer on the same load, in pairs: in each round, each view is measured with both
//! builds, one right after the other.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Error, Result};

use super::{churn::SETTLE_TIME, progress::Progress, turns::from};
use crate::{
    contestant::Contestant,
    interrupt,
    load::churn::Churn,
    places,
    process::Process,
    report::pair::{Pair, Window},
};

/// How to measure.
pub(crate) struct Plan<'a> {
    /// The views of tracer to measure.
    pub views: &'a [&'static Contestant],
    /// The program to compare this build with.
    pub old: &'a Path,
    /// How many rounds.
    pub rounds: u32,
    /// Length of a window.
    pub seconds: f64,
    /// The kind of connections.
    pub churn: &'a Churn,
    /// The folder for tracer's output.
    pub scratch: &'a Path,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Build {
    New,
    Old,
}
use Build::{New, Old};

impl Plan<'_> {
    /// Measures all views in all rounds.
    pub(crate) fn run(&self) -> Result<Vec<Pair>> {
        let mut progress = Progress::new(
            "new against old",
            self.rounds * u32::try_from(self.views.len()).unwrap_or(u32::MAX),
        );
        let mut pairs = Vec::new();
        for round in 1..=self.rounds {
            for view in from(self.views, round) {
                progress.next(view.name);
                pairs.push(self.pair(round, view).with_context(|| view.name)?);
            }
        }
        Ok(pairs)
    }

    fn pair(&self, round: u32, view: &Contestant) -> Result<Pair> {
        let windows = |first, second| Ok::<_, Error>((self.window(view, first)?, self.window(view, second)?));
        let (new, old) = if is_new_first(round) {
            windows(New, Old)?
        } else {
            let (old, new) = windows(Old, New)?;
            (new, old)
        };
        Ok(Pair { round, view: view.name.to_owned(), new, old })
    }

    fn window(&self, view: &Contestant, build: Build) -> Result<Window> {
        self.churn.fill_time_wait()?;
        let running = view.start_build(&self.program(build)?, self.scratch)?;
        interrupt::sleep(SETTLE_TIME)?;
        let process = Process::of(running.pid());
        let before_ns = process.cpu_ns()?;
        let result = self.churn.run(self.seconds)?;
        let tracer_ns = process.cpu_ns()?.saturating_sub(before_ns);
        Ok(Window {
            connections: result.connections,
            elapsed_s: result.elapsed_s,
            cpu_s: result.cpu_s + seconds(tracer_ns),
            lost: running.finish(self.scratch)?.lost.unwrap_or_default(),
        })
    }

    fn program(&self, build: Build) -> Result<PathBuf> {
        match build {
            New => places::built("tracer"),
            Old => Ok(self.old.to_owned()),
        }
    }
}

/// Builds take turns: a host that keeps getting slower is then as bad for one as for the other.
fn is_new_first(round: u32) -> bool {
    !round.is_multiple_of(2)
}

#[expect(clippy::cast_precision_loss, reason = "some seconds")]
fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}
