//! The filters on what only the story tells: owner, user, cgroup; and those that choose lines:
//! state, transition, reason.

use std::{collections::HashSet, os::unix::fs::MetadataExt as _, path::Path, str::FromStr};

use tracer_common::state as number;
use walkdir::WalkDir;
use wildmatch::WildMatch;

use crate::{
    filter::Verdict,
    tcp::state::State,
    track::{Tracked, connection::Connection, reason::Reason},
};

/// All of them. Different ones are ANDed, values of one are ORed; none asks for nothing.
#[derive(Clone, Debug, Default)]
pub struct StoryFilter {
    /// Processes.
    pub pids: HashSet<u32>,
    /// Patterns of their names.
    pub comms: Vec<WildMatch>,
    /// Users.
    pub uids: HashSet<u32>,
    /// Cgroups, each with those below it.
    pub cgroups: HashSet<u64>,
    /// States entered or left.
    pub states: Vec<State>,
    /// Transitions.
    pub transitions: Vec<(State, State)>,
    /// Reasons.
    pub reasons: Vec<Reason>,
}

impl StoryFilter {
    /// Whether everything passes.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.pids.is_empty()
            && self.comms.is_empty()
            && self.uids.is_empty()
            && self.cgroups.is_empty()
            && self.states.is_empty()
            && self.transitions.is_empty()
            && self.reasons.is_empty()
    }

    /// Whether it asks for anything that may change while a connection lives.
    #[must_use]
    pub fn may_change_its_mind(&self) -> bool {
        !(self.pids.is_empty() && self.comms.is_empty() && self.uids.is_empty() && self.cgroups.is_empty())
    }

    /// Whether the connection passes. All that is asked for here may change while it lives: who
    /// works on a socket, and with `accept` even its user and its cgroup. So only the end decides
    /// against it.
    #[must_use]
    pub fn judge_connection(&self, tracked: &Tracked) -> Verdict {
        let is_over = tracked.reason.is_some() || tracked.event.new_state == number::CLOSE;
        match (self.selects_owner(&tracked.connection), is_over) {
            (true, _) => Verdict::Pass,
            (false, true) => Verdict::Fail,
            (false, false) => Verdict::Undecided,
        }
    }

    /// Whether a state is one of those asked for.
    #[must_use]
    pub fn selects_state(&self, state: u8) -> bool {
        self.states.is_empty() || self.states.contains(&State::from_kernel(state))
    }

    /// Whether an end is for one of the reasons asked for.
    #[must_use]
    pub fn selects_reason(&self, reason: Option<Reason>) -> bool {
        self.reasons.is_empty() || reason.is_some_and(|reason| self.reasons.contains(&reason))
    }

    /// Whether a connection is of an owner, user and cgroup that are asked for, by what is known now.
    #[must_use]
    pub fn selects_owner(&self, connection: &Connection) -> bool {
        let owner = &connection.owner;
        let is_of = |comms: &[WildMatch]| {
            let name = String::from_utf8_lossy(owner.comm());
            comms.iter().any(|pattern| pattern.matches(&name))
        };
        // Without a socket nobody knows whose it is.
        let is_known = !connection.is_bare();
        (self.uids.is_empty() || is_known && self.uids.contains(&connection.uid))
            && (self.cgroups.is_empty() || is_known && self.cgroups.contains(&connection.cgroup))
            && (self.pids.is_empty() || (owner.is_known() && self.pids.contains(&owner.pid)))
            && (self.comms.is_empty() || (owner.is_known() && is_of(&self.comms)))
    }

    /// Whether the line passes.
    #[must_use]
    pub fn selects_line(&self, tracked: &Tracked) -> bool {
        let (old, new) = (tracked.event.old_state, tracked.event.new_state);
        let transition = (State::from_kernel(old), State::from_kernel(new));
        let is_transition = self.transitions.is_empty() || self.transitions.contains(&transition);
        (self.selects_state(old) || self.selects_state(new))
            && is_transition
            && self.selects_reason(tracked.reason)
    }
}

