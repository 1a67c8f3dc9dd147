//! How durations are spread: exact counts in ranges that are narrow on the scale of logarithms.

use crate::aggregate::diff::blocks::BLOCKS;

/// Ranges for each doubling of the duration, as a power of two. A range is so at most 1/64 wide, and what stands for it is
/// within a hundredth of each duration in it.
const RANGES_BITS: u32 = 6;

/// Durations, of which some may still have gone on when they were last looked at.
#[derive(Clone, Debug, Default)]
pub struct Spread {
    /// How many ended in each range, in the order of ranges.
    ended: Vec<(u16, u32)>,
    /// How many went on, by the range that they had reached.
    going_on: Vec<(u16, u32)>,
    /// The longest that has ended, in nanoseconds.
    max_ns: u64,
    /// The sums of logarithms in blocks of consecutive ones, and how many there are in each.
    blocks: Vec<(u32, f64)>,
    per_block: u32,
    /// The sum of squares of all logarithms.
    squares: f64,
}

/// The range of a duration.
#[must_use]
fn range(ns: u64) -> u16 {
    let power = ns.max(1).ilog2();
    if power < RANGES_BITS {
        // A range for each nanosecond.
        return u16::try_from(ns).unwrap_or_default();
    }
    let within = ns >> (power - RANGES_BITS) & ((1 << RANGES_BITS) - 1);
    let range = u64::from(power - RANGES_BITS + 1) << RANGES_BITS | within;
    u16::try_from(range).unwrap_or(u16::MAX)
}

/// What stands for the durations in a range: the one in the middle.
#[must_use]
fn middle_ns(range: u16) -> u64 {
    let (power, within) = (u32::from(range) >> RANGES_BITS, u64::from(range) & ((1 << RANGES_BITS) - 1));
    if power == 0 {
        return within;
    }
    let lowest = ((1 << RANGES_BITS) | within) << (power - 1);
    lowest + ((1_u64 << (power - 1)) >> 1)
}

fn count_in(ranges: &mut Vec<(u16, u32)>, range: u16, count: u32) {
    match ranges.binary_search_by_key(&range, |(range, _)| *range) {
        Ok(place) => ranges[place].1 = ranges[place].1.saturating_add(count),
        Err(place) => ranges.insert(place, (range, count)),
    }
}

fn sum(ranges: &[(u16, u32)]) -> u64 {
    ranges.iter().map(|(_, count)| u64::from(*count)).sum()
}

impl Spread {
    /// Adds a duration in nanoseconds.
    #[allow(clippy::cast_precision_loss)]
    pub fn add(&mut self, ns: u64) {
        count_in(&mut self.ended, range(ns), 1);
        self.max_ns = self.max_ns.max(ns);
        let logarithm = (ns.max(1) as f64).ln();
        self.squares += logarithm * logarithm;
        self.per_block = self.per_block.max(1);
        if self.is_last_full() && self.blocks.len() == BLOCKS {
            self.fold();
        }
        if self.is_last_full() {
            self.blocks.push((0, 0.0));
        }
        if let Some((size, logarithms)) = self.blocks.last_mut() {
            *size += 1;
            *logarithms += logarithm;
        }
    }

    /// Adds one that has gone on for so long, and not ended.
    pub fn add_going_on(&mut self, ns: u64) {
        count_in(&mut self.going_on, range(ns), 1);
    }

    fn is_last_full(&self) -> bool {
        self.blocks.last().is_none_or(|(size, _)| *size >= self.per_block)
    }

    fn fold(&mut self) {
        let pairs = self.blocks.chunks(2);
        let sum = |one: (u32, f64), other: &(u32, f64)| (one.0.saturating_add(other.0), one.1 + other.1);
        self.blocks = pairs.map(|pair| pair.iter().fold((0, 0.0), sum)).collect();
        self.per_block = self.per_block.saturating_mul(2);
    }

    /// Adds those of another, behind its own.
    pub fn absorb(&mut self, mut other: Self) {
        for (range, count) in &other.ended {
            count_in(&mut self.ended, *range, *count);
        }
        for (range, count) in &other.going_on {
            count_in(&mut self.going_on, *range, *count);
        }
        self.max_ns = self.max_ns.max(other.max_ns);
        self.squares += other.squares;
        if self.blocks.is_empty() {
            (self.blocks, self.per_block) = (other.blocks, other.per_block);
            return;
        }
        while !other.blocks.is_empty()
            && (self.blocks.len() + other.blocks.len() > BLOCKS || self.per_block != other.per_block)
        {
            if self.per_block <= other.per_block { self.fold() } else { other.fold() }
        }
        self.blocks.append(&mut other.blocks);
    }

