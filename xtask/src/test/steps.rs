//! The steps of a test run. Prints how long each takes.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::Result;
use clap::ValueEnum;

use crate::{
    bench,
    command::{cargo, run as run_command},
    ebpf, instructions, root, setup,
    test::kernel,
    vm,
};

/// A step: its name and what it does.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) run: fn() -> Result<()>,
}

/// Steps that run one after the other. They do not depend on steps of other chains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Chain {
    /// Checks of the sources, and unit tests
    Sources,
    /// Release builds
    Release,
    /// The kernel programs
    Objects,
    /// Downloads and builds for other kernels
    Kernels,
}

const SET_UP: Step = Step { name: "set up", run: set_up };
pub(crate) const SET_UP_ALL: Step = Step { name: "set up", run: set_up_all };
pub(crate) const SET_UP_ENGINES: Step = Step { name: "set up engines", run: setup::engines };
const FORMATTING: Step = Step { name: "formatting", run: formatting };
const CLIPPY: Step = Step { name: "clippy", run: clippy };
const UNIT_TESTS: Step = Step { name: "unit tests", run: unit_tests };
const BUILD: Step = Step { name: "build", run: build };
const OBJECTS: Step = Step { name: "kernel objects are up to date", run: objects };

impl Chain {
    pub(crate) const ALL: [Self; 4] = [Self::Sources, Self::Release, Self::Objects, Self::Kernels];

    pub(crate) fn steps(self) -> &'static [Step] {
        match self {
            Self::Sources => &[FORMATTING, CLIPPY, UNIT_TESTS],
            Self::Release => &[
                Step { name: "build, with the bench", run: build_with_bench },
                Step { name: "build the measuring programs", run: build_measures },
            ],
            Self::Objects => &[OBJECTS],
            Self::Kernels => &[
                Step { name: "downloads for other kernels", run: vm::fetch_ahead },
                Step { name: "build for other kernels", run: vm::build_ahead },
            ],
        }
    }

    /// Its name on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// Steps that measure, and so run alone.
pub(crate) const ALONE: &[Step] = &[
    Step { name: "scale, release build", run: scale },
    Step { name: "instructions per event", run: instructions },
    Step { name: "the bench, a short run", run: bench::in_short },
];

/// What tests on the real kernel need, and no more, so that a single test is quick.
pub(crate) const BEFORE_KERNEL: &[Step] = &[SET_UP, BUILD];

/// The steps of `--fast`.
pub(crate) const FAST: &[Step] = &[
    SET_UP,
    FORMATTING,
    CLIPPY,
    OBJECTS,
    UNIT_TESTS,
    Step { name: "one test on the real kernel", run: kernel::smoke },
];

/// Runs steps one after the other.
pub(crate) fn run(steps: &[Step]) -> Result<()> {
    steps.iter().try_for_each(Step::run)
}

impl Step {
    pub(crate) fn run(&self) -> Result<()> {
        timed(self.name, self.run)
    }
}

/// Runs a step. Prints its name before, and how long it took afterwards.
pub(crate) fn timed(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("=== {name}");
    let (begun, before) = (Instant::now(), processor_time());
    work()?;
    let (took, used) = (begun.elapsed(), processor_time().saturating_sub(before));
    println!("=== {name}: {} s, {} s of CPU time", took.as_secs(), used.as_secs());
    Ok(())
}

/// CPU time of child processes that have ended and were waited for. On a shared machine it says more than
/// elapsed time.
fn processor_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    let ticks: u64 = fields.skip(13).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}

fn set_up() -> Result<()> {
    setup::kernel()?;
    setup::packages(setup::TESTS)?;
    setup::python()?;
    setup::axe()?;
    setup::prometheus()?;
    setup::tracefs()
}

/// Installs everything that is missing, at once: later steps run at the same time, when only one could
/// install.
fn set_up_all() -> Result<()> {
    setup::packages(&setup::all())?;
    set_up()
}

fn formatting() -> Result<()> {
    run_command(in_root().args(["fmt", "--all", "--check"]))?;
    run_command(in_root().current_dir(root().join("tracer-ebpf")).args(["fmt", "--check"]))
}

fn clippy() -> Result<()> {
    let clippy = ["clippy", "--quiet", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    run_command(in_root().args(clippy))?;
    // Without what can be left out.
    let least = ["clippy", "--quiet", "--package", "tcp-tracer", "--no-default-features", "--locked"];
    run_command(in_root().args(least).args(["--", "-D", "warnings"]))?;
    // It is no member of the workspace, and uses tracer's library.
    let fuzz = ["check", "--quiet", "--manifest-path", "fuzz/Cargo.toml", "--locked"];
    run_command(in_root().args(fuzz).env("CARGO_TARGET_DIR", root().join("target")))
}

fn unit_tests() -> Result<()> {
    let all = ["test", "--quiet", "--workspace", "--exclude", "tests", "--locked", "--no-fail-fast"];
    run_command(in_root().args(all))
}

fn objects() -> Result<()> {
    ebpf::ebpf(&ebpf::Args::check()).map(drop)
}

fn build() -> Result<()> {
    run_command(in_root().args(["build", "--quiet", "--release", "--locked", "--package", "tcp-tracer"]))
}

/// Builds tracer together with the bench, because the bench needs that build. Built alone, tracer's libraries
/// have other features, and it would be built twice.
fn build_with_bench() -> Result<()> {
    let packages = ["--package", "tcp-tracer", "--package", "bench"];
    run_command(in_root().args(["build", "--quiet", "--release", "--locked"]).args(packages))
}

const SCALE: [&str; 7] =
    ["test", "--quiet", "--release", "--locked", "--package", "tcp-tracer", "--test=scale"];

/// Measures tracer with a million connections, in a release build, as users get it.
fn scale() -> Result<()> {
    run_command(in_root().args(SCALE))
}

fn build_measures() -> Result<()> {
    run_command(in_root().args(SCALE).arg("--no-run"))?;
    instructions::build()
}

fn instructions() -> Result<()> {
    instructions::instructions(&instructions::Args::check()).map(drop)
}

/// Cargo, run in the root of the workspace.
pub(crate) fn in_root() -> Command {
    let mut command = cargo();
    command.current_dir(root());
    command
}
