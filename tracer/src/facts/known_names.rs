//! Names that lines show, as they were when they were found: what has a name may be gone when its line is made.

use std::collections::HashMap;

use tracer_common::Event;

use crate::{facts::names::Names, tcp::netns::NetnsId, text::width::shorten_front};

/// Names that are kept of each kind. More come from cgroups and namespaces that are gone, and are forgotten.
const MOST: usize = 65_536;

/// The longest name that is kept as it is, in columns of a terminal. A line has room for it.
const LONGEST: usize = 1024;

/// The names that are known.
#[derive(Clone, Debug, Default)]
pub struct KnownNames {
    cgroups: HashMap<u64, Box<str>>,
    netns: HashMap<NetnsId, Box<str>>,
    users: HashMap<u32, Box<str>>,
}

impl KnownNames {
    /// Looks up the names of an event's cgroup and namespace, unless they are known.
    pub fn learn(&mut self, event: &Event, names: &mut dyn Names) {
        self.learn_ids(event.cgroup, NetnsId::new(event.netns, event.netns_cookie), names);
    }

    /// Looks up the names of a cgroup and a namespace, unless they are known; 0 is none.
    pub fn learn_ids(&mut self, cgroup: u64, netns: NetnsId, names: &mut dyn Names) {
        learn(&mut self.cgroups, cgroup, cgroup != 0, |id| names.cgroup_path(id));
        learn(&mut self.netns, netns, netns.inum != 0, |id| names.netns_name(id.inum));
    }

    /// Looks up the name of a user, unless it is known.
    pub fn learn_user(&mut self, uid: u32, look_up: impl FnOnce(u32) -> Option<String>) {
        learn(&mut self.users, uid, true, look_up);
    }

    /// The escaped path of a cgroup.
    #[must_use]
    pub fn cgroup(&self, id: u64) -> Option<&str> {
        self.cgroups.get(&id).map(Box::as_ref)
    }

    /// The escaped name of a user.
    #[must_use]
    pub fn user(&self, uid: u32) -> Option<&str> {
        self.users.get(&uid).map(Box::as_ref)
    }

    /// The escaped name of a network namespace.
    #[must_use]
    pub fn netns(&self, id: NetnsId) -> Option<&str> {
        self.netns.get(&id).map(Box::as_ref)
    }
}

fn learn<Id: Copy + Eq + std::hash::Hash>(
    known: &mut HashMap<Id, Box<str>>,
    id: Id,
    exists: bool,
    look_up: impl FnOnce(Id) -> Option<String>,
) {
    if !exists || known.contains_key(&id) {
        return;
    }
    if known.len() >= MOST {
        known.clear();
    }
    if let Some(mut name) = look_up(id) {
        shorten_front(&mut name, LONGEST);
        known.insert(id, name.into());
    }
}
