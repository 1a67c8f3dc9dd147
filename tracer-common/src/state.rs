//! TCP states (RFC 9293, 3.3.2) with the numbers of Linux (`include/net/tcp_states.h`), which are the same on
//! all kernels since 4.4.

/// Open: data flows in both directions.
pub const ESTABLISHED: u8 = 1;
/// SYN-SENT: this side has sent a SYN.
pub const SYN_SENT: u8 = 2;
/// SYN-RECEIVED on a full socket. Since 4.4 a server's connection gets one only with the last ACK of the
/// handshake, so it passes within microseconds, except with TCP Fast Open (RFC 7413) and simultaneous open.
pub const SYN_RECV: u8 = 3;
/// FIN-WAIT-1: this side closed first; its FIN is not acknowledged.
pub const FIN_WAIT1: u8 = 4;
/// FIN-WAIT-2: this side's FIN is acknowledged; the peer has not closed.
pub const FIN_WAIT2: u8 = 5;
/// TIME-WAIT: both sides closed; old segments may still arrive (RFC 9293, 3.6.1). In Linux 60 s.
pub const TIME_WAIT: u8 = 6;
/// CLOSED: no connection.
pub const CLOSE: u8 = 7;
/// CLOSE-WAIT: the peer closed first; the local process has not closed.
pub const CLOSE_WAIT: u8 = 8;
/// LAST-ACK: the peer closed first; this side's FIN is not acknowledged.
pub const LAST_ACK: u8 = 9;
/// LISTEN: a listener, which waits for connections.
pub const LISTEN: u8 = 10;
/// CLOSING: both sides closed at the same time; this side's FIN is not acknowledged.
pub const CLOSING: u8 = 11;
/// SYN-RECEIVED on a request socket: a half-open connection, which has no full socket (since 4.4).
pub const NEW_SYN_RECV: u8 = 12;
