//! Faults of the running kernel that tracer's looks at sockets would meet.

use aya::Btf;
use aya_obj::btf::BtfKind;

use crate::source::kernel::{preflight, sock_diag, sockets::Error};

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

/// Since it takes several sockets at once, which is where the fault is, the iterator has this function.
const BATCH: &str = "bpf_iter_tcp_seq_next";

/// Whether the iterator over TCP sockets of a namespace may have the fault, by the kernel's version: a distribution may have
/// mended it. Older ones may have got it, as in RHEL 9, which their types tell. It is not used then, and neither is that
/// of an unknown version.
#[must_use]
pub fn has_faulty_iterator(types: &Btf) -> bool {
    let takes_several = || types.id_by_type_name_kind(BATCH, BtfKind::Func).is_ok();
    match release(&preflight::release(), &rustix::system::uname().version().to_string_lossy()) {
        Some(running) if running < ITERATOR[0].0 => takes_several(),
        Some(running) => is_in(running, &ITERATOR),
        None => true,
    }
}

/// What `tracer check` says of it: what is done instead, or why that cannot be done. `None` if the iterator is used.
#[must_use]
pub fn check_iterator() -> Option<Result<String, String>> {
    let types = Btf::from_sys_fs().ok()?;
    has_faulty_iterator(&types).then(|| {
        let mended = ITERATOR.map(|(_, (major, minor, patch))| format!("{major}.{minor}.{patch}")).join(", ");
        sock_diag::timewait().map_err(|error| Error::Diag { error }.to_string())?;
        Ok(format!(
            "CVE-2026-74714 may be in the iterator over sockets, so sock_diag lists them; mended in {mended}"
        ))
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
