//! Network namespaces, as users name them. Which inode number a name stands for is known to the source, which
//! looks it up.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    str::FromStr,
};

use crate::text::choice::Choices;

/// Inode number of a network namespace, as `ls -L -i /proc/PID/ns/net` prints it.
pub type Inum = u32;

/// What a network namespace is told apart by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct NetnsId {
    /// Its inode number, which another one gets when it is gone.
    pub inum: Inum,
    /// Its cookie, which no other gets; 0 if the kernel does not tell it.
    pub cookie: u32,
}

impl NetnsId {
    /// An id with a cookie as the kernel gives it. One above 2^32 counts as not known.
    #[must_use]
    pub fn new(inum: Inum, cookie: u64) -> Self {
        Self { inum, cookie: u32::try_from(cookie).unwrap_or_default() }
    }

    /// Whether both may be of the same namespace: they are, unless a cookie is not known.
    #[must_use]
    pub fn may_be(self, other: Self) -> bool {
        self.inum == other.inum && (self.cookie == 0 || other.cookie == 0 || self.cookie == other.cookie)
    }
}

/// Network namespaces, by inode number. No two exist at a time that have the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NetnsIds(HashMap<Inum, NetnsId>);

impl NetnsIds {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &NetnsId> {
        self.0.values()
    }

    /// Whether this namespace is, or may be, among them.
    #[must_use]
    pub fn contains(&self, netns: NetnsId) -> bool {
        self.0.get(&netns.inum).is_some_and(|known| known.may_be(netns))
    }
}

/// Which network namespaces pass.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum NetnsFilter {
    /// All of them.
    #[default]
    All,
    /// Only these.
    Only(NetnsIds),
    /// All but these.
    AllBut(NetnsIds),
}

impl NetnsFilter {
    /// Whether this namespace passes.
    #[must_use]
    pub fn selects(&self, netns: NetnsId) -> bool {
        match self {
            Self::All => true,
            Self::Only(ids) => ids.contains(netns),
            Self::AllBut(ids) => !ids.contains(netns),
        }
    }

    /// Whether all pass.
    #[must_use]
    pub fn is_open(&self) -> bool {
        *self == Self::All
    }

    /// The namespaces that it lists.
    pub fn listed(&self) -> impl Iterator<Item = &NetnsId> {
        let ids = match self {
            Self::All => None,
            Self::Only(ids) | Self::AllBut(ids) => Some(ids),
        };
        ids.into_iter().flat_map(|ids| ids.0.values())
    }
}

impl From<Choices<NetnsId>> for NetnsFilter {
    fn from(choices: Choices<NetnsId>) -> Self {
        let of = |ids: &[NetnsId]| NetnsIds(ids.iter().map(|id| (id.inum, *id)).collect());
        let mut wanted = of(choices.wanted());
        let unwanted = of(choices.unwanted());
        if choices.wanted().is_empty() {
            return if choices.excludes() { Self::AllBut(unwanted) } else { Self::All };
        }
        wanted.0.retain(|_, id| !unwanted.contains(*id));
        Self::Only(wanted)
    }
}

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
    use crate::text::choice::Choice;

    #[test]
    fn a_number_that_is_used_again_is_another_namespace() {
        let (one, other, unknown) = (NetnsId::new(7, 1), NetnsId::new(7, 2), NetnsId::new(7, 0));
        let only = NetnsFilter::from(Choices::from_iter([Choice::Of(one)]));
        assert!(only.selects(one) && only.selects(unknown) && !only.selects(other));
        assert!(!only.selects(NetnsId::new(8, 1)));
        let all_but = NetnsFilter::from(Choices::from_iter([Choice::Not(one)]));
        assert!(!all_but.selects(one) && !all_but.selects(unknown) && all_but.selects(other));
        let none = NetnsFilter::from(Choices::from_iter([Choice::Of(one), Choice::Not(one)]));
        assert!(!none.selects(one) && !none.is_open());
        assert!(NetnsFilter::from(Choices::default()).is_open());
        assert_eq!(NetnsId::new(7, 1 << 32), unknown);
    }

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
