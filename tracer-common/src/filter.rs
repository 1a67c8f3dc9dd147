//! Filters on facts that do not change over a connection's life. The kernel applies them to each event; user
//! space applies the same code to what the kernel could not decide.
//!
//! A filter on ports or addresses marks each value that it names with the side on which the value counts. A
//! decision is two lookups and [`selects`], however many values there are. Values that take away (`!22`) have marks of
//! their own.

/// The value counts on either side (`--port`, `--addr`).
pub const EITHER: u8 = 1 << 0;
/// The value counts on the local side (`--local-port` and the like).
pub const LOCAL: u8 = 1 << 1;
/// The value counts on the remote side.
pub const REMOTE: u8 = 1 << 2;
/// The value takes away on either side (`--port '!22'`).
pub const NOT_EITHER: u8 = 1 << 3;
/// The value takes away on the local side.
pub const NOT_LOCAL: u8 = 1 << 4;
/// The value takes away on the remote side.
pub const NOT_REMOTE: u8 = 1 << 5;

/// The marks that must be met; the others must not.
const WANTED: u8 = EITHER | LOCAL | REMOTE;
/// The marks of a local value that lets as much pass as one can.
pub const BEST_LOCAL: u8 = EITHER | LOCAL;
/// The marks of a local value that lets as little pass as one can.
pub const WORST_LOCAL: u8 = NOT_EITHER | NOT_LOCAL;

/// Whether a connection passes, given the marks of its local and its remote value.
///
/// `active` holds the kinds of marks that are in use. All must be met that are wanted, each by one of its values, and
/// none that takes away.
///
/// ```
/// use tracer_common::filter::{EITHER, NOT_EITHER, REMOTE, selects};
///
/// // --port 443: on either side.
/// assert!(selects(EITHER, 0, EITHER));
/// // --port 443 and a remote port that was not named.
/// assert!(!selects(EITHER | REMOTE, 0, EITHER));
/// // --port 443,!22, and a connection between the two.
/// assert!(!selects(EITHER | NOT_EITHER, NOT_EITHER, EITHER));
/// ```
#[inline(always)]
#[must_use]
pub const fn selects(active: u8, local_marks: u8, remote_marks: u8) -> bool {
    let met = ((local_marks | remote_marks) & (EITHER | NOT_EITHER))
        | (local_marks & (LOCAL | NOT_LOCAL))
        | (remote_marks & (REMOTE | NOT_REMOTE));
    active & (met ^ WANTED) == 0
}

/// Kinds of addresses, which `--ipv4` and `--ipv6` choose from.
pub mod family {
    /// An IPv4 socket.
    pub const IPV4: u8 = 1 << 0;
    /// An IPv6 socket with IPv6 addresses.
    pub const IPV6: u8 = 1 << 1;
    /// An IPv6 socket with v4-mapped addresses (RFC 4291, 2.5.5.2).
    pub const MAPPED: u8 = 1 << 2;
    /// All of them.
    pub const ANY: u8 = IPV4 | IPV6 | MAPPED;

    /// The kind for a socket of address family `af`; whether its local and its remote address are v4-mapped.
    #[inline(always)]
    #[must_use]
    pub const fn of(af: u8, local_mapped: bool, remote_mapped: bool) -> u8 {
        match (af, local_mapped | remote_mapped) {
            (super::super::event::AF_INET, _) => IPV4,
            (_, true) => MAPPED,
            (_, false) => IPV6,
        }
    }
}

/// Which network namespaces pass.
pub mod netns {
    /// All of them.
    pub const ALL: u8 = 0;
    /// Only those that are listed.
    pub const LISTED: u8 = 1;
    /// All but those that are listed.
    pub const UNLISTED: u8 = 2;
}

/// Number of ports, which is the size of the kernel's table of port marks.
pub const PORTS: usize = 1 << 16;

/// Which filters are in use. Read-only for the kernel program, so the verifier removes the code of the
/// others.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(zerocopy::IntoBytes, zerocopy::Immutable))]
pub struct Active {
    /// Lowest and highest port that counts on the local side; the lowest is above the highest if none does.
    pub local_ports: [u16; 2],
    /// Kinds of marks in use on ports.
    pub ports: u8,
    /// Kinds of marks in use on addresses.
    pub addrs: u8,
    /// Kinds of addresses that pass; [`family::ANY`] for no filter.
    pub families: u8,
    /// Which network namespaces pass: a value of [`netns`].
    pub netns: u8,
    /// 1 if user space follows each connection. It then also gets what it needs for that, and filters again:
    /// listeners, and new connections whose local port is not chosen yet and will decide.
    pub story: u8,
    /// Zero; in place of padding, because the value is passed as bytes.
    pub reserved: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_filter_selects_everything() {
        assert!(selects(0, 0, 0));
    }

    #[test]
    fn either_end_is_enough_for_either() {
        assert!(selects(EITHER, EITHER, 0));
        assert!(selects(EITHER, 0, EITHER));
        assert!(!selects(EITHER, LOCAL, REMOTE));
    }

    #[test]
    fn an_end_counts_only_for_itself() {
        assert!(selects(LOCAL, LOCAL, 0));
        assert!(!selects(LOCAL, 0, LOCAL));
        assert!(selects(REMOTE, 0, REMOTE));
        assert!(!selects(REMOTE, REMOTE, 0));
    }

    #[test]
    fn kinds_are_anded() {
        assert!(selects(LOCAL | REMOTE, LOCAL, REMOTE));
        assert!(!selects(LOCAL | REMOTE, LOCAL, 0));
        assert!(!selects(EITHER | REMOTE, EITHER, 0));
    }

    #[test]
    fn what_takes_away_counts_on_its_side() {
        assert!(selects(NOT_EITHER, 0, 0) && selects(NOT_EITHER, EITHER, LOCAL));
        assert!(!selects(NOT_EITHER, NOT_EITHER, 0) && !selects(NOT_EITHER, 0, NOT_EITHER));
        assert!(!selects(NOT_LOCAL, NOT_LOCAL, 0) && selects(NOT_LOCAL, 0, NOT_LOCAL));
        assert!(!selects(NOT_REMOTE, 0, NOT_REMOTE) && selects(NOT_REMOTE, NOT_REMOTE, 0));
        assert!(!selects(LOCAL | NOT_LOCAL, LOCAL | NOT_LOCAL, 0));
        assert!(selects(LOCAL | NOT_REMOTE, LOCAL, 0) && !selects(LOCAL | NOT_REMOTE, LOCAL, NOT_REMOTE));
    }
}
