//! The file of a recording, and its header.

use std::{
    fs::File,
    io::{self, IsTerminal as _},
    path::Path,
    sync::Arc,
};

use bytesize::ByteSize;

use crate::{
    config::RecordConfig,
    facts::recording_counts::RecordingCounts,
    output::{file::Destination, stderr::message},
    recording::{
        header::{self, Header},
        parts::Parts,
        writer::RecordingFile,
    },
    run::error::Error,
    source::{
        Source,
        kernel::host,
        open::{OpenSource, SourceOptions},
        recorded::Files,
    },
};

/// What standard output is called in messages.
pub(super) const STANDARD_OUTPUT: &str = "standard output";

/// Makes the file of a recording, or takes standard output (`-`).
pub(super) fn files(config: &RecordConfig) -> Result<Files, Error> {
    let RecordConfig { path, rotation, .. } = config;
    if path != Path::new("-") {
        if let Some(rotation) = rotation {
            return Ok(Files::Parts(Parts::new(path, *rotation)?));
        }
        let (name, file) = Destination::new_file(path)?;
        return Ok(Files::One(RecordingFile { name, file, size: Arc::default() }));
    }
    let (name, file) = (STANDARD_OUTPUT.to_owned(), standard_output()?);
    Ok(Files::One(RecordingFile { name, file, size: Arc::default() }))
}

/// Standard output, for a recording.
pub(super) fn standard_output() -> Result<File, Error> {
    let output = io::stdout();
    if output.is_terminal() {
        return Err(Error::Terminal);
    }
    let file = rustix::io::fcntl_dupfd_cloexec(&output, 0).map_err(io::Error::from);
    Ok(file.map_err(Error::system("opening standard output once more"))?.into())
}

/// The header of a recording that begins now.
pub(super) fn header(options: &SourceOptions, source: &mut OpenSource) -> Result<Header, Error> {
    let mut header = Header { id: header::new_id(), kernel: source.kernel().clone(), ..host::header() };
    if let SourceOptions::Kernel(options) = options {
        header.filter = options.load.filter.clone();
        header.filter.netns =
            options.names.resolve(source.names()).map_err(crate::source::Error::from)?.netns;
        header.has_stories = options.load.asks_for_sockets;
        header.follows_timewait = options.follows_timewait;
    }
    Ok(header)
}

/// Says what has been recorded.
pub(super) fn tell(counts: RecordingCounts) {
    let RecordingCounts { events, bytes, parts, left_out, missed, .. } = counts;
    let size = ByteSize::b(bytes);
    let files = if parts > 1 { format!(" in {parts} parts") } else { String::new() };
    message(format_args!("recorded {events} events{files}, {size}"));
    if missed > 0 {
        message(format_args!("{missed} events are not in it, because it could not be written"));
    }
    if left_out > 0 {
        message(format_args!("{left_out} facts are not in it, because they are too large"));
    }
}
