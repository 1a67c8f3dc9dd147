//! What words are about.

/// What a word is about, in the order in which meanings of a word are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// A TCP state.
    State,
    /// A change from one state to another.
    Transition,
    /// A story of a connection, seen from both ends.
    Story,
    /// Why a connection ended.
    Reason,
    /// A finding.
    Finding,
    /// How the process is known.
    Owner,
    /// A value of `event`.
    Event,
    /// A column.
    Column,
    /// A word of the receipt.
    Receipt,
}

impl Topic {
    /// All topics.
    pub const ALL: [Self; 9] = [
        Self::State,
        Self::Transition,
        Self::Story,
        Self::Reason,
        Self::Finding,
        Self::Owner,
        Self::Event,
        Self::Column,
        Self::Receipt,
    ];

    /// The name in the tables, and before a word that has several meanings: `finding:close-wait`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Transition => "transition",
            Self::Story => "story",
            Self::Reason => "reason",
            Self::Finding => "finding",
            Self::Owner => "owner",
            Self::Event => "event",
            Self::Column => "column",
            Self::Receipt => "receipt",
        }
    }
}
