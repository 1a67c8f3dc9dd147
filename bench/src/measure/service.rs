//! Measures how many requests per second a service answers while a contestant traces.

use std::path::Path;

use anyhow::Result;

use super::{churn::SETTLE_TIME, turns::Turns};
use crate::{
    contestant::{BPFTRACE, Contestant, REFERENCE, TCPSTATES, present},
    interrupt,
    load::service::{Connections, Service, VARIANTS, missing},
    report::service::Sample,
};

/// The contestants that can be measured here: the reference, tracer, and tools of the same purpose.
const CONTESTANTS: [&str; 4] = [REFERENCE, "log", TCPSTATES, BPFTRACE];

/// How to measure.
pub(crate) struct Plan<'a> {
    /// The contestants that are asked for, of [`CONTESTANTS`].
    pub contestants: Vec<&'static Contestant>,
    /// How many rounds.
    pub rounds: u32,
    /// Length of a window.
    pub seconds: f64,
    /// The folder for the output of all programs.
    pub scratch: &'a Path,
}

/// The contestants that are named on the command line, or all if none of them is.
pub(crate) fn contestants(is_named: impl Fn(&str) -> bool) -> Vec<&'static Contestant> {
    let are_some_named = CONTESTANTS.into_iter().any(&is_named);
    present(|it| CONTESTANTS.contains(&it.name) && (!are_some_named || is_named(it.name))).collect()
}

impl Plan<'_> {
    /// Measures all contestants, with clients of each kind.
    pub(crate) fn run(&self) -> Result<Vec<Sample>> {
        if let Some(program) = missing() {
            eprintln!("bench: the service is left out: {program} is not on the path");
            return Ok(Vec::new());
        }
        let mut samples = Vec::new();
        for connections in VARIANTS {
            samples.extend(self.with(connections)?);
        }
        Ok(samples)
    }

    fn with(&self, connections: Connections) -> Result<Vec<Sample>> {
        let service = Service::start(connections, self.scratch)?;
        let turns = Turns {
            what: &format!("service, {}", connections.name()),
            contestants: &self.contestants,
            rounds: self.rounds,
        };
        let untraced = || {
            service.fill_time_wait()?;
            interrupt::sleep(SETTLE_TIME)?;
            service.run(self.seconds)
        };
        let measured = turns.run(untraced, |round, contestant| {
            service.fill_time_wait()?;
            let running = contestant.start(self.scratch)?;
            interrupt::sleep(SETTLE_TIME)?;
            let requests_per_s = service.run(self.seconds)?;
            let lost = running.finish(self.scratch)?.lost;
            let contestant = contestant.name.to_owned();
            Ok(Sample { round, connections, contestant, requests_per_s, untraced_per_s: 0.0, lost })
        })?;
        let samples = measured
            .turns
            .into_iter()
            .map(|turn| Sample { untraced_per_s: turn.untraced_per_s, ..turn.sample });
        Ok(samples.collect())
    }
}
