//! How well owners are told, in four figures.

use std::fmt;

use crate::story::Line;

/// Lines, by what they say of the owner.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// With the name of another process, and without a mark.
    pub wrong: usize,
    /// Without a name.
    pub unknown: usize,
    /// With the right name.
    pub sure: usize,
    /// With a name that is marked as inherited from the listener.
    pub marked: usize,
}

impl Figures {
    /// Counts lines, each with the process that is its owner.
    pub fn of<'a>(lines: impl IntoIterator<Item = (&'a Line, u64)>) -> Self {
        let mut figures = Self::default();
        for (line, owner) in lines {
            let figure = match line["owner"].as_str() {
                None => &mut figures.unknown,
                Some("listener") => &mut figures.marked,
                Some(_) if line["pid"] == owner => &mut figures.sure,
                Some(_) => &mut figures.wrong,
            };
            *figure += 1;
        }
        figures
    }

    /// All lines.
    pub fn all(&self) -> usize {
        self.wrong + self.unknown + self.sure + self.marked
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[expect(clippy::cast_precision_loss, reason = "counts of lines are small")]
        let percent = |count: usize| count as f64 * 100.0 / self.all() as f64;
        let [wrong, unknown, sure, marked] = [self.wrong, self.unknown, self.sure, self.marked].map(percent);
        write!(f, "wrong {wrong:.3} %, unknown {unknown:.3} %, sure {sure:.1} %, marked {marked:.1} %")
    }
}
