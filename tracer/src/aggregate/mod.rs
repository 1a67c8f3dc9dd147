//! Counting transitions, for any view.
//!
//! # Layout
//! - [`totals`]: counts of transitions and reasons, durations in states, rankings
//! - [`times`], [`heavy`]: its parts: durations in a state; heavy hitters
//! - [`growing`]: counts that only grow, for metrics; [`durations`], [`bounded`]: its parts: durations in fixed
//!   ranges, and counts by key
//! - [`agreement`]: the kernel's counters beside those of events
//! - [`diff`]: two spans, before and after something
//! - [`findings`]: trouble that stands out; [`triggers`]: what must be noticed at once
//! - [`timeline`]: counts by time; [`talks`]: who talks to whom; [`largest`]: the largest of many
//! - [`schedule`]: when reports are due, in event time
//! - [`report`]: a report, ready to be written
//! - [`build`], [`in_kernel`]: make a report of totals, or of the kernel's counts
//!
//! # Example
//! ```
//! use tracer::{aggregate::{By, totals::Totals}, facts::known_names::KnownNames, track::Tracker};
//! use tracer_common::{Event, state};
//! use zerocopy::FromZeros as _;
//!
//! let mut event = Event::new_zeroed();
//! (event.cookie, event.old_state, event.new_state) = (1, state::CLOSE, state::SYN_SENT);
//! let mut totals = Totals::new(&[By::Peer]);
//! Tracker::new(false).event(&event, &mut |transition| totals.add(transition, &KnownNames::default()));
//! assert_eq!(totals.transitions[usize::from(state::CLOSE)][usize::from(state::SYN_SENT)], 1);
//! ```

pub mod agreement;
pub mod bounded;
pub mod build;
pub mod diff;
pub mod durations;
pub mod findings;
pub mod growing;
pub mod heavy;
pub mod in_kernel;
pub mod largest;
pub mod report;
pub mod schedule;
pub mod talks;
pub mod timeline;
pub mod times;
pub mod totals;
pub mod triggers;

/// Time between two passes over all sockets, in nanoseconds for each socket. Counting one takes about 50 ns, and a pass
/// may use 1/200 of a CPU.
pub const SOCKET_PAUSE_NS: u64 = 50 * 200;

/// What connections are ranked by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// Services: local ports of servers, remote ports of clients.
    Service,
    /// Remote addresses.
    Peer,
    /// Owners, by name.
    Process,
    /// Owners, each process by itself.
    Pid,
    /// Cgroups.
    Cgroup,
    /// Containers.
    Container,
    /// Network namespaces.
    Netns,
    /// States: those that connections are in, or have entered.
    State,
}

impl By {
    /// The title of a column of its keys.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Service => "SERVICE",
            Self::Peer => "PEER",
            Self::Process | Self::Pid => "PROCESS",
            Self::Cgroup => "CGROUP",
            Self::Container => "CONTAINER",
            Self::Netns => "NETNS",
            Self::State => "STATE",
        }
    }
}

/// What rankings are sorted by, the most first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rank {
    /// Transitions.
    #[default]
    Count,
    /// Connections that began.
    Begun,
    /// Connections that ended.
    Ended,
    /// Connections that ended, but not in order.
    Failed,
}
