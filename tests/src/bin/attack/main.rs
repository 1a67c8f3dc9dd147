//! Attacks tracer: see `tests::attack`. `cargo xtask attack` builds and starts it.

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use tests::{
    attack::{
        axes::AXES,
        campaign::{self, Wanted},
    },
    program::heed_signals,
};

const EXAMPLES: &str = "\
Examples:
  cargo xtask attack                              every case of every axis: long
  cargo xtask attack --minutes 10                 a part of each axis, in a random order
  cargo xtask attack --only limits --only files   two axes, whole
  cargo xtask attack --only grammar --seed 8      other random command lines
  cargo xtask attack --only signals --case 'INT after 5 ms: top'
                                                  one case, as a failure prints it
  cargo xtask attack --list                       the axes

After each case: no panic, no hang, an exit status that the contract allows, no BPF program
left, only tracer's own lines on standard error, output in its format, memory below a bound.";

/// Runs tracer in hostile situations, and checks that it behaves.
#[derive(Parser)]
#[command(name = "cargo xtask attack", bin_name = "cargo xtask attack", after_help = EXAMPLES)]
struct Cli {
    /// Only this axis; may be repeated
    #[arg(long, value_name = "AXIS")]
    only: Vec<String>,
    /// Only the case of this name
    #[arg(long, value_name = "NAME")]
    case: Option<String>,
    /// What is random is determined by this
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Time for everything, divided among the axes; without it, every case runs
    #[arg(long, value_name = "N")]
    minutes: Option<f64>,
    /// At most so many cases of each axis
    #[arg(long, value_name = "N")]
    most: Option<usize>,
    /// List the axes
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let Cli { only, case, seed, minutes, most, list } = Cli::parse();
    if list {
        for axis in AXES {
            println!("{:<12} {}", axis.name, axis.about);
        }
        return ExitCode::SUCCESS;
    }
    if let Some(unknown) = only.iter().find(|name| AXES.iter().all(|axis| axis.name != **name)) {
        eprintln!("attack: there is no axis {unknown}: --list lists them");
        return ExitCode::from(2);
    }
    heed_signals();
    let time = minutes.map(|minutes| Duration::from_secs_f64(minutes.max(0.0) * 60.0));
    let results = campaign::attack(&Wanted { only, case, seed, time, most });
    let ran: usize = results.iter().map(|result| result.ran).sum();
    if ran == 0 {
        eprintln!("attack: no case ran");
    }
    let is_good = ran > 0 && results.iter().all(|result| result.failed.is_empty());
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
