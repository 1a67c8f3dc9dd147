//! What a run gives up once it has what it needs (see [`crate::sandbox`]). Where that cannot be, it goes on without: it
//! is the second line of defence.

use std::path::{Path, PathBuf};

use crate::{
    config::RunConfig,
    output::file::Destination,
    sandbox::{calls, files},
    source::open::SourceOptions,
};

/// Whether there is a sandbox (`--no-sandbox`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sandbox {
    /// There is.
    On,
    /// For debugging.
    Off,
}

impl Sandbox {
    /// Gives up all system calls but those of a capture that runs.
    pub(super) fn give_up_calls(self) {
        if self == Self::On
            && let Err(error) = calls::give_up()
        {
            log::warn!("no system calls could be given up: {error}");
        }
    }

    /// Gives up all files but those around these: the ones that are read, and the ones that are written. Must be called
    /// before a thread is started.
    pub(super) fn keep_files<'a>(
        self,
        read: impl IntoIterator<Item = &'a PathBuf>,
        write: impl IntoIterator<Item = &'a PathBuf>,
    ) {
        if self == Self::Off {
            return;
        }
        let read: Vec<_> = read.into_iter().flat_map(|path| around(path)).collect();
        let write: Vec<_> = write.into_iter().flat_map(|path| around(path)).collect();
        match files::keep(&read, &write) {
            Ok(true) => {}
            Ok(false) => log::info!("this kernel has no Landlock: no files could be given up"),
            Err(error) => log::warn!("no files could be given up: {error}"),
        }
    }

    /// The same of a capture. Of a live one, `/proc` of all processes is needed, and their namespaces.
    pub(super) fn keep_files_of(self, config: &RunConfig) {
        if matches!(config.source, SourceOptions::Kernel(_)) {
            return;
        }
        let written = [
            config.record.as_ref().map(|record| &record.path),
            config.export.as_ref().map(|export| &export.to),
        ];
        let receipt = config.capture.receipt.as_ref().and_then(Destination::folder);
        let against = config.against.iter().flat_map(|against| &against.sides);
        let read = read_by(&config.source).iter().chain(against.flat_map(|side| read_by(&side.source)));
        self.keep_files(read, written.into_iter().flatten().chain(&receipt));
    }
}

/// The recordings that a source reads.
pub(super) fn read_by(source: &SourceOptions) -> &[PathBuf] {
    match source {
        SourceOptions::Kernel(_) => &[],
        SourceOptions::Recording(options) => &options.paths,
    }
}

/// The folder of a file, that of the file that it is a link to, and the one that a folder is.
fn around(path: &Path) -> Vec<PathBuf> {
    let real = path.canonicalize().ok();
    [Some(path), real.as_deref()].into_iter().flatten().map(files::folder_of).collect()
}
