//! The first process of a virtual machine: runs the scenarios on its kernel and reports to the host.
//!
//! # Layout
//! - [`scenario`]: the scenarios, one module each
//! - [`oracle`]: the kernel's own trace buffer, to compare tracer with
//! - [`programs`]: run statistics and verified instructions of loaded kernel programs
//! - [`verifier`]: verified instructions on kernels before 5.16
//! - [`trampoline`]: programs that fill a kernel function
//! - [`machine`]: mounts, modules, loopback, power off
//! - [`package`]: installing and removing tracer's package

mod machine;
mod oracle;
mod package;
mod programs;
mod scenario;
mod trampoline;
mod verifier;

use std::{
    env,
    io::{Write as _, stdout},
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

use guest::{Found, MARK, Play, Report};

use crate::scenario::time_wait::Minute;

/// A scenario: its name, and a function that panics when it fails.
type Scenario = (&'static str, fn() -> Found);

const SCENARIOS: &[Scenario] = &[
    ("kernel", scenario::kernel::play),
    ("check", scenario::check::play),
    ("list", scenario::list::play),
    ("load", scenario::load::play),
    ("oracle", scenario::oracle::play),
    ("story", scenario::story::play),
    ("owners", scenario::owners::play),
    ("in-kernel", scenario::in_kernel::play),
    ("vrf", scenario::vrf::play),
    ("hooks", scenario::hooks::play),
];

fn main() {
    assert!(std::process::id() == 1, "run this only as init of a virtual machine: it turns it off");
    tell("machine", || machine::set_up().and_then(|()| package::install()).err().map(Err));
    let asked = env::var(Play::VARIABLE).unwrap_or_default();
    match Play::ALL.into_iter().find(|play| play.name() == asked).unwrap_or(Play::Short) {
        Play::Costs => tell("costs", || Some(Ok(scenario::costs::play()))),
        Play::Record => tell("power-cut", || Some(Ok(scenario::power_cut::record()))),
        Play::Replay => tell("power-cut", || Some(Ok(scenario::power_cut::replay()))),
        Play::Short => all(|| None),
        Play::Long => all(scenario::time_wait::begin),
    }
    machine::off();
}

/// Runs all scenarios. `begin` starts TIME_WAIT before them; its end is awaited after them.
fn all(begin: impl FnOnce() -> Option<Minute>) {
    let minute = catch_unwind(AssertUnwindSafe(begin));
    for (name, play) in SCENARIOS {
        tell(name, || Some(Ok(play())));
    }
    tell("time-wait", || match minute {
        Ok(minute) => Some(Ok(Found::TimeWait(minute.and_then(Minute::end)))),
        Err(panic) => Some(Err(words(&*panic))),
    });
    tell("package", || package::remove().map(Ok));
}

/// Runs `play` and reports its result. If `play` returns `None`, nothing is reported.
fn tell(scenario: &str, play: impl FnOnce() -> Option<Result<Found, String>>) {
    let started = Instant::now();
    let result = match catch_unwind(AssertUnwindSafe(play)) {
        Ok(None) => return,
        Ok(Some(result)) => result,
        Err(panic) => Err(words(&*panic)),
    };
    let report = Report { scenario: scenario.to_owned(), seconds: started.elapsed().as_secs_f64(), result };
    let line = serde_json::to_string(&report).expect("a report is JSON");
    // The line break comes first: the kernel may have written half a line.
    writeln!(stdout(), "\n{MARK}{line}").expect("a console");
}

/// The message of a panic.
fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned()
}
