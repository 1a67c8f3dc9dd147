//! Why a connection ended: the table of reasons and their words.

use std::str::FromStr;

use crate::text::escape::escaped;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $word:literal;)*) => {
        /// Why a connection ended for its processes.
        ///
        /// ```
        /// use tracer::tcp::reason::Reason;
        ///
        /// assert_eq!("fin-local".parse(), Ok(Reason::FinLocal));
        /// assert!(Reason::FinLocal.is_orderly() && !Reason::Refused.is_orderly());
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// As the interface spells it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// Whether both sides have sent their FIN.
            #[must_use]
            pub const fn is_orderly(self) -> bool {
                matches!(self, Self::FinLocal | Self::FinRemote | Self::FinBoth)
            }
        }
    };
}

reasons! {
    /// Closed in order, this side first.
    FinLocal = "fin-local";
    /// Closed in order, the peer first.
    FinRemote = "fin-remote";
    /// Both closed at once (RFC 9293, figure 13).
    FinBoth = "fin-both";
    /// The peer sent RST.
    ResetRemote = "reset-remote";
    /// Aborted by closing with `SO_LINGER` 0.
    ResetLocalLinger = "reset-local-linger";
    /// Aborted by closing with unread data (RFC 2525, 2.17).
    ResetLocalUnread = "reset-local-unread";
    /// Aborted by this side in another way, such as `connect(AF_UNSPEC)`.
    ResetLocal = "reset-local";
    /// The peer answered the SYN with RST.
    Refused = "refused";
    /// Nobody answered the SYN.
    TimeoutConnect = "timeout-connect";
    /// Data was not acknowledged in time.
    TimeoutRetransmit = "timeout-retransmit";
    /// Keepalive probes were not answered.
    TimeoutKeepalive = "timeout-keepalive";
    /// The peer never finished the close.
    TimeoutClose = "timeout-close";
    /// An ICMP error, or no route.
    Unreachable = "unreachable";
    /// Aborted administratively, as by `ss -K`.
    Aborted = "aborted";
    /// Closed by this side while connecting.
    Cancelled = "cancelled";
    /// Died with its listener, before anybody had accepted it.
    NeverAccepted = "never-accepted";
    /// None of these.
    Unknown = "unknown";
}

/// A word that names no reason.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a reason: give one of {all}", all = Reason::ALL.iter().map(|reason| reason.name()).collect::<Vec<_>>().join(", "))]
pub struct Error(String);

impl FromStr for Reason {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let found = Self::ALL.iter().find(|reason| reason.name() == text.trim());
        found.copied().ok_or_else(|| Error(escaped(text.as_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_reasons() {
        assert_eq!("reset-remote".parse(), Ok(Reason::ResetRemote));
        assert!("because".parse::<Reason>().is_err());
    }
}
