//! What the running kernel supports. It is known before the first fact.

use tracer_common::member::Member;

use crate::{facts::hooks::HookReport, tcp::reset::ResetReasons};

/// The kernel that events come from.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct KernelInfo {
    /// The optional structure members that it lacks. Columns that need one of them are null.
    #[serde(with = "members")]
    pub absent: Vec<Member>,
    /// Whether events carry socket cookies. Without them (before Linux 5.12) the tracer numbers sockets
    /// itself, and timewait sockets cannot be followed.
    pub has_cookies: bool,
    /// The kernel's names for the reasons of a sent RST (`enum sk_rst_reason`, since Linux 6.10).
    pub reset_reasons: ResetReasons,
    /// Length of a jiffy in nanoseconds, which is the unit of many stamps in sockets; 0 if it is not known.
    pub tick_ns: u64,
    /// Whether the source can tell which processes hold which sockets ([`Fact::Holders`](crate::facts::Fact)).
    pub has_holders: bool,
    /// The hooks besides the one on state transitions.
    pub hooks: HookReport,
}

/// Members by their names. One that this version does not know is left out.
mod members {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};
    use tracer_common::member::Member;

    pub(super) fn serialize<S: Serializer>(members: &[Member], serializer: S) -> Result<S::Ok, S::Error> {
        let names: Vec<String> = members.iter().map(|member| format!("{member:?}")).collect();
        names.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Member>, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        let is_named = |member: &&Member| names.contains(&format!("{member:?}"));
        Ok(Member::ALL.iter().filter(is_named).copied().collect())
    }
}
