//! The steps of the test, and how long each takes.

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

/// Steps that need one another; different chains do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Chain {
    /// What is said of the sources, and unit tests
    Sources,
    /// What users get
    Release,
    /// The kernel side
    Objects,
    /// What other kernels need: first from the network
    Kernels,
}

const SET_UP: Step = Step { name: "set up", run: set_up };
pub(crate) const SET_UP_ALL: Step = Step { name: "set up", run: set_up_all };
const FORMATTING: Step = Step { name: "formatting", run: formatting };
const CLIPPY: Step = Step { name: "clippy", run: clippy };
const UNIT_TESTS: Step = Step { name: "unit tests", run: unit_tests };
const BUILD: Step = Step { name: "build", run: build };

impl Chain {
    pub(crate) const ALL: [Self; 4] = [Self::Sources, Self::Release, Self::Objects, Self::Kernels];

    pub(crate) fn steps(self) -> &'static [Step] {
        match self {
            Self::Sources => &[FORMATTING, CLIPPY, UNIT_TESTS],
            Self::Release => &[
                Step { name: "build, with the bench", run: build_with_bench },
                Step { name: "build what measures", run: build_measures },
            ],
            Self::Objects => &[Step { name: "kernel objects are fresh", run: objects }],
            Self::Kernels => &[
                Step { name: "downloads for other kernels", run: vm::fetch_ahead },
                Step { name: "build for other kernels", run: vm::build_ahead },
            ],
        }
    }

    /// As the command line spells it.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// Those that measure.
pub(crate) const ALONE: &[Step] = &[
    Step { name: "scale, as it ships", run: scale },
    Step { name: "instructions an event", run: instructions },
    Step { name: "the bench, in short", run: bench::in_short },
];

/// What tests on the real kernel need, and no more: somebody who asks for one test wants its answer.
pub(crate) const BEFORE_KERNEL: &[Step] = &[SET_UP, BUILD];

/// What an edit wants.
pub(crate) const FAST: &[Step] = &[
    SET_UP,
    FORMATTING,
    CLIPPY,
    UNIT_TESTS,
    Step { name: "one test on the real kernel", run: kernel::smoke },
];

/// One after the other.
pub(crate) fn run(steps: &[Step]) -> Result<()> {
    steps.iter().try_for_each(Step::run)
}

impl Step {
    pub(crate) fn run(&self) -> Result<()> {
        timed(self.name, self.run)
    }
}

/// Says what begins, and how long it took.
pub(crate) fn timed(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("=== {name}");
    let (begun, before) = (Instant::now(), processor_time());
    work()?;
    let (took, used) = (begun.elapsed(), processor_time().saturating_sub(before));
    println!("=== {name}: {} s, and {} s of processors", took.as_secs(), used.as_secs());
    Ok(())
}

/// What processes that have ended took, of those that we have waited for. On a machine that others use, too,
/// it says more than the clock.
fn processor_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    let ticks: u64 = fields.skip(13).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}

fn set_up() -> Result<()> {
    setup::kernel()?;
    setup::packages(setup::TESTS)?;
    setup::tracefs()
}

/// Everything that is missing, at once: later steps run beside each other, and only one can install.
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
    run_command(in_root().args(clippy))
}

fn unit_tests() -> Result<()> {
    run_command(in_root().args(["test", "--quiet", "--workspace", "--exclude", "tests", "--locked"]))
}

fn objects() -> Result<()> {
    ebpf::ebpf(&ebpf::Args::check()).map(drop)
}

fn build() -> Result<()> {
    run_command(in_root().args(["build", "--quiet", "--release", "--locked", "--package", "tracer"]))
}

/// As the bench will want it: alone, the tracer would be built once more, because the libraries that both use
/// have other features then.
fn build_with_bench() -> Result<()> {
    let packages = ["--package", "tracer", "--package", "bench"];
    run_command(in_root().args(["build", "--quiet", "--release", "--locked"]).args(packages))
}

const SCALE: [&str; 7] = ["test", "--quiet", "--release", "--locked", "--package", "tracer", "--test=scale"];

/// What it costs with a million connections is measured on what users get.
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

/// Cargo, where the workspace is.
pub(crate) fn in_root() -> Command {
    let mut command = cargo();
    command.current_dir(root());
    command
}