/// The cgroup at a path and all below it; the path as below `/sys/fs/cgroup`, or below the v2
/// hierarchy's root.
pub fn cgroups(path: &Path) -> Result<HashSet<u64>, String> {
    let told = crate::text::escape::escaped(path.as_os_str().as_encoded_bytes());
    let below_root = || hierarchy().map(|root| root.join(path.strip_prefix("/").unwrap_or(path)));
    let folder = [Some(path.to_path_buf()), below_root()]
        .into_iter()
        .flatten()
        .find(|folder| folder.join("cgroup.procs").exists())
        .ok_or_else(|| format!("{told} is not a cgroup of the v2 hierarchy: give a folder such as /sys/fs/cgroup/system.slice"))?;
    let folders = WalkDir::new(folder).into_iter().filter_map(Result::ok);
    Ok(folders
        .filter(|entry| entry.file_type().is_dir())
        .filter_map(|entry| Some(entry.metadata().ok()?.ino()))
        .collect())
}

/// Where the v2 hierarchy is mounted.
#[must_use]
pub fn hierarchy() -> Option<std::path::PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    let mut fields = mounts.lines().map(|line| line.split(' '));
    fields.find_map(|mut line| {
        let folder = line.nth(1)?;
        (line.next()? == "cgroup2").then(|| folder.into())
    })
}

/// Why a word is no state, transition or reason.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No state.
    #[error("`{0}` is not a TCP state: give one such as ESTABLISHED or CLOSE_WAIT")]
    State(String),
    /// No transition.
    #[error("`{0}` is not a transition: give two states, such as ESTABLISHED:CLOSE_WAIT")]
    Transition(String),
    /// No reason.
    #[error("`{0}` is not a reason: give one of {all}", all = Reason::ALL.iter().map(|reason| reason.name()).collect::<Vec<_>>().join(", "))]
    Reason(String),
}

impl FromStr for State {
    type Err = Error;

    /// In any case, with `-` for `_`, and with the names of `ss` and netstat.
    fn from_str(text: &str) -> Result<Self, Error> {
        let name = text.trim().to_uppercase().replace('-', "_");
        let known =
            |state: &Self| state.name().is_some_and(|known| known == name || known.replace('_', "") == name);
        let found = (1..=number::NEW_SYN_RECV).map(Self::from_kernel).find(known);
        found.ok_or_else(|| Error::State(crate::text::escape::escaped(text.as_bytes())))
    }
}

/// Parses `OLD:NEW`.
pub fn transition(text: &str) -> Result<(State, State), Error> {
    let error = || Error::Transition(crate::text::escape::escaped(text.as_bytes()));
    let (old, new) = text.split_once(':').ok_or_else(error)?;
    Ok((old.parse()?, new.parse()?))
}

impl FromStr for Reason {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let found = Self::ALL.iter().find(|reason| reason.name() == text.trim());
        found.copied().ok_or_else(|| Error::Reason(crate::text::escape::escaped(text.as_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_many_spellings() {
        for text in ["CLOSE_WAIT", "close-wait", "CloseWait", " close_wait "] {
            assert_eq!(text.parse(), Ok(State::from_kernel(number::CLOSE_WAIT)), "{text}");
        }
        assert!("OPEN".parse::<State>().is_err() && "".parse::<State>().is_err());
    }

    #[test]
    fn transitions_and_reasons() {
        let expected = (State::from_kernel(number::ESTABLISHED), State::from_kernel(number::CLOSE_WAIT));
        assert_eq!(transition("ESTABLISHED:CLOSE_WAIT"), Ok(expected));
        assert!(transition("ESTABLISHED").is_err() && transition("A:B").is_err());
        assert_eq!("reset-remote".parse(), Ok(Reason::ResetRemote));
        assert!("because".parse::<Reason>().is_err());
    }

    #[test]
    fn the_root_cgroup_is_one() {
        let root = hierarchy().unwrap();
        assert!(cgroups(&root).unwrap().contains(&root.metadata().unwrap().ino()));
        assert!(cgroups(Path::new("/etc")).is_err());
    }
}
