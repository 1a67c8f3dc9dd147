//! Namespaces that are kept by a mount, and need no process: those of `ip netns`, of containers, and any others.

use std::{
    collections::HashMap,
    ffi::OsString,
    fs,
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::{tcp::netns::Inum, text::escape::escaped};

/// A network namespace that is mounted as a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MountedNetns {
    pub(super) inum: u32,
    /// Where, from the root of the process whose mounts were read.
    pub(super) path: PathBuf,
}

/// The shortest time between two readings of the mounts.
const MIN_PAUSE: Duration = Duration::from_secs(2);

/// Names of the network namespaces that this process sees mounted: those of the files.
#[derive(Debug, Default)]
pub(super) struct NetnsNames {
    names: HashMap<Inum, String>,
    last_read: Option<Instant>,
}

impl NetnsNames {
    /// The escaped name of a namespace. Reads the mounts if it is unknown.
    pub(super) fn name(&mut self, inum: Inum) -> Option<String> {
        let may_read = self.last_read.is_none_or(|last_read| last_read.elapsed() > MIN_PAUSE);
        if !self.names.contains_key(&inum) && may_read {
            self.last_read = Some(Instant::now());
            let mounted = of_process(Path::new("/proc/self")).into_iter();
            let name = |netns: &MountedNetns| Some(escaped(netns.path.file_name()?.as_encoded_bytes()));
            self.names = mounted.filter_map(|netns| Some((netns.inum, name(&netns)?))).collect();
        }
        self.names.get(&inum).cloned()
    }
}

/// Those that a process sees: `process` is its folder in `/proc`. None if that cannot be read.
pub(super) fn of_process(process: &Path) -> Vec<MountedNetns> {
    let mounts = fs::read(process.join("mountinfo")).unwrap_or_default();
    mounts.split(|byte| *byte == b'\n').filter_map(parse).collect()
}

/// A line of `/proc/PID/mountinfo` (proc_pid_mountinfo(5)), if it is about a network namespace.
fn parse(line: &[u8]) -> Option<MountedNetns> {
    let mut fields = line.split(|byte| *byte == b' ');
    let root = str::from_utf8(fields.nth(3)?).ok()?;
    let path = fields.next()?;
    // Optional fields end with a hyphen.
    let file_system = fields.skip_while(|field| *field != b"-").nth(1)?;
    let inum = root.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()?;
    let path = PathBuf::from(OsString::from_vec(unescape(path)));
    (file_system == b"nsfs").then_some(MountedNetns { inum, path })
}

/// Blanks, tabs, line ends and backslashes are written as three octal digits.
fn unescape(escaped: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped;
    while let [first, after @ ..] = rest {
        let digits = after.get(..3).filter(|_| *first == b'\\');
        let octal = digits.and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(octal.unwrap_or(*first));
        rest = if octal.is_some() { &after[3..] } else { after };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_network_namespaces_are_found() {
        let line = b"36 35 0:4 net:[4026532177] /run/a\\040b\\134c rw shared:1 master:2 - nsfs nsfs rw";
        let found = MountedNetns { inum: 4_026_532_177, path: "/run/a b\\c".into() };
        assert_eq!(parse(line), Some(found));
        for other in [
            &b""[..],
            b"36 35 0:4 / /proc rw - proc proc rw",
            b"36 35 0:4 mnt:[4026532177] /run/mnt rw - nsfs nsfs rw",
            // Somebody may give a folder such a name.
            b"36 35 0:4 net:[1] /tmp rw - tmpfs tmpfs rw",
            b"36 35 0:4 net:[x] /tmp rw - nsfs nsfs rw",
            b"36 35 0:4 net:[1]",
        ] {
            assert_eq!(parse(other), None, "{}", String::from_utf8_lossy(other));
        }
    }

    #[test]
    fn a_backslash_may_be_the_last_byte() {
        assert_eq!(unescape(b"a\\"), b"a\\");
        assert_eq!(unescape(b"\\999\\011"), b"\\999\t");
    }
}
