//! The measurements of a run.
//!
//! # Layout
//!
//! `turns` measures contestants by turns, `progress` says how far that is. `churn` says what is measured
//! of one under the load that is the worst, `service` what a service feels of it.

mod churn;
mod progress;
mod service;
mod turns;

use std::path::Path;

use anyhow::{Context as _, Result};

use self::turns::Turns;
use crate::{
    cli::Args,
    contestant::{CONTESTANTS, present},
    load::service::NAME as SERVICE,
    places,
    report::{Report, figure::Figure, host::Host, rows::rows},
    scenes::SCENES,
    targets,
};

/// Measures what is asked for.
pub(crate) fn measure(args: &Args) -> Result<Report> {
    // Before anything can change in the sources.
    let host = Host::here();
    let scratch = places::scratch()?;
    let scenes = scenes(args, scratch.path())?;
    let service = if args.asks_for(SERVICE) {
        service::Plan { rounds: args.rounds, seconds: args.seconds, scratch: scratch.path() }.run()?
    } else {
        Vec::new()
    };
    let contestants: Vec<_> = present(|contestant| args.asks_for(contestant.name)).collect();
    let plan = churn::Plan {
        turns: Turns { what: "churn", contestants: &contestants, rounds: args.rounds },
        seconds: args.seconds,
        churn: &args.churn,
        scratch: scratch.path(),
    };
    let (samples, untraced) = plan.run()?;
    let mut rows = rows(&samples, &untraced);
    rows.sort_by_key(|row| CONTESTANTS.iter().position(|contestant| contestant.name == row.contestant));
    let mut report = Report {
        host,
        rounds: args.rounds,
        seconds: args.seconds,
        load: args.churn.arguments(),
        rows,
        samples,
        untraced,
        service,
        scenes,
        verdicts: Vec::new(),
    };
    report.verdicts = targets::verdicts(&report);
    Ok(report)
}

fn scenes(args: &Args, scratch: &Path) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (name, scene) in SCENES.iter().filter(|(name, _)| args.asks_for(name)) {
        eprintln!("bench: {name}");
        figures.extend(scene(scratch).with_context(|| *name)?);
    }
    Ok(figures)
}
