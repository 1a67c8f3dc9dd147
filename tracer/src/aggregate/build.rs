//! Making a report of totals.

use tracer_common::{aggregate::Side, event::COMM_LEN, state as number};

use crate::{
    aggregate::{
        Rank,
        report::{
            Bucket, Period, Quantiles, RankedName, RankingRow, RankingTable, ReasonCount, Report, StateTimes,
            TransitionCount,
        },
        times::{BUCKETS, Times},
        totals::{KeyCounts, Ranking, RankingKey, STATES, Totals},
    },
    facts::names::Names,
    tcp::{reason::Reason, state::State, workload::Workload},
    text::escape::{escaped, name},
};

impl Report {
    /// Makes a report of what user space has counted. `now`: how many sockets are in each state. `lost`: how
    /// many transitions were lost, if known. `rows`: rows of each ranking, which `rank` sorts.
    #[must_use]
    pub fn new(
        period: Period,
        totals: &Totals,
        now: &[u64; STATES],
        lost: Option<u64>,
        (rows, rank): (usize, Rank),
        names: &mut dyn Names,
    ) -> Self {
        let mut states: Vec<_> = (0..)
            .zip(&totals.times)
            .zip(now)
            .filter_map(|((state, times), now)| {
                let has_any = *now > 0 || times.stays() + times.unknown > 0;
                has_any.then(|| StateTimes::new(State::from_kernel(state), times, Some(*now)))
            })
            .collect();
        in_order(&mut states);
        let reasons = Reason::ALL.iter().zip(&totals.reasons).filter(|(_, count)| **count > 0);
        let mut reasons: Vec<_> = reasons
            .map(|(reason, count)| ReasonCount {
                reason: reason.name(),
                count: *count,
                is_orderly: reason.is_orderly(),
            })
            .collect();
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.count));
        Self {
            period,
            lost,
            quantile_error: 0.01,
            transitions: transitions(&totals.transitions, &period),
            states,
            reasons: Some(reasons),
            top: totals
                .rankings
                .iter()
                .map(|ranking| RankingTable::new(ranking, (rows, rank), names))
                .collect(),
            findings: None,
            host: None,
            forgotten: None,
        }
    }
}

/// The order of states in reports: that in which a connection goes through them.
const STATE_ORDER: [u8; 11] = [
    number::CLOSE,
    number::LISTEN,
    number::SYN_SENT,
    number::SYN_RECV,
    number::ESTABLISHED,
    number::CLOSE_WAIT,
    number::LAST_ACK,
    number::FIN_WAIT1,
    number::CLOSING,
    number::FIN_WAIT2,
    number::TIME_WAIT,
];

/// The place of a state in that order.
#[must_use]
pub fn order_of(state: State) -> usize {
    STATE_ORDER.iter().position(|known| *known == state.number()).unwrap_or(STATE_ORDER.len())
}

/// Sorts states in the order in which a connection goes through them.
pub fn in_order(states: &mut [StateTimes]) {
    states.sort_by_key(|times| order_of(times.state));
}

/// The transitions that occurred, with counts and rates, in the order in which a connection goes through
/// them.
#[must_use]
pub fn transitions(matrix: &[[u64; STATES]; STATES], period: &Period) -> Vec<TransitionCount> {
    let seconds = std::time::Duration::from_nanos(period.duration_ns.max(1)).as_secs_f64();
    let mut counts: Vec<(u8, u8, u64)> = (0..)
        .zip(matrix)
        .flat_map(|(old, row)| (0..).zip(row).map(move |(new, count)| (old, new, *count)))
        .filter(|(_, _, count)| *count > 0)
        .collect();
    let order = |state: u8| order_of(State::from_kernel(state));
    counts.sort_by_key(|(old, new, _)| (order(*old), order(*new)));
    // A rate needs no more digits than a float has.
    #[allow(clippy::cast_precision_loss)]
    let per_second = |count: u64| (count as f64 / seconds * 1000.0).round() / 1000.0;
    counts
        .into_iter()
        .map(|(old, new, count)| TransitionCount {
            old_state: State::from_kernel(old),
            new_state: State::from_kernel(new),
            count,
            per_second: per_second(count),
        })
        .collect()
}

