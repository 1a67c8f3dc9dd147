//! `cargo xtask fuzz`: gives hostile recordings to everything that reads recordings, in bounded memory.
//!
//! The target is in `fuzz/`: it shows and copies each input in all ways. What is kept in the repository,
//! `fuzz/corpus`, are the inputs that a run begins with; what it finds is in `target/fuzz`.

use std::{
    fs,
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::Result;

use crate::{command::run, root, setup};

/// Arguments of `fuzz`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long
    #[arg(long, default_value = "60")]
    seconds: u32,
    /// Afterwards keep the fewest inputs that reach all that was reached, in the repository
    #[arg(long)]
    update: bool,
    /// Run only this input, and show what it says
    #[arg(long, conflicts_with_all = ["seconds", "update"])]
    input: Option<PathBuf>,
}

/// The target.
const TARGET: &str = "replay";

/// What is kept in the repository.
const KEPT: &str = "fuzz/corpus/replay";

/// Limits of each run: bytes of an input, megabytes of memory, seconds.
const LIMITS: [&str; 3] = ["-max_len=65536", "-rss_limit_mb=512", "-timeout=30"];

/// Builds the target, and runs it.
pub(crate) fn fuzz(args: &Args) -> Result<ExitCode> {
    let tool = setup::cargo_fuzz()?;
    let found = root().join("target/fuzz/corpus");
    fs::create_dir_all(&found)?;
    let fuzz = |verb: &str| {
        let mut fuzz = Command::new(&tool);
        fuzz.current_dir(root()).env("RUSTUP_TOOLCHAIN", setup::NIGHTLY).args(["fuzz", verb]);
        // That of this program is another toolchain's.
        for variable in ["CARGO", "RUSTC", "RUSTDOC"] {
            fuzz.env_remove(variable);
        }
        // Its code is safe Rust: what can go wrong are panics, endless loops and memory, which need no sanitizer.
        fuzz.args(["--sanitizer", "none", TARGET]);
        fuzz
    };
    if let Some(input) = &args.input {
        run(fuzz("run").arg(input.canonicalize()?).arg("--").args(LIMITS))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut long = fuzz("run");
    long.arg(&found).arg(KEPT).arg("--").args(LIMITS);
    // What is shown does not matter here: `--input` shows it.
    long.arg(format!("-max_total_time={}", args.seconds)).arg("-close_fd_mask=3");
    run(&mut long)?;
    if args.update {
        // `cmin` replaces what is in the first folder.
        for entry in fs::read_dir(root().join(KEPT))? {
            let entry = entry?;
            fs::copy(entry.path(), found.join(entry.file_name()))?;
        }
        run(fuzz("cmin").arg(&found).arg("--").args(LIMITS).arg("-close_fd_mask=3"))?;
        fs::remove_dir_all(root().join(KEPT))?;
        fs::create_dir_all(root().join(KEPT))?;
        for entry in fs::read_dir(&found)? {
            let entry = entry?;
            fs::copy(entry.path(), root().join(KEPT).join(entry.file_name()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
