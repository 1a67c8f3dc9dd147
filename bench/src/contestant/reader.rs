//! The C programs, with this very program as their reader.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result};

use crate::{
    contestant::{Counts, Kind},
    places,
    reader::Receipt,
};

pub(crate) static KIND: Kind =
    Kind { command, ready: "bench: ready", attaches_within: Duration::ZERO, counts };

fn command(arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(places::built("bench")?);
    command.arg("reader").arg(places::object(arguments.first().context("no object")?)?);
    Ok(command)
}

fn counts(output: &Path, _: &str) -> Result<Counts> {
    let receipt: Receipt =
        serde_json::from_str(&fs::read_to_string(output)?).context("the reader's receipt")?;
    Ok(Counts { seen: receipt.seen, lost: receipt.lost })
}
