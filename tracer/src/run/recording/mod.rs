//! `tracer recording`: what is in recordings, and copies of them.
//!
//! # Layout
//! - here: each command
//! - `contents`: reads a recording, and counts what is in it; `shown`: that as text and JSON
//! - `copy`: copies recordings; `chosen`: only what a filter lets pass; `anonymous`: with pseudonyms

mod anonymous;
mod chosen;
pub(super) mod contents;
mod copy;
mod shown;

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
    slice,
};

use tokio::runtime;

use crate::{
    config::{CutConfig, RecordingConfig, SurveyConfig},
    output::{
        stderr::message,
        stdout::{self, write_whole},
    },
    run::{
        INCOMPLETE,
        confined::Sandbox,
        error::Error,
        recording::{
            anonymous::Anonymous,
            chosen::Chosen,
            contents::{Contents, Wholeness},
            copy::{Everything, copy, open},
        },
        span::HostSpans,
        stop::{Signals, Stop},
        tolerate_closed_pipe,
    },
    source::{self, Source as _},
    text::escape::escaped,
    time::span::TimeSpan,
};

/// Bytes that a key has at least.
const SHORTEST_KEY: usize = 16;

/// Bytes that it has at most: others might never end.
const LONGEST_KEY: u64 = 1 << 16;

/// Runs `tracer recording`.
///
/// # Errors
/// A recording cannot be read, or the output not be written.
pub fn recording(config: &RecordingConfig, sandbox: Sandbox) -> Result<ExitCode, Error> {
    sandbox.keep_files(config.read(), config.written());
    sandbox.give_up_calls();
    match config {
        RecordingConfig::Survey(config) => survey(config),
        RecordingConfig::Cut(config) => copied(cut(config)),
        RecordingConfig::Merge { paths, to } => copied(merge(paths, to)),
        RecordingConfig::Anonymize { path, to, key } => copied(anonymize(path, to, key)),
    }
}

fn copied(copy: impl Future<Output = Result<(), Error>>) -> Result<ExitCode, Error> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Error::system("starting the runtime"))?.block_on(async {
        let mut stop = Stop::new(Signals::new().map_err(Error::system("listening to signals"))?);
        tokio::select! {
            biased;
            () = stop.wait() => Err(Error::Interrupted),
            copied = copy => copied,
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn cut(config: &CutConfig) -> Result<(), Error> {
    let CutConfig { path, to, span, filter, names } = config;
    let span = HostSpans::of_files(slice::from_ref(path), span)?.alone();
    let mut replay = open(slice::from_ref(path)).await?;
    let mut filter = filter.clone();
    filter.netns = names.resolve(replay.names()).map_err(source::Error::from)?.netns;
    if filter.is_open() {
        return copy(replay, to, span, &mut Everything).await;
    }
    if let Some(header) = replay.header() {
        filter = filter.within(&header.filter).map_err(source::Error::from)?;
    }
    let mut chosen = Chosen::find(filter, replay).await?;
    copy(open(slice::from_ref(path)).await?, to, span, &mut chosen).await
}

async fn merge(paths: &[PathBuf], to: &Path) -> Result<(), Error> {
    copy(open(paths).await?, to, TimeSpan::default(), &mut Everything).await
}

async fn anonymize(path: &PathBuf, to: &Path, key: &Path) -> Result<(), Error> {
    let name = || escaped(key.as_os_str().as_bytes());
    let mut secret = Vec::new();
    let read = File::open(key).and_then(|file| file.take(LONGEST_KEY + 1).read_to_end(&mut secret));
    if read.map_err(|cause| Error::Key(name(), cause))? as u64 > LONGEST_KEY {
        return Err(Error::Key(name(), io::Error::other("it is no key: it has more than 64 KiB")));
    }
    if secret.len() < SHORTEST_KEY {
        return Err(Error::ShortKey(name()));
    }
    copy(open(slice::from_ref(path)).await?, to, TimeSpan::default(), &mut Anonymous::new(&secret)).await
}

/// Shows what is in recordings, or whether they are whole: all of those that can be read.
fn survey(config: &SurveyConfig) -> Result<ExitCode, Error> {
    let SurveyConfig { paths, verifies, zone } = config;
    let (mut is_damaged, mut is_unreadable) = (false, false);
    for path in paths {
        let survey = match Contents::of(path) {
            Ok(survey) => survey,
            Err(error) => {
                message(error);
                is_unreadable = true;
                continue;
            }
        };
        is_damaged |= survey.verdict() == Wholeness::Damaged;
        let text = match zone {
            None => shown::object(&survey).map_err(stdout::Error::Write)?,
            Some(_) if *verifies => shown::verdict(&survey),
            Some(zone) => shown::info(&survey, zone),
        };
        tolerate_closed_pipe(
            write_whole(text.as_bytes()).map_err(stdout::Error::Write).map_err(Error::from),
        )?;
    }
    Ok(match (is_unreadable, is_damaged && *verifies) {
        (true, _) => ExitCode::FAILURE,
        (false, true) => INCOMPLETE.into(),
        (false, false) => ExitCode::SUCCESS,
    })
}
