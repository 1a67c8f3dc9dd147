//! The user's time zone.

use std::{env, fs, iter, path::Path, sync::LazyLock};

use jiff::tz::TimeZone;
use walkdir::{DirEntry, WalkDir};

/// What tells the host's time zone.
const LOCALTIME: &str = "/etc/localtime";

static LOCAL: LazyLock<TimeZone> = LazyLock::new(|| {
    let name = env::var("TZ").unwrap_or_default();
    if let Some(path) = obstacle(&name) {
        log::warn!("times are UTC: what tells the time zone, {path}, is no file");
        return TimeZone::UTC;
    }
    if name.is_empty() { TimeZone::system() } else { named(&name) }
});

/// What the time zone might be read from that is no file. Opening a pipe, as the library does, may take for ever.
fn obstacle(name: &str) -> Option<String> {
    let is_obstacle = |path: &Path| fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir());
    let own = if name.is_empty() { LOCALTIME } else { name.strip_prefix(':').unwrap_or(name) };
    // In the folder names are found in whatever case they are.
    let folder = env::var_os("TZDIR");
    let below = folder.iter().flat_map(|folder| WalkDir::new(folder).into_iter().flatten());
    let mut paths = iter::once(own.into()).chain(below.map(DirEntry::into_path));
    paths.find(|path| is_obstacle(path)).map(|path| path.to_string_lossy().into_owned())
}

/// The time zone of `TZ`, else that of the system. UTC with a warning if `TZ` is not understood, or cannot be read.
#[must_use]
pub fn local() -> TimeZone {
    LOCAL.clone()
}

fn named(name: &str) -> TimeZone {
    let zone = match without_folder(name) {
        Some(name) => TimeZone::get(name),
        None => TimeZone::try_system(),
    };
    zone.unwrap_or_else(|error| {
        log::warn!("the time zone in TZ is not known, so times are UTC: {error}");
        TimeZone::UTC
    })
}

/// The system's database has all zones again in these two folders: `posix/Europe/Berlin`. Those in `right/` count
/// leap seconds, which the kernel's clock does not.
fn without_folder(name: &str) -> Option<&str> {
    let name = name.strip_prefix(':').unwrap_or(name);
    name.strip_prefix("posix/").or_else(|| name.strip_prefix("right/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_in_folders_are_the_same_zones() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        for name in ["posix/Europe/Berlin", ":posix/Europe/Berlin", "right/Europe/Berlin"] {
            assert_eq!(named(name), berlin, "{name}");
        }
        assert_eq!(named("posix/No/Where"), TimeZone::UTC);
    }
}
