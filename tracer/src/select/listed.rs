//! Filters on sockets that were found (`list`).

use crate::{
    facts::{
        listing::{ListedSocket, Protocol},
        names::ContainerNames,
    },
    filter::{Filter, Matcher, Verdict},
    select::story::StoryFilter,
    tcp::{state::State, states::States},
    text::escape::{exact, name},
};
use tracer_common::{event::Holder, state};

/// Which sockets are shown, as netstat's flags say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// All (`-a`).
    All,
    /// Only listeners (`-l`).
    Listeners,
    /// All but listeners.
    Connections,
}

/// These filters together.
#[derive(Debug)]
pub struct ListedFilter {
    matcher: Matcher,
    /// Whether addresses, ports and families pass, whatever they are.
    is_open: bool,
    story: StoryFilter,
    shown: Shown,
}

impl ListedFilter {
    /// From what is asked for.
    #[must_use]
    pub fn new(constant: &Filter, story: StoryFilter, shown: Shown) -> Self {
        Self { matcher: Matcher::new(constant), is_open: constant.is_open_but_for_netns(), story, shown }
    }

    /// Whether a filter depends on cgroups.
    #[must_use]
    pub fn has_cgroups(&self) -> bool {
        !self.story.cgroups.is_open()
    }

    /// Whether a filter depends on this cgroup, and does not know it yet.
    #[must_use]
    pub fn wants_cgroup(&self, id: u64) -> bool {
        let cgroups = &self.story.cgroups;
        !cgroups.is_open() && id != 0 && !cgroups.knows(id)
    }

    /// Takes the path of a cgroup, and the names of the container that it belongs to.
    pub fn learn_cgroup(&mut self, id: u64, path: &str, names: Option<&ContainerNames>) {
        self.story.cgroups.learn(id, path, names);
    }

    /// Whether a socket passes that was found without its holders.
    #[must_use]
    pub fn selects(&self, socket: &ListedSocket) -> bool {
        let is_shown = match self.shown {
            Shown::All => true,
            Shown::Listeners => socket.is_listener(),
            Shown::Connections => !socket.is_listener(),
        };
        let StoryFilter { uids, cgroups, .. } = &self.story;
        is_shown
            && self.selects_ends(socket)
            && self.selects_state(socket)
            && uids.selects(|uid| socket.uid == Some(*uid))
            && (cgroups.is_open() || cgroups.selects((socket.cgroup != 0).then_some(socket.cgroup)))
    }

    /// Whether it passes by its holders: one of them is enough.
    #[must_use]
    pub fn selects_holders(&self, socket: &ListedSocket) -> bool {
        let StoryFilter { pids, comms, .. } = &self.story;
        let holders = socket.holders.as_deref().unwrap_or_default();
        let is_named = |holder: &Holder, matches: &dyn Fn(&str) -> bool| {
            let comm = name(&holder.comm);
            matches(&String::from_utf8_lossy(comm)) || matches(&exact(comm))
        };
        pids.selects(|pid| holders.iter().any(|holder| holder.pid == *pid))
            && comms.selects(|comm| {
                holders.iter().any(|holder| is_named(holder, &|text: &str| comm.matches(text)))
            })
    }

    /// Sockets of this host have no addresses and ports.
    fn selects_ends(&self, socket: &ListedSocket) -> bool {
        if socket.protocol == Protocol::Unix {
            return self.is_open;
        }
        self.matcher.judge(&socket.tuple, socket.family, 0) == Verdict::Pass
    }

    /// The kernel tells half-open connections as SYN_RECV.
    fn selects_state(&self, socket: &ListedSocket) -> bool {
        let half_open = State::from_kernel(state::NEW_SYN_RECV);
        let may_be = |states: &States| {
            states.contains(State::from_kernel(socket.state))
                || (socket.state == state::SYN_RECV && states.contains(half_open))
        };
        self.story.states.selects(may_be)
    }
}
