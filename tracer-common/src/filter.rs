//! Filters on what is constant over a connection. The kernel runs them on every event; user space
//! runs the same code where the kernel could not decide.
//!
//! A filter on ports or addresses marks each value that it names with the ends at which the value
//! counts. Deciding is then two look-ups and [`selects`], whatever the size of the sets.

/// The value counts at either end (`--port`, `--addr`).
pub const EITHER: u8 = 1 << 0;
/// The value counts at the local end.
pub const LOCAL: u8 = 1 << 1;
/// The value counts at the remote end.
pub const REMOTE: u8 = 1 << 2;

/// Whether a connection passes, given the marks that a filter put on its two ends.
///
/// `active` holds the kinds of mark that are in use. Different kinds are ANDed; values of one kind
/// are ORed.
#[inline(always)]
#[must_use]
pub const fn selects(active: u8, local_marks: u8, remote_marks: u8) -> bool {
    let met = ((local_marks | remote_marks) & EITHER) | (local_marks & LOCAL) | (remote_marks & REMOTE);
    active & !met == 0
}

/// Kinds of address that `--ipv4` and `--ipv6` choose from.
pub mod family {
    /// An IPv4 socket.
    pub const IPV4: u8 = 1 << 0;
    /// An IPv6 socket with IPv6 addresses.
    pub const IPV6: u8 = 1 << 1;
    /// An IPv6 socket with v4-mapped addresses.
    pub const MAPPED: u8 = 1 << 2;
    /// Everything.
    pub const ANY: u8 = IPV4 | IPV6 | MAPPED;

    /// The kind of a socket of address family `af` with the given local or remote address.
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

/// How many ports there are, and so the size of the kernel's table of port marks.
pub const PORTS: usize = 1 << 16;

/// Which filters are in use: read-only for the kernel, whose verifier then removes the
/// code of those that are not.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(zerocopy::IntoBytes, zerocopy::Immutable))]
pub struct Active {
    /// The lowest and the highest port that counts at the local end; the other way round if none does.
    pub local_ports: [u16; 2],
    /// Kinds of mark in use on ports.
    pub ports: u8,
    /// Kinds of mark in use on addresses.
    pub addrs: u8,
    /// Kinds of address that pass; [`family::ANY`] for no filter.
    pub families: u8,
    /// 1 if only listed network namespaces pass.
    pub netns: u8,
    /// 1 if user space tells stories: it then gets what it needs for them, and filters again.
    /// Beginnings whose port is not chosen yet and may be one asked for, what follows them, and
    /// listeners.
    pub story: u8,
    /// Zero. The type may have no padding, to be handed over as bytes.
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
}
