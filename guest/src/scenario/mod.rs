//! What is played.

use std::env;

pub(crate) mod check;
pub(crate) mod costs;
pub(crate) mod hooks;
pub(crate) mod kernel;
pub(crate) mod load;
pub(crate) mod oracle;
pub(crate) mod story;
pub(crate) mod time_wait;

/// What the host asks for.
pub(crate) enum Play {
    /// All scenarios but those that take long.
    Short,
    /// All scenarios.
    Long,
    /// What programs cost, and nothing else.
    Costs,
}

impl Play {
    /// As the kernel's command line has it.
    pub(crate) fn asked_for() -> Self {
        match env::var("PLAY").as_deref() {
            Ok("costs") => Self::Costs,
            Ok("long") => Self::Long,
            _ => Self::Short,
        }
    }
}
