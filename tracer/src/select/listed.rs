//! Filters on sockets that were found (`list`).

use crate::{
    facts::{
        listing::{ListedSocket, Protocol},
        names::Names,
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

    /// Whether a socket passes that was found without its holders.
    #[must_use]
    pub fn selects(&self, socket: &ListedSocket) -> bool {
        let is_shown = match self.shown {
            Shown::All => true,
            Shown::Listeners => socket.is_listener(),
            Shown::Connections => !socket.is_listener(),
        };
        is_shown
            && self.selects_ends(socket)
            && self.selects_state(socket)
            && self.story.uids.selects(|uid| socket.uid == Some(*uid))
    }

    /// Whether it passes by its holders, of which one is enough, and by cgroups. Looks up what that needs.
    pub fn selects_owner(&mut self, socket: &ListedSocket, at_ns: u64, names: &mut dyn Names) -> bool {
        let StoryFilter { pids, comms, cgroups, .. } = &mut self.story;
        if !cgroups.is_open() {
            cgroups.learn_of(socket.owner(at_ns), names);
            if !cgroups.selects(socket.owner(at_ns)) {
                return false;
            }
        }
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
