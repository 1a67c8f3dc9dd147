//! A copy of tracer that every user may run, and that a build meanwhile does not replace.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, sync::OnceLock};

use crate::tracer;

static COPY: OnceLock<PathBuf> = OnceLock::new();

/// Its path. The first call copies it into `folder()`.
pub fn path() -> PathBuf {
    COPY.get_or_init(|| {
        let copy = folder().join("tracer");
        tracer::copy_binary(&copy);
        copy
    })
    .clone()
}

/// A folder that every user may enter. It is removed when this process exits: several tests may use it until then.
pub fn folder() -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::Builder::new().prefix("tracer-attack-").tempdir().unwrap().keep();
        // SAFETY: the function stays, and may run on any thread.
        unsafe { libc::atexit(clean_up) };
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        folder
    });
    folder.clone()
}

extern "C" fn clean_up() {
    let _ = fs::remove_dir_all(folder());
}
