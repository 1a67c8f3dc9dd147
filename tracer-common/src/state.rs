//! TCP states as Linux numbers them (`include/net/tcp_states.h`), which is the same on all kernels
//! since 4.4.

/// Data flows both ways.
pub const ESTABLISHED: u8 = 1;
/// A client has sent its SYN.
pub const SYN_SENT: u8 = 2;
/// The handshake's last ACK is missing, or being processed.
pub const SYN_RECV: u8 = 3;
/// Our FIN is sent and not acknowledged.
pub const FIN_WAIT1: u8 = 4;
/// Our FIN is acknowledged; the peer has not closed its side.
pub const FIN_WAIT2: u8 = 5;
/// Both sides closed; waiting for stray segments to die.
pub const TIME_WAIT: u8 = 6;
/// No connection.
pub const CLOSE: u8 = 7;
/// The peer has closed; the local process has not.
pub const CLOSE_WAIT: u8 = 8;
/// The peer closed first; our FIN is sent and not acknowledged.
pub const LAST_ACK: u8 = 9;
/// Waiting for connections.
pub const LISTEN: u8 = 10;
/// Both sides sent a FIN at the same time.
pub const CLOSING: u8 = 11;
/// A half-open connection, which has no socket of its own yet.
pub const NEW_SYN_RECV: u8 = 12;
