//! Which part of recordings `--since` and `--until` mean.

use std::path::PathBuf;

use crate::{
    run::{error::Error, recording::contents::Contents},
    source,
    time::span::{RecordedTime, SpanSpec, TimeSpan},
};

/// Finds a part of recordings. They are read to their ends, unless all of them is meant: only that tells when the end
/// is, and how the wall clock was set meanwhile.
pub(super) fn of_files(paths: &[PathBuf], span: &SpanSpec) -> Result<TimeSpan, Error> {
    if span.is_open() {
        return Ok(TimeSpan::default());
    }
    let contents = paths.iter().map(|path| Contents::of(path)).collect::<Result<Vec<_>, _>>();
    let contents = contents.map_err(source::Error::from)?;
    let Some(recorded) = RecordedTime::of_all(contents.iter().filter_map(Contents::time)) else {
        return Ok(TimeSpan::default());
    };
    let mut found = span.within(&recorded);
    if !found.is_of(&recorded) {
        let names: Vec<_> = contents.into_iter().map(|contents| contents.file).collect();
        let (first, last) = recorded.wall();
        return Err(Error::NothingBetween(names.join(", "), first, last));
    }
    // Nothing is known before the beginning.
    found.since_ns = found.since_ns.filter(|since_ns| *since_ns > recorded.begin.monotonic_ns);
    Ok(found)
}
