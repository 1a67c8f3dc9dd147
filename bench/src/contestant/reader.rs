//! The C programs, with `bench reader` to load them.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result};

use super::{Counts, Kind, Ready};
use crate::{places, reader::Receipt};

pub(super) static KIND: Kind = Kind {
    is_here: |_| true,
    command,
    ready: Ready::Line("bench: ready"),
    attaches_within: Duration::ZERO,
    counts,
};

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
