//! Tests on the real kernel, with other traffic on the host. A test looks at its own connections only, so
//! that several can run at once.
//!
//! # Layout
//! - `build`: builds the test programs
//! - `run`: runs them, several at a time
//! - `outcome`: reads from their output which tests passed or failed

mod build;
mod outcome;
mod run;

use std::time::Duration;

use anyhow::{Result, bail};

use crate::{
    target,
    test::{
        kernel::{outcome::Outcome, run::Runner},
        noise::Noise,
    },
};

/// Tests in modules of this name run alone: they measure what a processor does.
const ALONE: &str = "alone::";

/// Test programs that run at once, and tests that run at once in each. Most tests wait most of their time.
const PROGRAMS: usize = 3;
const THREADS: usize = 2;

/// At most this many tests of a round may be run again. The kernel keeps about one event of the whole host from
/// tracer in a round, and few tests depend on a time at that moment.
const MOST_REPEATED: usize = 3;

/// Which tests to run, and how.
pub(crate) struct Wanted {
    /// Only tests whose name, or whose program's name, contains this.
    filter: Option<String>,
    noise: bool,
    /// Also tests that take long.
    ignored: bool,
    rounds: u32,
    /// Set in the environment of the tests.
    variable: Option<(&'static str, String)>,
    /// How much longer than others a test program may take.
    more_time: Duration,
}

impl Wanted {
    /// All tests, as in a full run.
    pub(crate) fn all() -> Self {
        Self {
            filter: None,
            noise: true,
            ignored: false,
            rounds: 1,
            variable: None,
            more_time: Duration::ZERO,
        }
    }

    /// Also tests that take long, and everything three times.
    pub(crate) fn more() -> Self {
        Self { ignored: true, rounds: 3, ..Self::all() }
    }

    /// Tests whose name, or whose program's name, contains `filter`.
    pub(crate) fn named(filter: &str, noise: bool) -> Self {
        Self { filter: Some(filter.to_owned()), noise, ..Self::all() }
    }

    /// The same with this variable in their environment.
    pub(crate) fn with(self, (name, value): (&'static str, &str)) -> Self {
        Self { variable: Some((name, value.to_owned())), ..self }
    }

    /// The same with so much more time.
    pub(crate) fn within(self, more_time: Duration) -> Self {
        Self { more_time, ..self }
    }
}

/// Builds the tests and runs them.
pub(crate) fn test(wanted: &Wanted) -> Result<()> {
    let built = build::build()?;
    let noise = wanted.noise.then(|| Noise::start(&built.noise)).transpose()?;
    let runner =
        Runner::new(&built, target().join("release/tracer"), wanted.variable.clone(), wanted.more_time);
    let all: Vec<_> = built.tests.iter().collect();
    let mut outcomes = Vec::new();
    for round in 1..=wanted.rounds {
        if wanted.rounds > 1 {
            println!("=== round {round} of {}", wanted.rounds);
        }
        let mut common = Vec::new();
        if wanted.ignored {
            common.push("--include-ignored");
        }
        if let Some(filter) = &wanted.filter {
            // Whoever names a test wants to find something out: one at a time.
            common.push("--test-threads=1");
            let (whole, others): (Vec<_>, _) = all.iter().partition(|program| program.name.contains(filter));
            outcomes.extend(runner.run(&whole, &common, 1)?);
            outcomes.extend(runner.run(&others, &[&common[..], &[filter]].concat(), 1)?);
            continue;
        }
        let threads = format!("--test-threads={THREADS}");
        let together = [&common[..], &[&threads, "--skip", ALONE]].concat();
        outcomes.extend(runner.run(&all, &together, PROGRAMS)?);
        let alone = [&common[..], &["--test-threads=1", ALONE]].concat();
        outcomes.extend(runner.run(&all, &alone, 1)?);
    }
    // The run fails if the noise did, because the tests then prove less than they should.
    let quiet = noise.map_or(Ok(()), Noise::end);
    print_summary(&outcomes, wanted)?;
    quiet
}

/// Prints the times, and once more what failed, where it is easy to find.
fn print_summary(outcomes: &[Outcome], wanted: &Wanted) -> Result<()> {
    let passed: u64 = outcomes.iter().map(Outcome::passed).sum();
    let mut slowest: Vec<_> = outcomes.iter().filter(|outcome| outcome.has_tests()).collect();
    slowest.sort_by_key(|outcome| std::cmp::Reverse(outcome.took));
    let times = slowest.iter().map(|outcome| format!("{} {:.0} s", outcome.name, outcome.took.as_secs_f32()));
    println!("tests on the real kernel: {passed} passed; {}", times.collect::<Vec<_>>().join(", "));
    let repeated: Vec<_> =
        outcomes.iter().flat_map(|outcome| &outcome.repeated).map(String::as_str).collect();
    if !repeated.is_empty() {
        println!("run again, because the kernel kept an event from tracer: {}", repeated.join(", "));
    }
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.is_ok).collect();
    for outcome in &failed {
        println!("\n=== FAILED: {}\n{}", outcome.name, outcome.failures());
    }
    match (&failed[..], &wanted.filter) {
        ([], Some(filter)) if passed == 0 => bail!("no test has {filter} in its name"),
        ([], _) if passed == 0 => bail!("no test ran"),
        ([], _) if repeated.len() > MOST_REPEATED * wanted.rounds as usize => {
            bail!("{} tests had to be run again: more than chance explains", repeated.len())
        }
        ([], _) => Ok(()),
        _ => bail!("{} test programs failed", failed.len()),
    }
}

/// Runs one test with the tracer that the unit tests have built: hardly optimised, but already there.
pub(crate) fn smoke() -> Result<()> {
    let built = build::build_one("smoke")?;
    let runner = Runner::new(&built, target().join("debug/tracer"), None, Duration::ZERO);
    let outcomes = runner.run(&built.tests.iter().collect::<Vec<_>>(), &["--test-threads=1"], 1)?;
    print_summary(&outcomes, &Wanted::all())
}
