//! Runs the cases that are asked for, and reports.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;

use crate::{
    attack::{
        axes::{AXES, Axis},
        case::{Case, Verdict},
    },
    patience::Stops,
    place::Place,
    traffic::connect,
};

/// Cases at the same time: the build machines have two processors.
const AT_ONCE: usize = 2;

/// Time between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(10);

/// Which cases to run.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Names of axes; all if there are none.
    pub only: Vec<String>,
    /// The name of one case.
    pub case: Option<String>,
    /// Determines the order of the cases, and what is random in them.
    pub seed: u64,
    /// Time for all of them together; without it every case runs.
    pub time: Option<Duration>,
    /// At most so many cases of each axis.
    pub most: Option<usize>,
}

/// What became of an axis.
pub struct Result {
    /// Its name.
    pub axis: &'static str,
    /// Cases that ran.
    pub ran: usize,
    /// Cases that there are.
    pub of: usize,
    /// Names of those that failed.
    pub failed: Vec<String>,
    took: Duration,
}

/// Runs the cases, prints progress and failures, and returns the results.
pub fn attack(wanted: &Wanted) -> Vec<Result> {
    for name in &wanted.only {
        assert!(AXES.iter().any(|axis| axis.name == name), "there is no axis {name}");
    }
    let axes: Vec<_> = AXES
        .iter()
        .filter(|it| wanted.only.is_empty() || wanted.only.iter().any(|name| name == it.name))
        .collect();
    let begun = Instant::now();
    let place = Place::new();
    let stops = AtomicBool::new(false);
    let results = thread::scope(|scope| {
        let _stops = Stops(&stops);
        // So that there is always something to show.
        scope.spawn(|| place.run(|| make_traffic(&stops)));
        let run = |(index, axis): (usize, &&Axis)| {
            let left = wanted.time.map(|time| time.saturating_sub(begun.elapsed()));
            run_axis(axis, wanted, left.map(|left| left / u32::try_from(axes.len() - index).unwrap_or(1)))
        };
        axes.iter().enumerate().map(run).collect::<Vec<_>>()
    });
    print_summary(&results, wanted);
    results
}

fn make_traffic(stops: &AtomicBool) {
    while !stops.load(Ordering::Relaxed) {
        let _ = connect("127.77.1.1:9".parse().unwrap());
        thread::sleep(Duration::from_millis(3));
    }
}

fn cases(axis: &Axis, wanted: &Wanted) -> Vec<Case> {
    let mut cases = (axis.cases)(wanted.seed);
    if let Some(name) = &wanted.case {
        cases.retain(|case| case.name == *name);
    }
    // Cut short, a run should still have something of everything.
    Rng::with_seed(wanted.seed).shuffle(&mut cases);
    cases.truncate(wanted.most.unwrap_or(usize::MAX));
    cases
}

struct Progress {
    queue: VecDeque<Case>,
    ran: usize,
    failed: Vec<String>,
    told: Instant,
}

fn run_axis(axis: &Axis, wanted: &Wanted, time: Option<Duration>) -> Result {
    let begun = Instant::now();
    let queue: VecDeque<_> = cases(axis, wanted).into();
    let of = queue.len();
    println!("{}: {of} cases: {}", axis.name, axis.about);
    let progress = Mutex::new(Progress { queue, ran: 0, failed: Vec::new(), told: begun });
    let lock = || progress.lock().unwrap_or_else(PoisonError::into_inner);
    thread::scope(|scope| {
        for _ in 0..if axis.is_alone { 1 } else { AT_ONCE } {
            scope.spawn(|| {
                while time.is_none_or(|time| begun.elapsed() < time) {
                    let Some(case) = lock().queue.pop_front() else { break };
                    let verdict = catch_unwind(AssertUnwindSafe(|| (case.attack)()));
                    let verdict =
                        verdict.unwrap_or_else(|_| Err("the attack itself failed, see above".into()));
                    lock().note(axis, &case, &verdict, wanted, of);
                }
            });
        }
    });
    let Progress { ran, failed, .. } = progress.into_inner().unwrap_or_else(PoisonError::into_inner);
    Result { axis: axis.name, ran, of, failed, took: begun.elapsed() }
}

impl Progress {
    fn note(&mut self, axis: &Axis, case: &Case, verdict: &Verdict, wanted: &Wanted, of: usize) {
        self.ran += 1;
        if let Err(faults) = verdict {
            self.failed.push(case.name.clone());
            println!(
                "\nFAILED {}: {}\n  repeat: {}\n  {faults}",
                axis.name,
                case.name,
                repeat(axis, case, wanted)
            );
        }
        if self.told.elapsed() > PROGRESS {
            self.told = Instant::now();
            println!("{}: {} of {of}, {} failed", axis.name, self.ran, self.failed.len());
        }
    }
}

/// The command that runs this case again.
fn repeat(axis: &Axis, case: &Case, wanted: &Wanted) -> String {
    let name = case.name.replace('\'', r"'\''");
    format!("cargo xtask attack --only {} --seed {} --case '{name}'", axis.name, wanted.seed)
}

fn print_summary(results: &[Result], wanted: &Wanted) {
    println!(
        "\nseed {}\n{:<12} {:>6} {:>6} {:>6} {:>8}",
        wanted.seed, "axis", "cases", "ran", "failed", "seconds"
    );
    for Result { axis, ran, of, failed, took } in results {
        println!("{axis:<12} {of:>6} {ran:>6} {:>6} {:>8.0}", failed.len(), took.as_secs_f32());
    }
    for Result { axis, failed, .. } in results {
        for case in failed {
            println!("failed: {axis}: {case}");
        }
    }
}
