//! What counters of the kernel count, namespace by namespace.

use hashbrown::{HashMap, HashSet};

use crate::{
    aggregate::findings::{Drafts, FindingKind, Moment, place::Place},
    facts::gauges::NetnsGauges,
    tcp::netns::Inum,
};

/// What counters of the kernel count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Counted {
    /// Events that the tracer has lost.
    Lost,
    /// What a listener has dropped (`sk_drops`), as far as its accept queue had no room.
    Dropped,
    /// The same, as the namespace counts (`ListenOverflows`).
    Overflowed,
    /// SYN cookies (`SyncookiesSent`).
    Cookies,
    /// SYNs dropped because there were too many half-open connections (`TCPReqQFullDrop`).
    RequestsDropped,
    /// Connects without a route (`OutNoRoutes`).
    NoRoute,
    /// Sockets that found no room in TIME_WAIT (`TCPTimeWaitOverflow`).
    TimeWaitOverflows,
}

/// A counter of a namespace.
type Counter = fn(&NetnsGauges) -> u64;

/// The counters of a namespace.
pub(super) const COUNTERS: [(Counted, Counter); 5] = [
    (Counted::Overflowed, |gauges| gauges.listen_overflows),
    (Counted::Cookies, |gauges| gauges.syncookies_sent),
    (Counted::RequestsDropped, |gauges| gauges.request_queue_drops),
    (Counted::NoRoute, |gauges| gauges.no_routes),
    (Counted::TimeWaitOverflows, |gauges| gauges.time_wait_overflows),
];

impl Counted {
    /// The kind of trouble that it belongs to.
    pub(super) fn kind(self) -> FindingKind {
        match self {
            Self::Lost => FindingKind::Lost,
            Self::Dropped | Self::Overflowed => FindingKind::AcceptQueue,
            Self::Cookies | Self::RequestsDropped => FindingKind::HalfOpen,
            Self::NoRoute => FindingKind::ConnectFailures,
            Self::TimeWaitOverflows => FindingKind::TimeWait,
        }
    }
}

/// Joins what listeners have dropped with the overflows of their namespaces, which count the same once more.
/// A listener also drops segments for other reasons, such as the SYNs that half-open clients repeat: without
/// an overflow in its namespace its accept queue was never full.
pub(super) fn explain_overflows(drafts: &mut Drafts, moment: &Moment<'_>) {
    let overflows: HashMap<Inum, u64> = drafts
        .iter()
        .filter_map(|((kind, place), draft)| match (kind, place) {
            (FindingKind::AcceptQueue, Place::Netns(netns)) => Some((*netns, draft.counted())),
            _ => None,
        })
        .collect();
    let are_counted: HashSet<Inum> = moment.gauges().map(|(netns, _)| netns.inum).collect();
    let mut explained: HashSet<Inum> = HashSet::new();
    for ((kind, place), draft) in drafts.iter_mut() {
        if let (FindingKind::AcceptQueue, Place::Listener(netns, ..)) = (kind, place) {
            if are_counted.contains(netns) {
                let most = overflows.get(netns).copied().unwrap_or_default();
                draft.counted.iter_mut().for_each(|(_, count)| *count = most.min(*count));
                draft.counted.retain(|(_, count)| *count > 0);
            }
            if draft.counted() > 0 {
                explained.insert(*netns);
            }
        }
    }
    drafts.retain(|(kind, place), draft| match (kind, place) {
        (FindingKind::AcceptQueue, Place::Netns(netns)) => !explained.contains(netns),
        (FindingKind::AcceptQueue, _) => draft.count() > 0,
        _ => true,
    });
}
