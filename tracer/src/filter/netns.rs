//! `--netns`: network namespaces.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use rustix::fs::{stat, statfs};

/// Inode number of a network namespace, as `ls -L -i /proc/PID/ns/net` prints it.
pub type Inum = u32;

/// What the user may name a namespace by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Netns {
    /// Its inode number.
    Inum(Inum),
    /// A file that stands for it.
    Path(PathBuf),
    /// A process in it.
    Pid(u32),
}

/// Why a namespace was not found.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a number, a path, a name or `pid:PID`.
    #[error("`{0}` is not a namespace: give an inode number, a path, a name from `ip netns`, or pid:PID")]
    Syntax(String),
    /// The file is not there.
    #[error("namespace {path}: {cause}")]
    Unreadable {
        /// What was tried.
        path: String,
        /// What the system said.
        cause: rustix::io::Errno,
    },
    /// The file is something else.
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
    /// The namespace's inode number.
    pub fn resolve(&self) -> Result<Inum, Error> {
        let path = match self {
            Self::Inum(inum) => return Ok(*inum),
            Self::Path(path) => path.clone(),
            Self::Pid(pid) => format!("/proc/{pid}/ns/net").into(),
        };
        let name = crate::text::escape::escaped(path.as_os_str().as_encoded_bytes());
        let unreadable = |cause| Error::Unreadable { path: name.clone(), cause };
        let kind = statfs(&path).map_err(unreadable)?.f_type;
        let stat = stat(&path).map_err(unreadable)?;
        if kind != NSFS_MAGIC {
            return Err(Error::NotANamespace(name));
        }
        u32::try_from(stat.st_ino).map_err(|_| Error::NotANamespace(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_to_name_one() {
        assert_eq!("4026531840".parse::<Netns>().unwrap(), Netns::Inum(4_026_531_840));
        assert_eq!("pid:1".parse::<Netns>().unwrap(), Netns::Pid(1));
        assert_eq!("/a/b".parse::<Netns>().unwrap(), Netns::Path("/a/b".into()));
        assert_eq!("blue".parse::<Netns>().unwrap(), Netns::Path("/run/netns/blue".into()));
        for text in ["", "pid:", "pid:x", "99999999999", ".."] {
            assert!(text.parse::<Netns>().is_err(), "{text}");
        }
    }

    #[test]
    fn our_own_has_a_number() {
        let by_path = Netns::Path("/proc/self/ns/net".into()).resolve().unwrap();
        assert_eq!(by_path, Netns::Pid(std::process::id()).resolve().unwrap());
    }

    #[test]
    fn another_file_is_none() {
        let error = Netns::Path("/etc/passwd".into()).resolve().unwrap_err();
        assert!(matches!(error, Error::NotANamespace(_)), "{error}");
        let error = Netns::Path("/no/such".into()).resolve().unwrap_err();
        assert!(matches!(error, Error::Unreadable { .. }), "{error}");
    }
}
