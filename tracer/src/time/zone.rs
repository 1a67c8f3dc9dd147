//! The user's time zone, found as the C library finds it: a file that is named by a path, or by its place in the
//! system's database, or a rule such as `CET-1CEST,M3.5.0,M10.5.0/3`.
//!
//! Only that file is opened, and a pipe or a device in its place is not waited for.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    io::{self, ErrorKind, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use jiff::tz::TimeZone;
use rustix::fs::OFlags;

/// What tells the host's time zone.
const LOCALTIME: &str = "/etc/localtime";

/// Where the system's database may be; `TZDIR` comes first.
const FOLDERS: [&str; 3] = ["/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo"];

/// The largest file that is read as a time zone. None of the system's has a hundredth of it.
const MAX_BYTES: u64 = 1 << 20;

static LOCAL: LazyLock<TimeZone> = LazyLock::new(|| {
    let found = match env::var_os("TZ") {
        Some(name) => named(&name.to_string_lossy(), env::var_os("TZDIR")),
        // Without the file the host's time zone is UTC.
        None => read(Path::new(LOCALTIME)).map(|zone| zone.unwrap_or(TimeZone::UTC)),
    };
    found.unwrap_or_else(|error| {
        log::warn!("times are UTC: {error}");
        TimeZone::UTC
    })
});

/// Why a time zone is not known.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the time zone cannot be read from {}: {cause}", path.display())]
    File { path: PathBuf, cause: io::Error },
    #[error("the time zone in TZ, {0}, is not known: `ls {folder}` shows which are", folder = FOLDERS[0])]
    Name(String),
}

/// The time zone of `TZ`, else that of the system. UTC with a warning if `TZ` is not understood, or cannot be read.
#[must_use]
pub fn local() -> TimeZone {
    LOCAL.clone()
}

fn named(name: &str, own_folder: Option<OsString>) -> Result<TimeZone, Error> {
    let name = without_folder(name);
    // There is no database in many containers.
    if matches!(name, "" | "UTC" | "Etc/UTC") {
        return Ok(TimeZone::UTC);
    }
    for folder in own_folder.map(PathBuf::from).into_iter().chain(FOLDERS.map(PathBuf::from)) {
        // If the name is a path, it stays what it is.
        if let Some(zone) = read(&folder.join(name))? {
            return Ok(zone);
        }
    }
    TimeZone::posix(name).map_err(|_| Error::Name(name.to_owned()))
}

/// Reads a time zone. `None` if nothing is there.
fn read(path: &Path) -> Result<Option<TimeZone>, Error> {
    match contents(path).and_then(|bytes| TimeZone::tzif("", &bytes).map_err(io::Error::other)) {
        Ok(zone) => Ok(Some(zone)),
        Err(cause) if matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(cause) => Err(Error::File { path: path.to_owned(), cause }),
    }
}

fn contents(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    // Some of the kernel's own files wait, too.
    let file = File::options().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The system's database has all zones again in these two folders: `posix/Europe/Berlin`. Those in `right/` count
/// leap seconds, which the kernel's clock does not.
fn without_folder(name: &str) -> &str {
    let name = name.strip_prefix(':').unwrap_or(name);
    name.strip_prefix("posix/").or_else(|| name.strip_prefix("right/")).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_in_folders_are_the_same_zones() {
        let zone = |name| named(name, None).unwrap();
        for name in ["posix/Europe/Berlin", ":posix/Europe/Berlin", "right/Europe/Berlin"] {
            assert_eq!(zone(name), zone("Europe/Berlin"), "{name}");
        }
        assert!(named("posix/No/Where", None).is_err());
    }

    #[test]
    fn rules_are_understood() {
        let seconds = |name| named(name, None).unwrap().to_offset(jiff::Timestamp::UNIX_EPOCH).seconds();
        assert_eq!(
            ["", "UTC0", "<+03>-3", "EST5EDT,M3.2.0,M11.1.0"].map(seconds),
            [0, 0, 3 * 3600, -5 * 3600]
        );
        assert!(named("CE", None).is_err());
    }
}
