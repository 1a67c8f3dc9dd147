//! Which rows of a column have a value: Parquet's definition levels.

/// Rows of which one word tells.
const ROWS_IN_WORD: usize = u64::BITS as usize;

/// For each row whether it has a value.
#[derive(Default)]
pub(super) struct Presence {
    /// A bit for each row, the lowest first; 0 behind the last row.
    words: Vec<u64>,
    rows: usize,
}

impl Presence {
    /// Adds rows, at most 64. Bits behind the last one are 0.
    #[inline]
    pub(super) fn push(&mut self, bits: u64, rows: usize) {
        let used = self.rows % ROWS_IN_WORD;
        self.rows += rows;
        match self.words.last_mut() {
            Some(word) if used > 0 => {
                *word |= bits << used;
                if used + rows > ROWS_IN_WORD {
                    self.words.push(bits >> (ROWS_IN_WORD - used));
                }
            }
            _ if rows > 0 => self.words.push(bits),
            _ => {}
        }
    }

    /// The number of rows.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The number of rows without a value.
    pub(super) fn nulls(&self) -> usize {
        self.rows - self.words.iter().map(|word| word.count_ones() as usize).sum::<usize>()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = bool> {
        (0..self.rows).map(|row| self.words[row / ROWS_IN_WORD] >> (row % ROWS_IN_WORD) & 1 != 0)
    }

    /// A byte for each eight rows, the first in the lowest bit.
    pub(super) fn packed(&self) -> impl Iterator<Item = u8> {
        self.words.iter().flat_map(|word| word.to_le_bytes()).take(self.rows.div_ceil(8))
    }

    /// Forgets the rows.
    pub(super) fn clear(&mut self) {
        self.words.clear();
        self.rows = 0;
    }
}

impl FromIterator<bool> for Presence {
    fn from_iter<T: IntoIterator<Item = bool>>(rows: T) -> Self {
        let mut presence = Self::default();
        for is_there in rows {
            presence.push(is_there.into(), 1);
        }
        presence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_kept_however_many_are_added_at_once() {
        let pattern = |row: usize| row.is_multiple_of(3) || row % 7 == 2;
        for step in [1, 5, 32, 63, 64] {
            let mut presence = Presence::default();
            for begin in (0..1_000).step_by(step) {
                let rows = begin..(begin + step).min(1_000);
                let count = rows.len();
                let bits = rows.enumerate().map(|(bit, row)| u64::from(pattern(row)) << bit).sum();
                presence.push(bits, count);
            }
            assert_eq!(presence.rows(), 1_000);
            assert!(presence.iter().eq((0..1_000).map(pattern)), "by {step}");
            assert_eq!(presence.nulls(), (0..1_000).filter(|row| !pattern(*row)).count());
            let packed: Vec<_> = presence.packed().collect();
            assert_eq!(packed.len(), 125);
            assert!((0..1_000).all(|row| (packed[row / 8] >> (row % 8) & 1 != 0) == pattern(row)));
        }
    }
}
