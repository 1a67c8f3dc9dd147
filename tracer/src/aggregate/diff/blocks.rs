//! Counts in blocks of consecutive observations, which show how much more they vary than chance would have it.
//!
//! What happens on a network comes in bursts: a hundred connects that fail one after the other are not a hundred
//! independent failures. So counts are kept for blocks of consecutive observations ("batch means"), at most
//! [`BLOCKS`]: when they are full, each two neighbours become one.

/// Blocks, at most.
pub const BLOCKS: usize = 64;

/// How often observations have each of some labels.
#[derive(Clone, Debug, Default)]
pub struct Shares {
    /// Observations that a block takes.
    per_block: u32,
    /// How many are in each block.
    sizes: Vec<u32>,
    /// How many of them have each label. A row may be shorter than `sizes`, or missing.
    rows: Vec<Vec<u32>>,
}

impl Shares {
    /// Adds an observation with these labels.
    pub fn add(&mut self, labels: impl IntoIterator<Item = usize>) {
        self.per_block = self.per_block.max(1);
        if self.is_last_full() && self.sizes.len() == BLOCKS {
            self.fold();
        }
        if self.is_last_full() {
            self.sizes.push(0);
        }
        let block = self.sizes.len() - 1;
        self.sizes[block] += 1;
        for label in labels {
            if self.rows.len() <= label {
                self.rows.resize_with(label + 1, Vec::new);
            }
            let row = &mut self.rows[label];
            if row.len() <= block {
                row.resize(block + 1, 0);
            }
            row[block] += 1;
        }
    }

    fn is_last_full(&self) -> bool {
        self.sizes.last().is_none_or(|size| *size >= self.per_block)
    }

    /// Makes one block of each two.
    fn fold(&mut self) {
        fold(&mut self.sizes);
        self.rows.iter_mut().for_each(fold);
        self.per_block = self.per_block.saturating_mul(2);
    }

    /// Adds those of another, behind its own.
    pub fn absorb(&mut self, mut other: Self) {
        if self.sizes.is_empty() {
            *self = other;
            return;
        }
        while !other.sizes.is_empty()
            && (self.sizes.len() + other.sizes.len() > BLOCKS || self.per_block != other.per_block)
        {
            if self.per_block <= other.per_block { self.fold() } else { other.fold() }
        }
        let before = self.sizes.len();
        self.sizes.append(&mut other.sizes);
        for (label, row) in other.rows.into_iter().enumerate().filter(|(_, row)| !row.is_empty()) {
            if self.rows.len() <= label {
                self.rows.resize_with(label + 1, Vec::new);
            }
            self.rows[label].resize(before, 0);
            self.rows[label].extend(row);
        }
    }

    /// How many observations there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.sizes.iter().copied().map(u64::from).sum()
    }

    /// How many of them have this label.
    #[must_use]
    pub fn count(&self, label: usize) -> u64 {
        self.rows.get(label).map_or(0, |row| row.iter().copied().map(u64::from).sum())
    }

    /// Those with one of these labels, of which none has two.
    #[must_use]
    pub fn share(&self, labels: &[usize]) -> Share<'_> {
        let mut counts = vec![0; self.sizes.len()];
        for row in labels.iter().filter_map(|label| self.rows.get(*label)) {
            counts.iter_mut().zip(row).for_each(|(count, more)| *count += more);
        }
        Share { counts, sizes: &self.sizes }
    }
}

fn fold(row: &mut Vec<u32>) {
    *row =
        row.chunks(2).map(|pair| pair.iter().fold(0, |sum: u32, count| sum.saturating_add(*count))).collect();
}

/// How many of the observations are of a kind.
#[derive(Clone, Debug)]
pub struct Share<'a> {
    counts: Vec<u32>,
    sizes: &'a [u32],
}

impl Share<'_> {
    /// How many, of how many.
    #[must_use]
    pub fn of(&self) -> (u64, u64) {
        let sum = |counts: &[u32]| counts.iter().copied().map(u64::from).sum();
        (sum(&self.counts), sum(self.sizes))
    }

    /// How far blocks differ: Pearson's X² of homogeneity, and its degrees of freedom. By chance alone both are about
    /// the same; 0 and 0 if all observations are the same.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn dispersion(&self) -> (f64, f64) {
        let (count, of) = self.of();
        if count == 0 || count == of || self.sizes.len() < 2 {
            return (0.0, 0.0);
        }
        let share = count as f64 / of as f64;
        let squares = self.counts.iter().zip(self.sizes).map(|(count, size)| {
            let (count, size) = (f64::from(*count), f64::from(*size));
            (count - size * share).powi(2) / (size * share * (1.0 - share))
        });
        (squares.sum(), (self.sizes.len() - 1) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(labels: impl IntoIterator<Item = usize>) -> Shares {
        let mut shares = Shares::default();
        labels.into_iter().for_each(|label| shares.add([label]));
        shares
    }

    #[test]
    fn counts_are_exact_however_many_there_are() {
        for count in [0_u64, 1, 63, 64, 65, 1_000, 12_345] {
            let shares = of((0..count).map(|number| usize::from(number % 3 == 0)));
            assert_eq!((shares.total(), shares.count(1)), (count, count.div_ceil(3)));
            assert!(shares.sizes.len() <= BLOCKS && (count < 64 || shares.sizes.len() >= BLOCKS / 2));
        }
    }

    #[test]
    fn those_of_others_come_behind() {
        for (mine, others) in [(0, 10), (10, 0), (50, 50), (1_000, 10), (10, 1_000), (3_000, 3_000)] {
            let mut shares = of((0..mine).map(|number| number % 2));
            shares.absorb(of((0..others).map(|number| 2 + number % 2)));
            let found = [0, 1, 2, 3].map(|label| shares.count(label));
            let half = |count: usize| [count.div_ceil(2) as u64, (count / 2) as u64];
            assert_eq!(found, [half(mine), half(others)].concat()[..], "{mine} {others}");
            assert_eq!(shares.total(), (mine + others) as u64);
            assert!(shares.sizes.len() <= BLOCKS);
            assert_eq!(shares.share(&[0, 1, 2, 3]).of().0, shares.total());
        }
    }

    #[test]
    fn bursts_are_more_than_chance() {
        let mut random = fastrand::Rng::with_seed(7);
        let even = of((0..10_000).map(|_| usize::from(random.u32(..100) == 0)));
        let (squares, freedom) = even.share(&[1]).dispersion();
        assert!((0.6..1.5).contains(&(squares / freedom)), "{squares} {freedom}");
        let burst = of((0..10_000).map(|number| usize::from((5_000..5_100).contains(&number))));
        let (squares, freedom) = burst.share(&[1]).dispersion();
        assert!(squares / freedom > 30.0, "{squares} {freedom}");
        assert_eq!(of([0; 100]).share(&[1]).dispersion(), (0.0, 0.0));
    }
}
