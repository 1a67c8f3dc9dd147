//! The user's time zone.

use std::{env, sync::LazyLock};

use jiff::tz::TimeZone;

static LOCAL: LazyLock<TimeZone> = LazyLock::new(|| match env::var("TZ") {
    Ok(name) if !name.is_empty() => named(&name),
    _ => TimeZone::system(),
});

/// The time zone of `TZ`, else that of the system. UTC with a warning if `TZ` is not understood.
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
