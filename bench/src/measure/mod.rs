//! The measurements of a run.
//!
//! # Layout
//! - `turns`: contestants take turns in rounds
//! - `churn`: measures contestants on connections that are opened and closed
//! - `service`: measures contestants beside a service
//! - `list`: how long lists of sockets take
//! - `against`: compares two builds of tracer in pairs
//! - `progress`: prints how far a run is

mod against;
mod churn;
mod list;
mod progress;
mod service;
mod turns;

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use self::turns::Turns;
use crate::{
    cli::Args,
    contestant::{CONTESTANTS, present},
    load::service::NAME as SERVICE,
    places,
    report::{Report, figure::Figure, host::Host, list::NAME as LIST, pair::Pair, rows::rows},
    scenes::SCENES,
    targets,
};

/// Measures what is asked for.
pub(crate) fn measure(args: &Args) -> Result<Report> {
    // First, because the sources may change during a run, and with them what git describes.
    let host = Host::here();
    let scratch = places::scratch()?;
    let mut report = Report::new(host, args.rounds(), args.seconds(), args.churn.arguments());
    match &args.against {
        Some(old) => report.pairs = against(args, old, scratch.path())?,
        None => measure_all(args, scratch.path(), &mut report)?,
    }
    report.verdicts = targets::verdicts(&report);
    Ok(report)
}

fn measure_all(args: &Args, scratch: &Path, report: &mut Report) -> Result<()> {
    let (rounds, seconds) = (args.rounds(), args.seconds());
    report.scenes = scenes(args, scratch)?;
    if args.asks_for(LIST) {
        report.list = list::measure(rounds, scratch)?;
    }
    if args.asks_for(SERVICE) {
        report.service = service::Plan {
            contestants: service::contestants(|name| args.asks_for(name)),
            rounds,
            seconds,
            scratch,
        }
        .run()?;
    }
    let contestants: Vec<_> = present(|contestant| args.asks_for(contestant.name)).collect();
    let turns = Turns { what: "churn", contestants: &contestants, rounds };
    (report.samples, report.untraced) = churn::Plan { turns, seconds, churn: &args.churn, scratch }.run()?;
    report.rows = rows(&report.samples, &report.untraced);
    report.rows.sort_by_key(|row| CONTESTANTS.iter().position(|it| it.name == row.contestant));
    Ok(())
}

fn scenes(args: &Args, scratch: &Path) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (name, scene) in SCENES.iter().filter(|(name, _)| args.asks_for(name)) {
        eprintln!("bench: {name}");
        figures.extend(scene(scratch).with_context(|| *name)?);
    }
    Ok(figures)
}

fn against(args: &Args, old: &Path, scratch: &Path) -> Result<Vec<Pair>> {
    let views: Vec<_> = present(|it| it.is_tracer() && args.asks_for(it.name)).collect();
    ensure!(!views.is_empty(), "--against compares views of tracer: name one with --only");
    let (rounds, seconds) = (args.rounds(), args.seconds());
    against::Plan { views: &views, old, rounds, seconds, churn: &args.churn, scratch }.run()
}
