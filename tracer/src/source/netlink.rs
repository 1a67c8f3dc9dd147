//! Asking the kernel for lists over netlink (netlink(7)), message by message.

use std::io;

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer, NetlinkHeader,
    NetlinkMessage, NetlinkPayload, NetlinkSerializable,
};
use netlink_sys::{Socket, SocketAddr};

/// The kernel fills buffers of up to 32 KiB.
const BUFFER: usize = 64 << 10;

/// How often a list that changes meanwhile is asked for.
const MOST_TRIES: usize = 32;

/// A netlink socket in the network namespace in which it was opened.
pub(super) struct Netlink {
    socket: Socket,
    buffer: Vec<u8>,
}

/// Whether the list changed while the kernel told it, so that parts may be missing or told twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dump {
    Whole,
    Interrupted,
}

impl Dump {
    /// That of two lists which belong together.
    pub(super) fn and(self, other: Self) -> Self {
        if self == Self::Whole { other } else { self }
    }
}

impl Netlink {
    /// Opens a socket for one of netlink's protocols.
    pub(super) fn open(protocol: isize) -> io::Result<Self> {
        let socket = Socket::new(protocol)?;
        socket.connect(&SocketAddr::new(0, 0))?;
        // Since 4.20; before, the kernel ignores what is asked for in particular, and tells all.
        let _ = socket.set_netlink_get_strict_chk(true);
        Ok(Self { socket, buffer: vec![0; BUFFER] })
    }

    /// Asks for a list, and hands over the payload of each message.
    pub(super) fn dump<T: NetlinkSerializable>(
        &mut self,
        request: T,
        each: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<Dump> {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(request));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        let mut dump = Dump::Whole;
        loop {
            let length = match self.socket.recv(&mut &mut self.buffer[..], 0) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                length => length?,
            };
            if messages(self.buffer.get(..length).unwrap_or_default(), &mut dump, each)? {
                return Ok(dump);
            }
        }
    }
}

/// Hands over the messages in what was received at once. Returns whether the last one was among them.
fn messages(
    mut bytes: &[u8],
    dump: &mut Dump,
    each: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<bool> {
    while !bytes.is_empty() {
        let message = NetlinkBuffer::new_checked(bytes).map_err(io::Error::other)?;
        if message.flags() & NLM_F_DUMP_INTR != 0 {
            *dump = Dump::Interrupted;
        }
        match message.message_type() {
            // Both begin with a number: that of an error, negative, or 0.
            NLMSG_DONE | NLMSG_ERROR => return error(message.payload()).map(|()| true),
            _ => each(message.payload())?,
        }
        let length = usize::try_from(message.length()).unwrap_or(usize::MAX).next_multiple_of(4);
        bytes = bytes.get(length..).unwrap_or_default();
    }
    Ok(false)
}

fn error(payload: &[u8]) -> io::Result<()> {
    match payload.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes)) {
        None => Err(io::ErrorKind::InvalidData.into()),
        Some(number) if number < 0 => Err(io::Error::from_raw_os_error(number.saturating_neg())),
        Some(_) => Ok(()),
    }
}

/// Asks until the list has not changed meanwhile. One that changes all the time is taken as it is.
pub(super) fn until_whole<T>(mut ask: impl FnMut() -> io::Result<(T, Dump)>) -> io::Result<(T, Dump)> {
    for _ in 1..MOST_TRIES {
        let (list, dump) = ask()?;
        if dump == Dump::Whole {
            return Ok((list, dump));
        }
        log::info!("what the kernel lists has changed meanwhile: asked again");
    }
    ask()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 16];
        bytes.extend_from_slice(payload);
        let length = u32::try_from(bytes.len()).unwrap();
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn read(bytes: &[u8]) -> (io::Result<bool>, Dump, Vec<Vec<u8>>) {
        let (mut payloads, mut dump) = (Vec::new(), Dump::Whole);
        let result = messages(bytes, &mut dump, &mut |payload| {
            payloads.push(payload.to_vec());
            Ok(())
        });
        (result, dump, payloads)
    }

    #[test]
    fn messages_are_taken_apart() {
        let two = [message(20, 0, b"one"), message(20, 0, b"three")].concat();
        let (result, dump, payloads) = read(&two);
        assert_eq!((result.unwrap(), dump), (false, Dump::Whole));
        assert_eq!(payloads, [b"one".to_vec(), b"three".to_vec()]);
        let (result, _, payloads) = read(&[message(20, 0, b"one"), message(NLMSG_DONE, 0, &[0; 4])].concat());
        assert_eq!((result.unwrap(), payloads.len()), (true, 1));
    }

    #[test]
    fn an_interruption_is_noticed_wherever_it_is_told() {
        for (first, last) in [(NLM_F_DUMP_INTR, 0), (0, NLM_F_DUMP_INTR)] {
            let bytes = [message(20, first, b"one"), message(NLMSG_DONE, last, &[0; 4])].concat();
            let (result, dump, _) = read(&bytes);
            assert_eq!((result.unwrap(), dump), (true, Dump::Interrupted));
        }
    }

    #[test]
    fn errors_and_damage_are_told() {
        for kind in [NLMSG_ERROR, NLMSG_DONE] {
            let refused = message(kind, 0, &(-libc::EPERM).to_ne_bytes());
            assert_eq!(read(&refused).0.unwrap_err().raw_os_error(), Some(libc::EPERM));
            assert!(read(&message(kind, 0, &[0; 4])).0.unwrap());
            assert!(read(&message(kind, 0, &i32::MIN.to_ne_bytes())).0.is_err());
            assert!(read(&message(kind, 0, b"")).0.is_err());
        }
        assert!(read(&message(20, 0, b"one")[..17]).0.is_err());
        assert!(read(&[0; 16]).0.is_err());
    }

    #[test]
    fn an_interrupted_list_is_asked_for_again_but_not_for_ever() {
        let asked = |interruptions: usize| {
            let mut count = 0;
            let (last, dump) = until_whole(|| {
                count += 1;
                Ok((count, if count > interruptions { Dump::Whole } else { Dump::Interrupted }))
            })
            .unwrap();
            (last, dump)
        };
        assert_eq!(asked(0), (1, Dump::Whole));
        assert_eq!(asked(3), (4, Dump::Whole));
        assert_eq!(asked(usize::MAX), (MOST_TRIES, Dump::Interrupted));
    }
}