    /// How many have ended.
    #[must_use]
    pub fn count(&self) -> u64 {
        sum(&self.ended)
    }

    /// How many have gone on for at least this time, and for this one at most, in nanoseconds.
    #[must_use]
    pub fn going_on(&self, least_ns: u64, most_ns: u64) -> u64 {
        let (least, most) = (range(least_ns), range(most_ns));
        let within = self.going_on.iter().filter(|(range, _)| (least..=most).contains(range));
        within.map(|(_, count)| u64::from(*count)).sum()
    }

    /// A quantile of those that have ended, in nanoseconds, within a hundredth; `None` without any.
    #[must_use]
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn quantile_ns(&self, quantile: f64) -> Option<u64> {
        let rank = ((self.count() as f64 * quantile).ceil() as u64).max(1);
        let mut below = 0;
        let found = self.ended.iter().find(|(_, count)| {
            below += u64::from(*count);
            below >= rank
        });
        found.map(|(range, _)| middle_ns(*range).min(self.max_ns))
    }

    /// The longest that has ended, in nanoseconds.
    #[must_use]
    pub fn max_ns(&self) -> Option<u64> {
        (!self.ended.is_empty()).then_some(self.max_ns)
    }

    /// How many have ended that were longer than this, in whole ranges.
    #[must_use]
    pub fn longer_than(&self, ns: u64) -> u64 {
        let limit = range(ns);
        self.ended.iter().filter(|(range, _)| *range > limit).map(|(_, count)| u64::from(*count)).sum()
    }

    /// How far blocks differ: as [`super::blocks::Share::dispersion`], for the mean of logarithms.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn dispersion(&self) -> (f64, f64) {
        let count = self.count() as f64;
        if self.blocks.len() < 2 {
            return (0.0, 0.0);
        }
        let mean = self.blocks.iter().map(|(_, logarithms)| logarithms).sum::<f64>() / count;
        let variance = (self.squares - count * mean * mean) / (count - 1.0);
        // What is left of the difference of two large numbers.
        if variance <= 1e-9 * mean * mean {
            return (0.0, 0.0);
        }
        let squares = self.blocks.iter().map(|(size, logarithms)| {
            let size = f64::from(*size);
            size * (logarithms / size - mean).powi(2) / variance
        });
        (squares.sum(), (self.blocks.len() - 1) as f64)
    }
}

/// The comparison of two spreads by ranks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankTest {
    /// How many standard deviations the second one's durations are longer than by chance.
    pub z: f64,
    /// How much more often a duration of the second one is the longer of two, than the shorter: from -1 to 1.
    pub effect: f64,
}

/// How the observations at a time weigh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RankWeight {
    /// By how many have not ended before: Gehan (1965) and Breslow (1970). Without any that go on, this is the test of
    /// Mann and Whitney.
    Gehan,
    /// All the same: the log-rank test.
    LogRank,
}

/// Compares two spreads by ranks, with those that have gone on up to a time, which are at least so long.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn rank_test(a: &Spread, b: &Spread, weight: RankWeight) -> Option<RankTest> {
    let mut ranges: Vec<u16> = a.ended.iter().chain(&b.ended).map(|(range, _)| *range).collect();
    ranges.sort_unstable();
    ranges.dedup();
    let [mut a, mut b] = [a, b].map(AtRisk::new);
    let all = (a.left, b.left);
    let (mut score, mut variance, mut wins) = (0.0, 0.0, 0.0);
    for range in ranges {
        let (ended_a, ended_b) = (a.reach(range), b.reach(range));
        let (left_a, left_b) = (a.left, b.left);
        let (ended, left) = (ended_a + ended_b, left_a + left_b);
        let weight = if weight == RankWeight::Gehan { left } else { 1.0 };
        score += weight * (left_b * ended / left - ended_b);
        if left > 1.0 {
            variance +=
                weight.powi(2) * left_a * left_b * ended * (left - ended) / (left * left * (left - 1.0));
        }
        // Of all pairs with one that ends here, the other is longer, unless it ends here, too.
        wins += ended_a * (left_b - ended_b) - ended_b * (left_a - ended_a);
        a.left -= ended_a;
        b.left -= ended_b;
    }
    (variance > 0.0).then(|| RankTest { z: score / variance.sqrt(), effect: wins / (all.0 * all.1) })
}

/// Those that have not ended before a time.
struct AtRisk<'a> {
    left: f64,
    ended: std::iter::Peekable<std::slice::Iter<'a, (u16, u32)>>,
    going_on: std::iter::Peekable<std::slice::Iter<'a, (u16, u32)>>,
}

