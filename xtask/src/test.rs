//! `cargo xtask test`: set up, then everything.

use std::{
    process::{Command, ExitCode},
    thread,
    time::Instant,
};

use anyhow::{Context as _, Result, anyhow};

use crate::{
    bench,
    command::{cargo, is_root, output, run},
    ebpf, instructions, root, setup, vm,
};

/// Arguments of `test`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only tests on the real kernel whose name contains this
    filter: Option<String>,
}

/// A step: its name and what it does.
type Step = (&'static str, fn() -> Result<()>);

const STEPS: &[Step] = &[
    ("set up", set_up),
    ("downloads for other kernels", vm::fetch_ahead),
    ("formatting", formatting),
    ("clippy", clippy),
    ("unit tests", unit_tests),
    ("kernel objects are fresh", objects),
    ("build", build),
    ("scale, as it ships", scale),
    ("instructions an event", instructions),
    ("the bench, in short", bench::in_short),
];

/// Runs everything. A test that cannot run fails.
pub(crate) fn test(args: &Args) -> Result<ExitCode> {
    let started = Instant::now();
    for (name, step) in STEPS {
        // Somebody who asks for one test wants its answer.
        if args.filter.is_some() && !matches!(*name, "set up" | "build") {
            continue;
        }
        announce(name, started);
        step()?;
    }
    announce("tests on the real kernel", started);
    if let Some(filter) = &args.filter {
        real_kernel(Some(filter))?;
    } else {
        // These tests wait most of their time, which is enough to build for the next.
        thread::scope(|scope| {
            let ahead = scope.spawn(vm::build_ahead);
            real_kernel(None)?;
            ahead.join().map_err(|_| anyhow!("the build's thread panicked"))?
        })?;
        announce("other kernels", started);
        vm::test()?;
    }
    announce("all passed", started);
    Ok(ExitCode::SUCCESS)
}

fn announce(name: &str, started: Instant) {
    println!("=== {name} ({} s)", started.elapsed().as_secs());
}

fn set_up() -> Result<()> {
    setup::kernel()?;
    setup::packages(setup::TESTS)?;
    setup::tracefs()
}

fn formatting() -> Result<()> {
    run(in_root().args(["fmt", "--all", "--check"]))?;
    run(in_root().current_dir(root().join("tracer-ebpf")).args(["fmt", "--check"]))
}

fn clippy() -> Result<()> {
    run(in_root().args([
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]))
}

fn unit_tests() -> Result<()> {
    run(in_root().args(["test", "--quiet", "--workspace", "--exclude", "tests", "--locked"]))
}

fn objects() -> Result<()> {
    ebpf::ebpf(&ebpf::Args::check()).map(drop)
}

fn build() -> Result<()> {
    run(in_root().args(["build", "--quiet", "--release", "--locked", "--package", "tracer"]))
}

/// What it costs with a million connections is measured on what users get.
fn scale() -> Result<()> {
    run(in_root().args([
        "test",
        "--quiet",
        "--release",
        "--locked",
        "--package",
        "tracer",
        "--test",
        "scale",
    ]))
}

fn instructions() -> Result<()> {
    instructions::instructions(&instructions::Args::check()).map(drop)
}

/// One at a time: the tracer sees the whole host, so a test would see another's traffic.
fn real_kernel(filter: Option<&str>) -> Result<()> {
    let mut test = in_root();
    if !is_root() {
        // The tests themselves need what tracer needs, and namespaces.
        let host = output(Command::new("rustc").arg("-vV"))?;
        let triple =
            host.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
        let variable = format!("CARGO_TARGET_{}_RUNNER", triple.to_uppercase().replace('-', "_"));
        test.env(variable, "sudo -E");
    }
    test.args(["test", "--package", "tests", "--locked", "--no-fail-fast", "--", "--test-threads=1"]);
    run(test.args(filter))
}

fn in_root() -> Command {
    let mut command = cargo();
    command.current_dir(root());
    command
}
