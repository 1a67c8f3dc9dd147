//! `cargo xtask`: the commands for developers of tracer.
//!
//! # Layout
//! - `run`: builds tracer and runs it
//! - `test`: runs all tests, or some of them
//! - `quiet`: runs a healthy busy host, on which nothing may be found
//! - `attack`: runs tracer in hostile situations
//! - `ebpf`: builds the kernel programs
//! - `bench`, `instructions`: measure what tracer costs
//! - `fuzz`: gives hostile recordings to it
//! - `vm`: runs tracer on other kernels
//! - `package`: makes what users install
//! - `man`: generates the man pages
//! - `setup`: installs what the commands need
//! - `command`: runs other programs

mod attack;
mod bench;
mod command;
mod ebpf;
mod fuzz;
mod instructions;
mod man;
mod package;
mod quiet;
mod run;
mod setup;
mod soak;
mod test;
mod vm;

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;

/// Commands for developers of tracer.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Verb {
    /// Build tracer and run it (through sudo when not root): `cargo xtask run -- --port 443`
    Run(run::Args),
    /// Install what the tests need, and run all tests or some of them
    Test(test::Args),
    /// Run a healthy busy host for minutes: no finding may come
    Quiet(quiet::Args),
    /// Run `serve` for hours while everything comes and goes: nothing may grow
    Soak(soak::Args),
    /// Run tracer in hostile situations: long
    Attack(attack::Args),
    /// Build the kernel programs into tracer/bpf
    Ebpf(ebpf::Args),
    /// Measure what tracer costs, compared with other tools
    Bench(bench::Args),
    /// Count the instructions per event, and compare with the counts kept in the repository
    Instructions(instructions::Args),
    /// Give hostile recordings to everything that reads recordings
    Fuzz(fuzz::Args),
    /// Run tracer on other kernels, in virtual machines
    Vm(vm::Args),
    /// Make packages, install and run them in a clean chroot, and remove them: long
    Package(package::Args),
    /// Generate the man pages from the definition of the command line
    Man(man::Args),
}

fn main() -> ExitCode {
    let result = match Verb::parse() {
        Verb::Run(args) => run::run(&args),
        Verb::Test(args) => test::test(&args),
        Verb::Quiet(args) => quiet::quiet(&args),
        Verb::Soak(args) => soak::soak(&args),
        Verb::Attack(args) => attack::attack(&args),
        Verb::Ebpf(args) => ebpf::ebpf(&args),
        Verb::Bench(args) => bench::bench(&args),
        Verb::Instructions(args) => instructions::instructions(&args),
        Verb::Fuzz(args) => fuzz::fuzz(&args),
        Verb::Vm(args) => vm::vm(&args),
        Verb::Package(args) => package::package(&args),
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

/// Cargo's target folder.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The root of the workspace.
fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or(here.clone(), PathBuf::from)
}