impl<'a> AtRisk<'a> {
    #[allow(clippy::cast_precision_loss)]
    fn new(spread: &'a Spread) -> Self {
        Self {
            left: (spread.count() + sum(&spread.going_on)) as f64,
            ended: spread.ended.iter().peekable(),
            going_on: spread.going_on.iter().peekable(),
        }
    }

    /// Takes away those that are not known to be so long, and returns how many end in this range. One that goes on up to a
    /// range is longer than those that end there.
    fn reach(&mut self, range: u16) -> f64 {
        while let Some((_, count)) = self.going_on.next_if(|(reached, _)| *reached < range) {
            self.left -= f64::from(*count);
        }
        self.ended.next_if(|(ended, _)| *ended == range).map_or(0.0, |(_, count)| f64::from(*count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ended: &[u64], going_on: &[u64]) -> Spread {
        let mut spread = Spread::default();
        for ns in ended {
            spread.add(*ns);
        }
        for ns in going_on {
            spread.add_going_on(*ns);
        }
        spread
    }

    #[test]
    fn a_range_stands_for_durations_within_a_hundredth() {
        let mut before = 0;
        let longer = std::iter::successors(Some(1_000_u64), |ns| ns.checked_add(ns / 64 + 1));
        for ns in (0..1_000).chain(longer) {
            let middle = middle_ns(range(ns));
            assert!(middle.abs_diff(ns) * 100 <= ns, "{ns} {middle}");
            assert!(range(ns) >= before, "{ns}");
            before = range(ns);
        }
        assert!(range(u64::MAX) < 4_000);
    }

    #[test]
    fn quantiles_are_those_of_the_durations() {
        let spread = of(&(1..=10_000).map(|us| us * 1_000).collect::<Vec<_>>(), &[]);
        for (quantile, ns) in [(0.5, 5_000_000), (0.9, 9_000_000), (0.99, 9_900_000), (1.0, 10_000_000)] {
            assert!(spread.quantile_ns(quantile).unwrap().abs_diff(ns) <= ns / 100);
        }
        assert_eq!((spread.count(), spread.max_ns()), (10_000, Some(10_000_000)));
        assert_eq!((Spread::default().quantile_ns(0.5), Spread::default().max_ns()), (None, None));
    }

    /// Remission of leukaemia under 6-mercaptopurine and placebo (Freireich and others, 1963), in weeks, the data of most
    /// books on survival: the log-rank test gives 16.79, that of Gehan and Breslow 13.46.
    #[test]
    fn the_rank_test_is_that_of_the_books() {
        let drug = of(&[6, 6, 6, 7, 10, 13, 16, 22, 23], &[6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]);
        let placebo = of(&[1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23], &[]);
        let squared = |weight| rank_test(&placebo, &drug, weight).unwrap().z.powi(2);
        assert!((squared(RankWeight::LogRank) - 16.79).abs() < 0.005, "{}", squared(RankWeight::LogRank));
        assert!((squared(RankWeight::Gehan) - 13.46).abs() < 0.005, "{}", squared(RankWeight::Gehan));
        let test = rank_test(&placebo, &drug, RankWeight::Gehan).unwrap();
        assert!(test.z > 0.0 && test.effect > 0.5, "{test:?}");
    }

    /// Without any that go on, it is the share of pairs: Mann and Whitney's U.
    #[test]
    fn the_effect_is_the_share_of_pairs() {
        let (a, b) = ([1, 2, 2, 9], [2, 3, 5, 7, 9]);
        let pairs = a.iter().flat_map(|a| b.iter().map(move |b| i32::from(b > a) - i32::from(b < a)));
        let expected = f64::from(pairs.sum::<i32>()) / 20.0;
        let test = rank_test(&of(&a, &[]), &of(&b, &[]), RankWeight::Gehan).unwrap();
        assert!((test.effect - expected).abs() < 1e-12, "{test:?} {expected}");
        assert_eq!(rank_test(&of(&[], &[]), &of(&b, &[]), RankWeight::Gehan), None);
    }

    #[test]
    fn those_of_others_are_added() {
        let mut both = of(&(0..500).collect::<Vec<_>>(), &[7]);
        both.absorb(of(&(500..3_000).collect::<Vec<_>>(), &[9]));
        assert_eq!((both.count(), both.going_on(0, u64::MAX), both.going_on(8, 10)), (3_000, 2, 1));
        assert_eq!(both.blocks.iter().map(|(size, _)| size).sum::<u32>(), 3_000);
        assert!(both.blocks.len() <= BLOCKS);
        // One after the other, they differ by more than chance.
        let (squares, freedom) = both.dispersion();
        assert!(squares / freedom > 10.0);
    }
}
