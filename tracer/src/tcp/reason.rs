//! The reasons for which connections end, and their names.

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $word:literal;)*) => {
        /// Why a connection ended for its processes.
        ///
        /// ```
        /// use tracer::tcp::reason::Reason;
        ///
        /// assert_eq!(Reason::FinLocal.name(), "fin-local");
        /// assert!(Reason::FinLocal.is_orderly() && !Reason::Refused.is_orderly());
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// All reasons.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name in output and filters.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// Whether the connection closed in order: both sides sent a FIN.
            #[must_use]
            pub const fn is_orderly(self) -> bool {
                matches!(self, Self::FinLocal | Self::FinRemote | Self::FinBoth)
            }

            /// Whether an established connection ended by an RST.
            #[must_use]
            pub const fn is_reset(self) -> bool {
                matches!(
                    self,
                    Self::ResetRemote
                        | Self::ResetRemoteAfterFin
                        | Self::ResetLocal
                        | Self::ResetLocalLinger
                        | Self::ResetLocalUnread
                        | Self::ResetLocalLateData
                )
            }
        }
    };
}

reasons! {
    /// Closed in order, this side first.
    FinLocal = "fin-local";
    /// Closed in order, the peer first.
    FinRemote = "fin-remote";
    /// Closed in order, both sides at once (RFC 9293, figure 13).
    FinBoth = "fin-both";
    /// The peer sent an RST.
    ResetRemote = "reset-remote";
    /// The peer closed in order, this side wrote on, and the peer sent an RST.
    ResetRemoteAfterFin = "reset-remote-after-fin";
    /// Aborted by `close` with `SO_LINGER` 0.
    ResetLocalLinger = "reset-local-linger";
    /// Aborted by `close` with unread data (RFC 2525, 2.17).
    ResetLocalUnread = "reset-local-unread";
    /// The peer's data came after this side had closed, and was answered with an RST.
    ResetLocalLateData = "reset-local-late-data";
    /// Aborted by this side in another way, such as `connect(AF_UNSPEC)`.
    ResetLocal = "reset-local";
    /// The peer answered the SYN with an RST.
    Refused = "refused";
    /// No SYN was answered until the kernel gave up.
    TimeoutConnect = "timeout-connect";
    /// This side gave up after at least one SYN was sent again.
    Unanswered = "unanswered";
    /// No local port was free, or the bound one is taken (EADDRNOTAVAIL).
    NoFreePort = "no-free-port";
    /// Data was not acknowledged in time.
    TimeoutRetransmit = "timeout-retransmit";
    /// Keepalive probes were not answered.
    TimeoutKeepalive = "timeout-keepalive";
    /// The peer did not finish the close in time.
    TimeoutClose = "timeout-close";
    /// An ICMP error, or no route.
    Unreachable = "unreachable";
    /// Aborted by an administrator, for example with `ss -K`.
    Aborted = "aborted";
    /// Closed by this side while connecting, before a SYN was sent again.
    Cancelled = "cancelled";
    /// Ended before a process accepted it, for example because its listener closed.
    NeverAccepted = "never-accepted";
    /// The reason is not known.
    Unknown = "unknown";
}
