//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::{
    contestant::CONTESTANTS,
    load::{churn::Churn, service},
    scenes::SCENES,
};

/// Measure what tracer costs, beside what others cost, on one load in one run
#[derive(Parser)]
#[command(name = "bench", bin_name = "cargo xtask bench", args_conflicts_with_subcommands = true)]
#[command(after_help = after_help())]
pub(crate) struct Args {
    #[command(subcommand)]
    pub verb: Option<Verb>,
    /// How often each contestant is measured
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// Length of a measured window
    #[arg(long, value_name = "S", default_value_t = 3.0, value_parser = seconds)]
    pub seconds: f64,
    /// Only these contestants and scenes
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', value_parser = names())]
    pub only: Vec<String>,
    #[command(flatten)]
    pub churn: Churn,
    /// Where all figures go [default: report.json in the target folder's bench]
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Draw the chart
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Measure nothing; take an earlier run's figures
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rounds", "seconds", "only", "json", "Churn"])]
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
    /// Whether a contestant or scene is to be measured.
    pub(crate) fn asks_for(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|asked| asked == name)
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse::<f64>().map_err(|error| error.to_string())?;
    if (0.1..=600.0).contains(&seconds) { Ok(seconds) } else { Err("from 0.1 to 600 seconds".to_owned()) }
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
         `{}`: nginx and wrk, with and without keep-alive, beside other tools.\n\n\
         Each contestant is measured right after and right before nobody is tracing, and its ratio is to \
         the mean of the two; so it is with the service's requests. A full run takes about a quarter of an hour; the host should do nothing else.\n\n\
         Events seen and lost have to be exactly what the load made: what is missing or too many stands \
         under `unaccounted`; other TCP traffic on the host shows as too many. CPU time is of the \
         contestant's process for a million events that it saw. Kernel time is net of as many runs of the \
         empty program. Peak memory counts a ring buffer twice, since it is mapped two times in a row; \
         `beside ring` leaves it out.",
        contestants.join(", "),
        scenes.join(", "),
        service::NAME,
    )
}
