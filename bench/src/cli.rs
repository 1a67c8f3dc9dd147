//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::{
    contestant::CONTESTANTS,
    load::{churn::Churn, service},
    report::{list, pair::ROUNDS},
    scenes::SCENES,
};

/// Measure what tracer costs, compared with other tools on the same load in the same run
#[derive(Parser)]
#[command(name = "bench", bin_name = "cargo xtask bench", args_conflicts_with_subcommands = true)]
#[command(after_help = after_help())]
pub(crate) struct Args {
    #[command(subcommand)]
    pub verb: Option<Verb>,
    /// How often each contestant is measured [default: 5, with --against 20]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Length of a measured window [default: 3, with --against 1]
    #[arg(long, value_name = "S", value_parser = seconds)]
    seconds: Option<f64>,
    /// Measure only these contestants and scenes
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', value_parser = names())]
    pub only: Vec<String>,
    /// Compare the views of this build of tracer with those of another release build
    #[arg(long, value_name = "PROGRAM", value_parser = program)]
    pub against: Option<PathBuf>,
    #[command(flatten)]
    pub churn: Churn,
    /// Where to write all figures [default: bench/report.json in the target folder]
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Draw a chart into this file
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Measure nothing; show the figures of an earlier run
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rounds", "seconds", "only", "against", "json", "Churn"])]
    pub from: Option<PathBuf>,
    /// End with status 1 if a target is missed
    #[arg(long)]
    pub check: bool,
}

/// Parts of the bench that it starts as processes of their own.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Load one of the C programs, and discard its events
    #[command(hide = true)]
    Reader {
        /// The compiled program
        object: PathBuf,
    },
}

impl Args {
    /// How often each contestant is measured.
    pub(crate) fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.against.is_some() { ROUNDS } else { 5 })
    }

    /// Length of a measured window. To tell two builds apart, many windows help more than long ones.
    pub(crate) fn seconds(&self) -> f64 {
        self.seconds.unwrap_or(if self.against.is_some() { 1.0 } else { 3.0 })
    }

    /// Whether a contestant or scene is to be measured.
    pub(crate) fn asks_for(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|asked| asked == name)
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse::<f64>().map_err(|error| error.to_string())?;
    if (0.1..=600.0).contains(&seconds) { Ok(seconds) } else { Err("from 0.1 to 600 seconds".to_owned()) }
}

fn program(text: &str) -> Result<PathBuf, String> {
    let program = std::path::absolute(text).map_err(|error| error.to_string())?;
    if program.is_file() { Ok(program) } else { Err("no such program".to_owned()) }
}

fn names() -> Vec<&'static str> {
    let contestants = CONTESTANTS.iter().map(|contestant| contestant.name);
    contestants.chain(SCENES.iter().map(|(name, _)| *name)).chain([service::NAME, list::NAME]).collect()
}

fn after_help() -> String {
    let contestants: Vec<_> = CONTESTANTS.iter().map(|contestant| contestant.name).collect();
    let scenes: Vec<_> = SCENES.iter().map(|(name, _)| *name).collect();
    format!(
        "Contestants: {}.\nScenes, which measure tracer alone: {}.\n\
         `{}`: requests per second of nginx and wrk, with and without keep-alive, compared with other tools.\n\
         `{}`: how long a list of 100,000 sockets takes, and of 1,000,000 in TIME_WAIT, compared with ss and netstat.\n\n{HELP}",
        contestants.join(", "),
        scenes.join(", "),
        service::NAME,
        list::NAME,
    )
}

const HELP: &str = "\
The untraced load is measured right before and right after each contestant, and a contestant's ratio is to the \
mean of the two. A full run takes about a quarter of an hour; the host should do nothing else meanwhile.

Events seen and lost together have to be exactly what the load made. The difference is shown under \
`unaccounted`, as missing or too many; other TCP traffic on the host shows as too many. `CPU s/million` is the CPU \
time of the contestant's process per million events that it saw. `kernel ns/event` is without the time of as many \
runs of the empty program. `peak MiB` counts a ring buffer twice, because it is mapped two times in a row; \
`beside ring` leaves it out.

With --against, two builds of tracer are measured one right after the other, and in the opposite order in the next \
round. The ratio is the median over the rounds. `95 %` is its confidence interval: if it is wide, more rounds are \
needed, and a miss that it does not confirm is `unclear`. `of CPU time` is the ratio of connections per second of \
CPU time, of the load and tracer together, which other programs on the host change less.";
