//! What the capture amounted to, said at the end on standard error.

use std::fmt;

use crate::source::kernel::ring::Losses;

/// The counts of a capture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Transitions that happened and were not lost.
    pub seen: u64,
    /// Lines shown.
    pub shown: u64,
    /// Kept back by filters, in the kernel and here.
    pub filtered: u64,
    /// Read, but past the end that `--count` sets.
    pub beyond: u64,
    /// Lost.
    pub losses: Losses,
    /// Lines that standard output did not take.
    pub unwritten: bool,
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Losses { no_room, recursion, malformed } = self.losses;
        write!(
            f,
            "seen {}, shown {}, filtered {}, lost {}",
            self.seen,
            self.shown,
            self.filtered,
            self.losses.total()
        )?;
        if no_room > 0 {
            write!(f, "; {no_room} found the buffer full: try a larger --buffer")?;
        }
        if recursion > 0 {
            write!(f, "; {recursion} happened while the kernel program was busy on the same CPU")?;
        }
        if malformed > 0 {
            write!(f, "; {malformed} could not be read")?;
        }
        if self.beyond > 0 {
            write!(f, "; {} came after the last line asked for", self.beyond)?;
        }
        if self.unwritten {
            write!(f, "; standard output did not take the last lines")?;
        }
        Ok(())
    }
}
