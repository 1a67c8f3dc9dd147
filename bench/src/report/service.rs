//! Results beside a service.

use serde::{Deserialize, Serialize};

use crate::{
    load::service::Connections,
    stats::{median, range},
};

/// A contestant in a round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// Which round, from 1.
    pub round: u32,
    /// What clients do with their connections.
    pub connections: Connections,
    /// Its name.
    pub contestant: String,
    /// Requests per second while it traced.
    pub requests_per_s: f64,
    /// The mean of the untraced rates right before and right after.
    pub untraced_per_s: f64,
    /// Events that it knows to have lost.
    pub lost: Option<u64>,
}

/// Medians of a contestant.
pub(crate) struct Row {
    pub connections: Connections,
    pub contestant: String,
    pub requests_per_s: f64,
    pub untraced_per_s: f64,
    /// The ratio of requests to the untraced ones right before and after; the median of ratios.
    pub ratio: f64,
    /// The smallest and the largest of those ratios.
    pub ratio_range: (f64, f64),
    /// Events that it lost, in the round with the most.
    pub lost_most: Option<u64>,
}

impl Sample {
    fn ratio(&self) -> f64 {
        self.requests_per_s / self.untraced_per_s
    }
}

/// A row for each contestant and kind of clients, in the order of the first round.
pub(crate) fn rows(samples: &[Sample]) -> Vec<Row> {
    let first_round = samples.iter().filter(|sample| sample.round == 1);
    first_round.filter_map(|sample| row(samples, sample.connections, &sample.contestant)).collect()
}

/// The medians of one contestant; `None` if it was not measured.
pub(crate) fn row(samples: &[Sample], connections: Connections, contestant: &str) -> Option<Row> {
    let all = || {
        let same = move |it: &&Sample| it.connections == connections && it.contestant == contestant;
        samples.iter().filter(same)
    };
    Some(Row {
        connections,
        contestant: contestant.to_owned(),
        requests_per_s: median(all().map(|sample| sample.requests_per_s))?,
        untraced_per_s: median(all().map(|sample| sample.untraced_per_s))?,
        ratio: median(all().map(Sample::ratio))?,
        ratio_range: range(all().map(Sample::ratio))?,
        lost_most: all().filter_map(|sample| sample.lost).max(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_ratios_and_not_of_rates() {
        let sample = |round, connections, requests_per_s, untraced_per_s, lost| Sample {
            round,
            connections,
            contestant: "log".to_owned(),
            requests_per_s,
            untraced_per_s,
            lost,
        };
        let samples = [
            sample(1, Connections::KeepAlive, 100.0, 100.0, None),
            sample(1, Connections::Close, 90.0, 100.0, Some(0)),
            sample(2, Connections::Close, 40.0, 50.0, Some(7)),
            sample(3, Connections::Close, 100.0, 200.0, None),
        ];
        let rows = rows(&samples);
        assert_eq!(rows.len(), 2);
        let close = &rows[1];
        assert!((close.ratio - 0.8).abs() < 1e-9);
        assert_eq!(close.ratio_range, (0.5, 0.9));
        assert_eq!(close.lost_most, Some(7));
        assert!(row(&samples, Connections::Close, "life").is_none());
    }
}
