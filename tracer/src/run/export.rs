//! The files of an export.

use std::{
    fmt, fs,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    config::ExportConfig,
    output::{
        files::{ExportFiles, is_folder},
        progress::Progress,
        stdout::Output,
    },
    run::error::Error,
    source::open::SourceOptions,
    text::escape::escaped,
};

/// Looks whether files can be written there, and what is said when they are; `None` for standard output.
pub(super) fn files(config: Option<&ExportConfig>) -> Result<Option<(ExportFiles, WrittenExport)>, Error> {
    let Some(ExportConfig { to, suffix, rolling }) = config else {
        return Ok(None);
    };
    let is_stdout = to == Path::new("-");
    let files = match !is_stdout && is_folder(to) {
        true if !to.is_dir() => return Err(Error::AbsentFolder(escaped(to.as_os_str().as_bytes()))),
        true => ExportFiles::in_folder(to, suffix, rolling.unwrap_or_default()),
        false if rolling.is_some() => return Err(Error::NoFolder),
        false if is_stdout => return Ok(None),
        false => ExportFiles::one(to),
    };
    let files = files.map_err(Error::Export)?;
    let written = WrittenExport { to: escaped(to.as_os_str().as_bytes()), files: files.finished() };
    Ok(Some((files, written)))
}

/// What is said when it is there.
pub(super) struct WrittenExport {
    to: String,
    /// How many files, if it is a folder.
    files: Option<Arc<AtomicU64>>,
}

impl fmt::Display for WrittenExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { to, files } = self;
        let Some(files) = files else {
            return write!(f, "written: {to}");
        };
        let count = files.load(Ordering::Relaxed);
        write!(f, "written: {count} {} in {to}", if count == 1 { "file" } else { "files" })
    }
}

/// Starts to say how far the export of recordings is.
pub(super) fn progress(source: &SourceOptions, output: &Output) -> Option<Progress> {
    let SourceOptions::Recording(options) = source else {
        return None;
    };
    // A pipe has no length.
    let lengths = options.paths.iter().map(|path| fs::metadata(path).ok().filter(fs::Metadata::is_file));
    let total = lengths.map(|file| file.map(|file| file.len())).sum::<Option<u64>>()?;
    Progress::start(Arc::<AtomicU64>::clone(&options.read), total, output.made())
}
