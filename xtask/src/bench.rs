//! `cargo xtask bench`: builds the bench and everything that it measures, and runs it.

use std::{
    ffi::OsString,
    fs,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result};

use crate::{
    command::{as_root, cargo, output, run},
    root, setup, target,
};

const CLANG: &str = "clang-22";
const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// The C programs that tracer is measured against.
const PROGRAMS: [&str; 2] = ["empty", "reference"];

/// Arguments of `bench`.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// Arguments for the bench; --help shows them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Builds everything that is measured, and replaces this process with the bench.
pub(crate) fn bench(args: &Args) -> Result<ExitCode> {
    // Replaced, so that the bench itself receives Ctrl-C, and its exit status is ours.
    Err(built(&args.arguments)?.exec()).context("cannot start the bench")
}

/// Shows that the bench works, in runs so short that their figures mean nothing. The service is measured with
/// the contestants named here only. `--against` compares the build with itself.
pub(crate) fn in_short() -> Result<()> {
    let contestants = "empty,reference,log,log-json,life,summary-in-kernel,binary,service";
    let short = ["--rounds", "1", "--seconds", "0.5", "--only"].map(OsString::from);
    run(built(&short)?.arg(contestants))?;
    run(built(&short)?.args(["life", "--against"]).arg(target().join("release/tracer")))
}

/// Builds the bench and everything that it measures, and returns the command that runs it.
fn built(arguments: &[OsString]) -> Result<Command> {
    let target = target();
    // `--help` and `--from` measure nothing: they need neither contestants nor privileges.
    let measures = !arguments.iter().any(|it| {
        let word = it.to_string_lossy();
        word == "-h" || word == "--help" || word == "--from" || word.starts_with("--from=")
    });
    let mut build = cargo();
    build.current_dir(root()).args(["build", "--quiet", "--release", "--locked", "--package", "bench"]);
    let bench = target.join("release/bench");
    let mut command = if measures {
        setup::kernel()?;
        setup::packages(setup::BENCH)?;
        setup::python()?;
        build.args(["--package", "tcp-tracer"]);
        compile(&target.join("bench"))?;
        as_root(&bench)
    } else {
        Command::new(&bench)
    };
    run(&mut build)?;
    command.args(arguments);
    Ok(command)
}

fn compile(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let types = output(as_root("bpftool").args(["btf", "dump", "file", VMLINUX, "format", "c"]))?;
    fs::write(folder.join("vmlinux.h"), types)?;
    for program in PROGRAMS {
        let mut clang = Command::new(CLANG);
        clang.args(["-O2", "-g", "-target", "bpf", "-mcpu=v3", "-Wall", "-Werror", "-c", "-I"]).arg(folder);
        clang.arg(root().join(format!("bench/bpf/{program}.bpf.c")));
        run(clang.arg("-o").arg(folder.join(format!("{program}.bpf.o"))))?;
    }
    Ok(())
}
