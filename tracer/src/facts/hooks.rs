//! The kernel hooks besides the one on state transitions: which ones are in use, and why others are not.

use std::fmt;

use crate::text::escape::escaped;

/// Which additional hooks are in use.
#[derive(Clone, Debug, Default)]
pub struct HookReport {
    /// Hooks that are in use.
    pub used: Vec<&'static str>,
    /// Hooks that are not in use, each with the reason.
    pub left_out: Vec<(&'static str, String)>,
}

/// The kernel function whose program reports the end of timewait sockets.
pub const TIMEWAIT_HOOK: &str = "inet_twsk_kill";

/// The kernel function whose program reports half-open connections.
pub const REQUEST_HOOK: &str = "inet_csk_reqsk_queue_hash_add";

impl HookReport {
    /// Whether events report the end of timewait sockets when it happens.
    #[must_use]
    pub fn has_timewait_hook(&self) -> bool {
        self.used.contains(&TIMEWAIT_HOOK)
    }
}

impl fmt::Display for HookReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.used.is_empty() { "none" } else { "" })?;
        f.write_str(&self.used.join(", "))?;
        for (hook, why) in &self.left_out {
            write!(f, "; without {hook}: {}", escaped(why.as_bytes()))?;
        }
        Ok(())
    }
}
