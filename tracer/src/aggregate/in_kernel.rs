//! Making a report of the kernel's counts (`summary --in-kernel`): the difference between two readings.

use tracer_common::state as number;

use crate::{
    aggregate::{
        By,
        build::{distribution, in_order, side, transitions},
        report::{
            Established, Period, PeriodKind, Quantiles, RankedName, RankingRow, RankingTable, Report,
            StateTimes,
        },
        times::BUCKETS,
    },
    facts::in_kernel::{AggregatePort, AggregateTimes, KernelAggregate},
    tcp::state::State,
};

impl Report {
    /// Makes a report of what the kernel counted from `before` to `now`. `by_port`: with a ranking of ports.
    /// `rows`: its rows.
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
        let is_total = period.kind == PeriodKind::Total;
        let states = (0..).zip(now.times.iter().zip(&before.times));
        let mut states: Vec<_> = states
            .filter_map(|(state, (now, before))| {
                let stays = difference(&now.buckets, &before.buckets);
                let unknown = now.unknown.saturating_sub(before.unknown);
                let has_any = unknown > 0 || stays.iter().any(|count| *count > 0);
                // The kernel keeps the maximum of the whole run, not that of an interval.
                has_any.then(|| state_times(State::from_kernel(state), &stays, unknown, now, is_total))
            })
            .collect();
        in_order(&mut states);
        Self {
            period,
            lost: increase(now.missed, before.missed),
            // A quantile is the upper end of a bucket, whose lower end is half of that.
            quantile_error: 0.5,
            transitions: transitions(&matrix, &period),
            states,
            reasons: None,
            top: if by_port { vec![port_table(now, before, rows)] } else { Vec::new() },
            findings: None,
            host: None,
            forgotten: Some(increase(now.evicted, before.evicted).unwrap_or_default()),
        }
    }
}

/// By how much a count has grown; `None` if one of the readings failed.
fn increase(now: Option<u64>, before: Option<u64>) -> Option<u64> {
    now.zip(before).map(|(now, before)| now.saturating_sub(before))
}

fn difference(now: &[u64; BUCKETS], before: &[u64; BUCKETS]) -> [u64; BUCKETS] {
    let mut stays = *now;
    for (now, before) in stays.iter_mut().zip(before) {
        *now = now.saturating_sub(*before);
    }
    stays
}

fn state_times(
    state: State,
    stays: &[u64; BUCKETS],
    unknown: u64,
    of: &AggregateTimes,
    is_total: bool,
) -> StateTimes {
    let count: u64 = stays.iter().sum();
    StateTimes {
        state,
        now: None,
        stays: count,
        unknown,
        sampled: 0,
        sampled_error_ns: None,
        quantiles: Quantiles {
            p50_ns: quantile_ns(stays, 50),
            p90_ns: quantile_ns(stays, 90),
            p99_ns: quantile_ns(stays, 99),
            max_ns: (is_total && count > 0).then_some(of.max_ns),
        },
        distribution: distribution(stays),
    }
}

/// A percentile in nanoseconds: the upper end of the bucket in which it lies.
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

/// The ports with the most transitions.
fn port_table(now: &KernelAggregate, before: &KernelAggregate, rows: usize) -> RankingTable {
    let mut all: Vec<RankingRow> = now
        .ports
        .iter()
        .map(|port| {
            let known = before.ports.iter().find(|known| (known.side, known.port) == (port.side, port.port));
            port_row(port, known)
        })
        .filter(|row| row.transitions > 0)
        .collect();
    all.sort_by_key(|row| std::cmp::Reverse(row.transitions));
    // Counts without room in the kernel's table may belong to any port.
    let missing = increase(now.no_room, before.no_room).unwrap_or(u64::MAX);
    let keys = (now.no_room == Some(0)).then_some(all.len());
    all.truncate(rows);
    RankingTable { by: By::Service, keys, missing_at_most: missing, rows: all }
}

fn port_row(port: &AggregatePort, before: Option<&AggregatePort>) -> RankingRow {
    let sum = |counted: fn(u8, u8) -> bool| {
        let of = |port: &AggregatePort| -> u64 {
            let counted = port.transitions.iter().filter(|(old, new, _)| counted(*old, *new));
            counted.map(|(_, _, count)| count).sum()
        };
        of(port).saturating_sub(before.map_or(0, of))
    };
    let established =
        before.map_or(port.established, |before| difference(&port.established, &before.established));
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