/// The buckets of [`Times::buckets`] that are not empty.
#[must_use]
pub fn distribution(buckets: &[u64; BUCKETS]) -> Vec<Bucket> {
    let filled = (0..).zip(buckets).filter(|(_, count)| **count > 0);
    filled.map(|(power, count)| Bucket { from_ns: 1_u64 << power, count: *count }).collect()
}

impl StateTimes {
    fn new(state: State, times: &Times, now: Option<u64>) -> Self {
        let stays = times.stays();
        Self {
            state,
            now,
            stays,
            unknown: times.unknown,
            sampled: times.sampled,
            sampled_error_ns: (times.sampled > 0).then_some(times.error_ns),
            quantiles: Quantiles {
                p50_ns: times.quantile_ns(0.5),
                p90_ns: times.quantile_ns(0.9),
                p99_ns: times.quantile_ns(0.99),
                max_ns: (stays > 0).then_some(times.max_ns),
            },
            distribution: distribution(&times.buckets),
        }
    }
}

impl RankingTable {
    fn new(Ranking { by, shares }: &Ranking, (rows, rank): (usize, Rank), names: &mut dyn Names) -> Self {
        let highest = shares.highest(rows, |share| share.ranked_by(rank));
        Self {
            by: *by,
            keys: shares.keys(),
            missing_at_most: shares.missing(),
            rows: highest.into_iter().map(|(key, share)| RankingRow::new(&key, &share, names)).collect(),
        }
    }
}

impl RankingRow {
    fn new(key: &RankingKey, share: &KeyCounts, names: &mut dyn Names) -> Self {
        let pid = share.pid.filter(|_| !share.has_several_pids);
        let key = RankedName::new(key, share.comm, pid, names);
        let KeyCounts { transitions, begun, ended, failed, .. } = *share;
        Self { key, transitions, begun, ended: Some(ended), failed: Some(failed), established: None }
    }
}

impl RankedName {
    /// Names a key. `comm`: the name of the process with a key's pid; `pid`: the only process with a key's name.
    #[must_use]
    pub fn new(key: &RankingKey, comm: [u8; COMM_LEN], pid: Option<u32>, names: &mut dyn Names) -> Self {
        match key {
            RankingKey::Service(end, port) => Self::Port { side: side(*end), port: *port },
            RankingKey::Peer(addr) => Self::Peer { remote_addr: addr.map(|addr| addr.to_string()) },
            RankingKey::Process(comm) => Self::Process { comm: comm.map(|comm| escaped(name(&comm))), pid },
            RankingKey::Pid(pid) => Self::Process { comm: pid.map(|_| escaped(name(&comm))), pid: *pid },
            RankingKey::State(state) => Self::State { state: State::from_kernel(*state) },
            RankingKey::Cgroup(id) => {
                Self::Cgroup { cgroup: (*id != 0).then_some(*id), path: names.cgroup_path(*id) }
            }
            RankingKey::Container(of) => {
                let path = of.filter(|of| *of != 0).and_then(|of| names.cgroup_path(of));
                let container_id = path.and_then(|path| Workload::of(&path).container);
                let found = of.and_then(|of| names.container_names(of)).unwrap_or_default();
                Self::Container {
                    container: found.container.or_else(|| container_id.clone()),
                    container_id,
                    pod: found.pod,
                    k8s_namespace: found.k8s_namespace,
                    is_outside: *of == Some(0),
                }
            }
            RankingKey::Netns(inum) => Self::Netns { netns: *inum, name: names.netns_name(*inum) },
        }
    }
}

/// The name of a side in JSON; `None` if it is not known.
pub(super) const fn side(side: Side) -> Option<&'static str> {
    match side {
        Side::Local => Some("local"),
        Side::Remote => Some("remote"),
        Side::Unknown => None,
    }
}
