//! Reports on what the kernel has counted by itself: the difference between two readings.

use tracer_common::state as number;

use crate::{
    aggregate::{
        By,
        build::{distribution, in_order, side, transitions},
        report::{Established, Period, PeriodKind, RankedName, RankingRow, RankingTable, Report, StateTimes},
        times::BUCKETS,
    },
    facts::in_kernel::{AggregatePort, AggregateTimes, KernelAggregate},
    tcp::state::State,
};

impl Report {
    /// On what the kernel counted from `before` to `now`.
    #[must_use]
    pub fn of_kernel(
        period: Period,
        now: &KernelAggregate,
        before: &KernelAggregate,
        by_port: bool,
        rows: usize,
    ) -> Self {
        let mut matrix = now.transitions;
        for (now, before) in matrix.iter_mut().flatten().zip(before.transitions.iter().flatten()) {
            *now = now.saturating_sub(*before);
        }
        let is_all = period.kind == PeriodKind::Total;
        let states = (0..).zip(now.times.iter().zip(&before.times));
        let mut states: Vec<_> = states
            .filter_map(|(state, (now, before))| {
                let stays = since(&now.buckets, &before.buckets);
                let unknown = now.unknown.saturating_sub(before.unknown);
                let has_any = unknown > 0 || stays.iter().any(|count| *count > 0);
                // The longest is known of all together, and not of a part.
                has_any.then(|| times(State::from_kernel(state), &stays, unknown, now, is_all))
            })
            .collect();
        in_order(&mut states);
        Self {
            period,
            lost: added(now.missed, before.missed),
            // What is told is the upper end of a bucket, whose lower end is half of it.
            quantile_error: 0.5,
            transitions: transitions(&matrix, &period),
            states,
            reasons: None,
            top: if by_port { vec![ports(now, before, rows)] } else { Vec::new() },
            forgotten: Some(added(now.evicted, before.evicted).unwrap_or_default()),
        }
    }
}

/// What a count has grown by; `None` if that cannot be read.
fn added(now: Option<u64>, before: Option<u64>) -> Option<u64> {
    now.zip(before).map(|(now, before)| now.saturating_sub(before))
}

fn since(now: &[u64; BUCKETS], before: &[u64; BUCKETS]) -> [u64; BUCKETS] {
    let mut stays = *now;
    for (now, before) in stays.iter_mut().zip(before) {
        *now = now.saturating_sub(*before);
    }
    stays
}

fn times(
    state: State,
    stays: &[u64; BUCKETS],
    unknown: u64,
    of: &AggregateTimes,
    is_all: bool,
) -> StateTimes {
    let count: u64 = stays.iter().sum();
    StateTimes {
        state,
        now: None,
        stays: count,
        unknown,
        sampled: 0,
        sampled_error_ns: None,
        p50_ns: quantile_ns(stays, 50),
        p90_ns: quantile_ns(stays, 90),
        p99_ns: quantile_ns(stays, 99),
        max_ns: (is_all && count > 0).then_some(of.max_ns),
        distribution: distribution(stays),
    }
}

/// The upper end of the bucket below which, or in which, so many in a hundred are.
fn quantile_ns(stays: &[u64; BUCKETS], percent: u64) -> Option<u64> {
    let all: u64 = stays.iter().sum();
    let wanted = (all * percent).div_ceil(100).max(1);
    let mut sum = 0;
    let bucket = stays.iter().position(|count| {
        sum += count;
        sum >= wanted
    })?;
    Some(1_u64.checked_shl(u32::try_from(bucket).ok()? + 1).unwrap_or(u64::MAX))
}

/// The busiest ports.
fn ports(now: &KernelAggregate, before: &KernelAggregate, rows: usize) -> RankingTable {
    let mut all: Vec<RankingRow> = now
        .ports
        .iter()
        .map(|port| {
            let known = before.ports.iter().find(|known| (known.side, known.port) == (port.side, port.port));
            row(port, known)
        })
        .filter(|row| row.transitions > 0)
        .collect();
    all.sort_by_key(|row| std::cmp::Reverse(row.transitions));
    // What found no room may have been anybody's.
    let missing = added(now.no_room, before.no_room).unwrap_or(u64::MAX);
    let keys = (now.no_room == Some(0)).then_some(all.len());
    all.truncate(rows);
    RankingTable { by: By::Port, keys, missing_at_most: missing, rows: all }
}

fn row(port: &AggregatePort, before: Option<&AggregatePort>) -> RankingRow {
    let sum = |counted: fn(u8, u8) -> bool| {
        let of = |port: &AggregatePort| -> u64 {
            let counted = port.transitions.iter().filter(|(old, new, _)| counted(*old, *new));
            counted.map(|(_, _, count)| count).sum()
        };
        of(port).saturating_sub(before.map_or(0, of))
    };
    let established = before.map_or(port.established, |before| since(&port.established, &before.established));
    RankingRow {
        key: RankedName::Port { side: side(port.side), port: (port.port != 0).then_some(port.port) },
        transitions: sum(|_, _| true),
        begun: sum(|old, new| {
            matches!((old, new), (number::CLOSE, number::SYN_SENT) | (number::LISTEN, number::SYN_RECV))
        }),
        ended: Some(sum(|old, new| {
            old != number::LISTEN
                && old != number::TIME_WAIT
                && matches!(new, number::CLOSE | number::TIME_WAIT)
        })),
        failed: None,
        established: Some(Established {
            p50_ns: quantile_ns(&established, 50),
            p99_ns: quantile_ns(&established, 99),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_the_upper_end_of_its_bucket() {
        let mut stays = [0; BUCKETS];
        assert_eq!(quantile_ns(&stays, 50), None);
        (stays[10], stays[20]) = (50, 50);
        assert_eq!(quantile_ns(&stays, 50), Some(1 << 11));
        assert_eq!(quantile_ns(&stays, 51), Some(1 << 21));
        stays = [0; BUCKETS];
        stays[63] = 1;
        assert_eq!(quantile_ns(&stays, 99), Some(u64::MAX));
    }
}
