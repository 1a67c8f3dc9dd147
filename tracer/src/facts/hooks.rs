//! The kernel hooks besides the one on state transitions: which ones are in use, and why others are not.

use std::{borrow::Cow, fmt};

use crate::text::escape::escaped;

/// Which additional hooks are in use.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct HookReport {
    /// Hooks that are in use.
    pub used: Vec<Cow<'static, str>>,
    /// Hooks that are not in use.
    pub left_out: Vec<LeftOut>,
}

/// A hook that is not in use.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LeftOut {
    /// Its name.
    pub hook: Cow<'static, str>,
    /// Why it is not in use.
    pub why: String,
    /// What only this hook tells.
    pub tells: Cow<'static, str>,
    /// The kernel has it, but there is no room for another program.
    pub is_crowded_out: bool,
}

/// The kernel function whose program reports the end of timewait sockets.
pub const TIMEWAIT_HOOK: &str = "inet_twsk_kill";

/// The kernel function whose program reports half-open connections.
pub const REQUEST_HOOK: &str = "inet_csk_reqsk_queue_hash_add";

impl HookReport {
    /// Whether events report the end of timewait sockets when it happens.
    #[must_use]
    pub fn has_timewait_hook(&self) -> bool {
        self.used.iter().any(|hook| hook == TIMEWAIT_HOOK)
    }

    /// The hooks that the kernel has, and for which the programs of other tools leave no room.
    pub fn crowded_out(&self) -> impl Iterator<Item = &LeftOut> {
        self.left_out.iter().filter(|left_out| left_out.is_crowded_out)
    }
}

impl fmt::Display for HookReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.used.is_empty() { "none" } else { "" })?;
        f.write_str(&self.used.join(", "))?;
        for LeftOut { hook, why, .. } in &self.left_out {
            write!(f, "; without {hook}: {}", escaped(why.as_bytes()))?;
        }
        Ok(())
    }
}
