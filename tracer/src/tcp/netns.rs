//! Network namespaces, as users name them. Which inode number a name stands for is known to the source, which
//! looks it up.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

/// Inode number of a network namespace, as `ls -L -i /proc/PID/ns/net` prints it.
pub type Inum = u32;

/// A network namespace as the user gives it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Netns {
    /// Its inode number.
    Inum(Inum),
    /// A file that refers to it, such as `/proc/PID/ns/net` or one in `/run/netns`.
    Path(PathBuf),
    /// A process in it.
    Pid(u32),
}

/// The text is not a number, a path, a name or `pid:PID`.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a namespace: give an inode number, a path, a name from `ip netns`, or pid:PID")]
pub struct Error(String);

impl FromStr for Netns {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let syntax = || Error(crate::text::escape::escaped(text.as_bytes()));
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
}
