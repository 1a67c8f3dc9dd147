//! `cargo xtask`: what a developer of tracer does, a verb for each.

mod bench;
mod command;
mod ebpf;
mod instructions;
mod man;
mod run;
mod setup;
mod test;
mod vm;

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;

/// What a developer of tracer does.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Verb {
    /// Build tracer and run it (through sudo when not root): `cargo xtask run -- --port 443`
    Run(run::Args),
    /// Install what the tests need, and run all of them
    Test(test::Args),
    /// Build the kernel side and commit it into tracer/bpf
    Ebpf(ebpf::Args),
    /// Measure what tracer costs, beside what others cost
    Bench(bench::Args),
    /// Count the instructions that an event takes, and compare with those that are kept
    Instructions(instructions::Args),
    /// Run tracer on other kernels, in virtual machines
    Vm(vm::Args),
    /// Make the man pages, from the definition of the command line
    Man(man::Args),
}

fn main() -> ExitCode {
    let result = match Verb::parse() {
        Verb::Run(args) => run::run(&args),
        Verb::Test(args) => test::test(&args),
        Verb::Ebpf(args) => ebpf::ebpf(&args),
        Verb::Bench(args) => bench::bench(&args),
        Verb::Instructions(args) => instructions::instructions(&args),
        Verb::Vm(args) => vm::vm(&args),
        Verb::Man(args) => man::man(&args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Where cargo builds.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The workspace's folder.
fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or(here.clone(), PathBuf::from)
}
