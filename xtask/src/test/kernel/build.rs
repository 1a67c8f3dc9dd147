//! Builds the test programs.

use std::{path::PathBuf, process::Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{command::output, test::steps::in_root};

/// A test program.
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
}

/// Everything that was built.
pub(crate) struct Built {
    pub(crate) tests: Vec<Program>,
    /// The program that plays other processes.
    pub(crate) actor: PathBuf,
    /// The program that plays the rest of the host.
    pub(crate) noise: PathBuf,
}

/// Builds all test programs.
pub(crate) fn build() -> Result<Built> {
    built("*")
}

/// Builds one test program, and the programs that it needs.
pub(crate) fn build_one(name: &str) -> Result<Built> {
    built(name)
}

fn built(which: &str) -> Result<Built> {
    let mut build = in_root();
    build.args(["test", "--quiet", "--package", "tests", "--locked", "--no-run"]);
    build.args(["--message-format=json-render-diagnostics", "--test", which]);
    let said = output(build.stdin(Stdio::null()))?;
    let mut tests = Vec::new();
    let (mut actor, mut noise) = (None, None);
    for message in said.lines() {
        let message: Value = serde_json::from_str(message).context("cargo's messages")?;
        let Some(path) = message["executable"].as_str().map(PathBuf::from) else {
            continue;
        };
        let name = message["target"]["name"].as_str().unwrap_or_default().to_owned();
        match (message["profile"]["test"].as_bool(), &*name) {
            (Some(true), _) => tests.push(Program { name, path }),
            (_, "actor") => actor = Some(path),
            (_, "noise") => noise = Some(path),
            _ => {}
        }
    }
    match (actor, noise) {
        (Some(actor), Some(noise)) if !tests.is_empty() => {
            tests.sort_by(|one, other| one.name.cmp(&other.name));
            Ok(Built { tests, actor, noise })
        }
        _ => bail!("cargo names no test programs: {said}"),
    }
}
