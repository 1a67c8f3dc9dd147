//! What the kernel tells at all: known before the first fact.

use tracer_common::member::Member;

use crate::{facts::hooks::HookReport, tcp::reset::ResetReasons};

/// The kernel that events come from.
#[derive(Clone, Debug, Default)]
pub struct KernelInfo {
    /// The optional members of its structures that it lacks: columns that need them are null.
    pub absent: Vec<Member>,
    /// Whether events carry socket cookies. Without them (before Linux 5.12) sockets have numbers of the
    /// tracer's own, and timewait sockets cannot be followed.
    pub has_cookies: bool,
    /// Its names for why it sends an RST (`enum sk_rst_reason`, since Linux 6.10).
    pub reset_reasons: ResetReasons,
    /// The hooks beside the one on state transitions.
    pub hooks: HookReport,
}
