//! `--netns`: network namespaces.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use rustix::fs::{stat, statfs};

/// Inode number of a network namespace, as `ls -L -i /proc/PID/ns/net` prints it.
pub type Inum = u32;

/// A network namespace as the user gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Netns {
    /// Its inode number.
    Inum(Inum),
    /// A file that refers to it, such as `/proc/PID/ns/net` or one in `/run/netns`.
    Path(PathBuf),
    /// A process in it.
    Pid(u32),
}

/// Why a namespace is not found.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is not a number, a path, a name or `pid:PID`.
    #[error("`{0}` is not a namespace: give an inode number, a path, a name from `ip netns`, or pid:PID")]
    Syntax(String),
    /// The file cannot be read.
    #[error("namespace {path}: {cause}")]
    Unreadable {
        /// The file.
        path: String,
        /// The system's error.
        cause: rustix::io::Errno,
    },
    /// The file does not refer to a namespace.
    #[error("{0} is not a namespace: give a file such as /run/netns/NAME or /proc/PID/ns/net")]
    NotANamespace(String),
}

impl FromStr for Netns {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let syntax = || Error::Syntax(crate::text::escape::escaped(text.as_bytes()));
        if let Some(pid) = text.strip_prefix("pid:") {
            return pid.parse().map(Self::Pid).map_err(|_| syntax());
        }
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().map(Self::Inum).map_err(|_| syntax());
        }
        match text {
            "" | "." | ".." => Err(syntax()),
            path if path.contains('/') => Ok(Self::Path(path.into())),
            name => Ok(Self::Path(Path::new("/run/netns").join(name))),
        }
    }
}

/// File system type of namespace files, `NSFS_MAGIC` in `linux/magic.h`.
const NSFS_MAGIC: i64 = 0x6e73_6673;

impl Netns {
    /// Looks up the namespace's inode number.
    pub fn resolve(&self) -> Result<Inum, Error> {
        let path = match self {
            Self::Inum(inum) => return Ok(*inum),
            Self::Path(path) => path.clone(),
            Self::Pid(pid) => format!("/proc/{pid}/ns/net").into(),
        };
        let name = crate::text::escape::escaped(path.as_os_str().as_encoded_bytes());
        let unreadable = |cause| Error::Unreadable { path: name.clone(), cause };
        let file_system = statfs(&path).map_err(unreadable)?.f_type;
        let stat = stat(&path).map_err(unreadable)?;
        if file_system != NSFS_MAGIC {
            return Err(Error::NotANamespace(name));
        }
        u32::try_from(stat.st_ino).map_err(|_| Error::NotANamespace(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_can_be_given_in_four_ways() {
        assert_eq!("4026531840".parse::<Netns>().unwrap(), Netns::Inum(4_026_531_840));
        assert_eq!("pid:1".parse::<Netns>().unwrap(), Netns::Pid(1));
        assert_eq!("/a/b".parse::<Netns>().unwrap(), Netns::Path("/a/b".into()));
        assert_eq!("blue".parse::<Netns>().unwrap(), Netns::Path("/run/netns/blue".into()));
        for text in ["", "pid:", "pid:x", "99999999999", ".."] {
            assert!(text.parse::<Netns>().is_err(), "{text}");
        }
    }

    #[test]
    fn own_namespace_is_resolved() {
        let by_path = Netns::Path("/proc/self/ns/net".into()).resolve().unwrap();
        assert_eq!(by_path, Netns::Pid(std::process::id()).resolve().unwrap());
    }

    #[test]
    fn other_files_are_refused() {
        let error = Netns::Path("/etc/passwd".into()).resolve().unwrap_err();
        assert!(matches!(error, Error::NotANamespace(_)), "{error}");
        let error = Netns::Path("/no/such".into()).resolve().unwrap_err();
        assert!(matches!(error, Error::Unreadable { .. }), "{error}");
    }
}
