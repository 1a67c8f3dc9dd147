//! What was lost between the kernel and user space, and what filters in the kernel rejected.

/// Events that were lost or malformed since the capture began. `None` where the kernel gives no count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Losses {
    /// Transitions that were lost because the ring buffer was full.
    pub no_room: Option<u64>,
    /// Transitions that neither program on the hook saw: the kernel skips a program that would interrupt
    /// itself on a CPU (`recursion_misses`, counted since Linux 5.12, on tracepoints since 6.2).
    pub recursion: Option<u64>,
    /// Records of other hooks, such as resets and retransmissions, that were lost for either reason.
    pub incidents: Option<u64>,
    /// Records that could not be parsed as events.
    pub malformed: u64,
}

impl Losses {
    /// Nothing was lost, and all counts are known.
    pub const NONE: Self = Self { no_room: Some(0), recursion: Some(0), incidents: Some(0), malformed: 0 };

    /// All lost transitions; `None` if a count is unknown.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        Some(self.no_room?.saturating_add(self.recursion?).saturating_add(self.malformed))
    }

    /// Each count joined with the same one of `other`.
    #[must_use]
    fn with(self, other: Self, join: fn(u64, u64) -> u64) -> Self {
        let known = |one: Option<u64>, other: Option<u64>| Some(join(one?, other?));
        Self {
            no_room: known(self.no_room, other.no_room),
            recursion: known(self.recursion, other.recursion),
            incidents: known(self.incidents, other.incidents),
            malformed: join(self.malformed, other.malformed),
        }
    }

    /// Both together. What one of them does not know is not known.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.with(other, u64::saturating_add)
    }

    /// Without `other`, which is a part of it. What that does not know is taken for none.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        let none = Some(0);
        let known = Self {
            no_room: other.no_room.or(none),
            recursion: other.recursion.or(none),
            incidents: other.incidents.or(none),
            ..other
        };
        self.with(known, u64::saturating_sub)
    }
}

/// The totals that a source reports at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct SourceTotals {
    /// All losses of the capture.
    pub losses: Losses,
    /// Transitions that the source withheld: those that filters in the kernel rejected, and births that could
    /// not be completed ([`crate::source::older`]). `None` if the kernel's count cannot be read.
    pub filtered: Option<u64>,
    /// The source has ended without its end: a recording whose writer was killed.
    pub is_cut_off: bool,
    /// There are several captures in it, so the kernel's counters are not those of the whole time.
    pub is_joined: bool,
    /// A part of a recording is damaged or missing, whether or not there were events in it.
    pub is_damaged: bool,
}

impl SourceTotals {
    /// Those of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            losses: self.losses.and(other.losses),
            filtered: self.filtered.zip(other.filtered).map(|(one, other)| one.saturating_add(other)),
            is_cut_off: self.is_cut_off || other.is_cut_off,
            is_joined: self.is_joined || other.is_joined,
            is_damaged: self.is_damaged || other.is_damaged,
        }
    }
}
