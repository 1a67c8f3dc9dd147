//! Two builds of tracer on the same load, in pairs.
//!
//! In each round each view is measured four times: new, old, old, new, and the other way round in the
//! next. A host that gets slower or faster meanwhile does so for both.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

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
    /// Tracer's views that take part.
    pub views: &'a [&'static Contestant],
    /// The program that the build that ships is held against.
    pub old: &'a Path,
    /// How many rounds.
    pub rounds: u32,
    /// Length of a window.
    pub seconds: f64,
    /// What kind of connections.
    pub churn: &'a Churn,
    /// Where tracer writes.
    pub scratch: &'a Path,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Build {
    New,
    Old,
}
use Build::{New, Old};

impl Plan<'_> {
    /// Measures all.
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
        let (mut new, mut old) = (Window::default(), Window::default());
        for build in order(round) {
            let window = self.window(view, build)?;
            match build {
                New => new.add(window),
                Old => old.add(window),
            }
        }
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

fn order(round: u32) -> [Build; 4] {
    if round % 2 == 1 { [New, Old, Old, New] } else { [Old, New, New, Old] }
}

#[expect(clippy::cast_precision_loss, reason = "some seconds")]
fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_builds_have_the_same_place_in_time() {
        for round in [1, 2] {
            let place = |build| {
                order(round).iter().enumerate().filter(|it| *it.1 == build).map(|it| it.0).sum::<usize>()
            };
            assert_eq!(place(New), place(Old));
        }
        assert_ne!(order(1), order(2));
    }
}
