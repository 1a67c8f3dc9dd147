//! A dump of `sock_diag` (sock_diag(7)), message by message.

use std::io;

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer, NetlinkHeader, NetlinkMessage,
};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_SOCK_DIAG};

/// The kernel fills buffers of up to 32 KiB.
const BUFFER: usize = 64 << 10;

/// A netlink socket in the network namespace in which it was opened.
pub(super) struct Diag {
    socket: Socket,
    buffer: Vec<u8>,
}

impl Diag {
    pub(super) fn open() -> io::Result<Self> {
        let socket = Socket::new(NETLINK_SOCK_DIAG)?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self { socket, buffer: vec![0; BUFFER] })
    }

    /// Asks for sockets, and hands over the payload of each message.
    pub(super) fn dump(&mut self, request: SockDiagMessage, each: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        let mut message = NetlinkMessage::new(header, request.into());
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        loop {
            let length = match self.socket.recv(&mut &mut self.buffer[..], 0) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                length => length?,
            };
            if messages(self.buffer.get(..length).unwrap_or_default(), each)? {
                return Ok(());
            }
        }
    }
}

/// Hands over the messages in what was received at once. Returns whether the last one was among them.
fn messages(mut bytes: &[u8], each: &mut dyn FnMut(&[u8])) -> io::Result<bool> {
    while !bytes.is_empty() {
        let message = NetlinkBuffer::new_checked(bytes).map_err(io::Error::other)?;
        match message.message_type() {
            NLMSG_DONE => return Ok(true),
            NLMSG_ERROR => return error(message.payload()).map(|()| true),
            _ => each(message.payload()),
        }
        let length = usize::try_from(message.length()).unwrap_or(usize::MAX).next_multiple_of(4);
        bytes = bytes.get(length..).unwrap_or_default();
    }
    Ok(false)
}

/// The error in a message, by its negative number; none for an acknowledgement.
fn error(payload: &[u8]) -> io::Result<()> {
    let number = payload.first_chunk().map_or(-libc::EBADMSG, |bytes| i32::from_ne_bytes(*bytes));
    if number == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(-number)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 16];
        bytes.extend_from_slice(payload);
        let length = u32::try_from(bytes.len()).unwrap();
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn read(bytes: &[u8]) -> (io::Result<bool>, Vec<Vec<u8>>) {
        let mut payloads = Vec::new();
        let result = messages(bytes, &mut |payload| payloads.push(payload.to_vec()));
        (result, payloads)
    }

    #[test]
    fn messages_are_taken_apart() {
        let two = [message(20, b"one"), message(20, b"three")].concat();
        let (result, payloads) = read(&two);
        assert_eq!((result.unwrap(), payloads), (false, vec![b"one".to_vec(), b"three".to_vec()]));
        let (result, payloads) = read(&[message(20, b"one"), message(NLMSG_DONE, &[0; 4])].concat());
        assert_eq!((result.unwrap(), payloads.len()), (true, 1));
    }

    #[test]
    fn errors_and_damage_are_told() {
        let refused = message(NLMSG_ERROR, &(-libc::EPERM).to_ne_bytes());
        assert_eq!(read(&refused).0.unwrap_err().raw_os_error(), Some(libc::EPERM));
        assert!(read(&message(NLMSG_ERROR, &[0; 4])).0.unwrap());
        assert!(read(&message(20, b"one")[..17]).0.is_err());
        assert!(read(&[0; 16]).0.is_err());
    }
}
