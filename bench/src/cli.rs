//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::{
    contestant::CONTESTANTS,
    load::{churn::Churn, service},
    report::pair::ROUNDS,
    scenes::SCENES,
};

/// Measure what tracer costs, beside what others cost, on one load in one run
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
    /// Only these contestants and scenes
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', value_parser = names())]
    pub only: Vec<String>,
    /// Another release build of tracer: hold this one's views against its
    #[arg(long, value_name = "PROGRAM", value_parser = program)]
    pub against: Option<PathBuf>,
    #[command(flatten)]
    pub churn: Churn,
    /// Where all figures go [default: report.json in the target folder's bench]
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Draw the chart
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Measure nothing; take an earlier run's figures
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rounds", "seconds", "only", "against", "json", "Churn"])]
    pub from: Option<PathBuf>,
    /// End with status 1 if a target is missed
    #[arg(long)]
    pub check: bool,
}

/// What the bench starts of itself.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Load a C program and throw away what it reports
    #[command(hide = true)]
    Reader {
        /// The program
        object: PathBuf,
    },
}

impl Args {
    /// How often each contestant is measured.
    pub(crate) fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.against.is_some() { ROUNDS } else { 5 })
    }

    /// Length of a measured window. Two builds are told apart by many windows, not by long ones.
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
    contestants.chain(SCENES.iter().map(|(name, _)| *name)).chain([service::NAME]).collect()
}

fn after_help() -> String {
    let contestants: Vec<_> = CONTESTANTS.iter().map(|contestant| contestant.name).collect();
    let scenes: Vec<_> = SCENES.iter().map(|(name, _)| *name).collect();
    format!(
        "Contestants: {}.\nScenes, of tracer alone: {}.\n\
         `{}`: requests of nginx and wrk, with and without keep-alive, beside other tools.\n\n{HELP}",
        contestants.join(", "),
        scenes.join(", "),
        service::NAME,
    )
}

const HELP: &str = "\
Each contestant is measured right after and right before nobody is tracing, and its ratio is to the mean of the \
two. A full run takes about a quarter of an hour; the host should do nothing else.

Events seen and lost have to be exactly what the load made: what is missing or too many stands under \
`unaccounted`; other TCP traffic on the host shows as too many. CPU time is of the contestant's process for a \
million events that it saw. Kernel time is net of as many runs of the empty program. Peak memory counts a ring \
buffer twice, since it is mapped two times in a row; `beside ring` leaves it out.

With --against, two builds of tracer are measured one right after the other, and the other way round in the next \
round. The ratio is the median over the rounds, and `95 %` is where it lies in truth with that probability: \
where that is wide, more rounds are needed, and a miss that it does not confirm is `unclear`. `of CPU time` is the same of connections for a second of CPU time \
that the load and tracer take, which others on the host change less.";
