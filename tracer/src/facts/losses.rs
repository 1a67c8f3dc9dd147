//! What was lost on the way, and what filters in the kernel kept back.

/// What did not arrive, or not as expected, since the capture began. `None` where the kernel does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Transitions for which the ring buffer had no room.
    pub no_room: Option<u64>,
    /// Transitions that neither program on the hook has seen: the kernel skips a program that would
    /// interrupt itself on a CPU (`recursion_misses`, since Linux 5.12 counted, since 6.2 on tracepoints).
    pub recursion: Option<u64>,
    /// Records of other hooks, such as resets and retransmissions, for either reason.
    pub incidents: Option<u64>,
    /// Records that were no events.
    pub malformed: u64,
}

impl Losses {
    /// Nothing was lost, and that is known.
    pub const NONE: Self = Self { no_room: Some(0), recursion: Some(0), incidents: Some(0), malformed: 0 };

    /// All transitions that were lost, if that is known.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        Some(self.no_room? + self.recursion? + self.malformed)
    }
}

/// The source's last word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceTotals {
    /// What was lost in all.
    pub losses: Losses,
    /// Transitions that the source kept back: those that filters in the kernel stopped, and births that
    /// could not be completed ([`crate::source::older`]). `None` if the kernel's count cannot be read.
    pub filtered: Option<u64>,
}
