//! The files of an export.

use std::{fs, os::unix::ffi::OsStrExt as _, path::Path, sync::Arc, sync::atomic::AtomicU64};

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

/// Looks whether files can be written there; `None` for standard output.
pub(super) fn files(config: &ExportConfig) -> Result<Option<ExportFiles>, Error> {
    let ExportConfig { to, suffix, rolling, .. } = config;
    let is_stdout = to == Path::new("-");
    let files = match !is_stdout && is_folder(to) {
        true if !to.is_dir() => return Err(Error::AbsentFolder(escaped(to.as_os_str().as_bytes()))),
        true => ExportFiles::in_folder(to, suffix, rolling.unwrap_or_default()),
        false if rolling.is_some() => return Err(Error::NoFolder),
        false if is_stdout => return Ok(None),
        false => ExportFiles::one(to),
    };
    files.map(Some).map_err(Error::Export)
}

/// What is said when it is there.
pub(super) fn told(config: &ExportConfig) -> Option<String> {
    let is_told = config.is_told && config.to != Path::new("-");
    is_told.then(|| format!("written: {}", escaped(config.to.as_os_str().as_bytes())))
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
