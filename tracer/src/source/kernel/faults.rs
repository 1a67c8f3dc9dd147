//! Faults of the running kernel that tracer's looks at sockets would meet.

use crate::source::kernel::preflight;

/// A version: for example 6, 18 and 45.
type Release = (u32, u32, u32);

/// CVE-2026-74714: the kernel's iterator over TCP sockets (`bpf_iter_tcp_established_batch`) takes a reference to a half-open
/// connection that another CPU has just made and not counted yet, and the connection is freed too early. From which
/// version on there is the fault, and where it is mended.
const ITERATOR: [(Release, Release); 5] = [
    ((5, 15, 0), (6, 1, 183)),
    ((6, 2, 0), (6, 6, 152)),
    ((6, 7, 0), (6, 12, 104)),
    ((6, 13, 0), (6, 18, 45)),
    ((6, 19, 0), (7, 1, 9)),
];

/// Whether the iterator over TCP sockets of a namespace has the fault, by the kernel's version: a distribution may have
/// mended it. It is not used then. That of an unknown version is not used either.
#[must_use]
pub fn has_faulty_iterator() -> bool {
    let running = release(&preflight::release(), &rustix::system::uname().version().to_string_lossy());
    running.is_none_or(|running| is_in(running, &ITERATOR))
}

/// What `tracer check` says of it; `None` without the fault.
#[must_use]
pub fn of_iterator() -> Option<String> {
    has_faulty_iterator().then(|| {
        let mended: Vec<_> =
            ITERATOR.iter().map(|(_, (major, minor, patch))| format!("{major}.{minor}.{patch}")).collect();
        format!(
            "CVE-2026-74714, unless your distribution has mended it: existing sockets are listed by sock_diag instead of the \
             iterator that has it; mended in {}",
            mended.join(", ")
        )
    })
}

fn is_in(running: Release, faulty: &[(Release, Release)]) -> bool {
    faulty.iter().any(|(first, mended)| (first..mended).contains(&&running))
}

/// The version in what `uname -r` and `uname -v` print. Debian's release stays the same for all of a series; the version is in
/// the other one.
fn release(release: &str, version: &str) -> Option<Release> {
    let of_debian = version.split_once("Debian ").and_then(|(_, version)| parsed(version));
    of_debian.or_else(|| parsed(release))
}

fn parsed(text: &str) -> Option<Release> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let mut numbers = text[..end].split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next().and_then(Result::ok).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found() {
        assert_eq!(release("6.18.44-fc", "#1 SMP"), Some((6, 18, 44)));
        assert_eq!(
            release("6.1.0-37-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.140-1 (2025-05-22)"),
            Some((6, 1, 140))
        );
        assert_eq!(release("7.2-rc6", ""), Some((7, 2, 0)));
        assert_eq!(release("vanilla", ""), None);
    }

    #[test]
    fn each_series_is_mended_somewhere() {
        let is_faulty = |major, minor, patch| is_in((major, minor, patch), &ITERATOR);
        for (major, minor, patch) in [(5, 15, 0), (5, 19, 3), (6, 1, 182), (6, 8, 1), (6, 18, 44), (7, 1, 8)]
        {
            assert!(is_faulty(major, minor, patch), "{major}.{minor}.{patch}");
        }
        for (major, minor, patch) in [(5, 14, 9), (6, 1, 183), (6, 6, 152), (6, 18, 45), (7, 1, 9), (7, 2, 0)]
        {
            assert!(!is_faulty(major, minor, patch), "{major}.{minor}.{patch}");
        }
    }
}
