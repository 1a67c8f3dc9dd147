//! A simulated remote host behind a tun device. Tests send its segments one by one.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr},
    os::fd::AsRawFd as _,
    process::Command,
};

use etherparse::{PacketBuilder, SlicedPacket, TransportSlice};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{patience::LIMIT, place::Place, program::run};

/// This side's address.
pub const HERE: Ipv4Addr = Ipv4Addr::new(10, 77, 99, 1);
/// The simulated host's address.
pub const THERE: Ipv4Addr = Ipv4Addr::new(10, 77, 99, 2);

/// Flags of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    pub syn: bool,
    pub ack: bool,
    pub fin: bool,
    pub rst: bool,
}

pub const SYN: Flags = Flags { syn: true, ack: false, fin: false, rst: false };
pub const ACK: Flags = Flags { syn: false, ack: true, fin: false, rst: false };
pub const SYN_ACK: Flags = Flags { syn: true, ack: true, fin: false, rst: false };
pub const FIN_ACK: Flags = Flags { syn: false, ack: true, fin: true, rst: false };
pub const RST_ACK: Flags = Flags { syn: false, ack: true, fin: false, rst: true };

/// A segment that this side has sent.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    pub port: u16,
    pub seq: u32,
    pub flags: Flags,
    /// The sequence numbers that it takes up: data, SYN and FIN.
    pub len: u32,
}

/// The simulated end of one connection.
pub struct Remote {
    tun: File,
    /// The simulated host's port.
    pub port: u16,
    /// This side's port; 0 until it is known.
    pub peer: u16,
    /// The next sequence number that the simulated host sends.
    pub seq: u32,
    /// The next sequence number that it expects from this side.
    pub ack: u32,
}

/// `struct ifreq`
#[repr(C)]
struct Request {
    name: [u8; 16],
    flags: libc::c_short,
    rest: [u8; 22],
}

/// Makes a tun device in the namespace, `tun0`: its packets are read from and written to this file.
pub(crate) fn tun(place: &Place) -> File {
    place.run(|| {
        let tun = File::options().read(true).write(true).open("/dev/net/tun").unwrap();
        let mut request = Request { name: [0; 16], flags: 0, rest: [0; 22] };
        request.name[..4].copy_from_slice(b"tun0");
        request.flags = libc::c_short::try_from(libc::IFF_TUN | libc::IFF_NO_PI).unwrap();
        // SAFETY: an `ifreq` of the size that the kernel reads and writes.
        let result = unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
        tun
    })
}

impl Remote {
    /// Makes a tun device in the namespace, with the simulated host behind it.
    pub fn new(place: &Place, port: u16) -> Self {
        let tun = tun(place);
        for words in ["addr add 10.77.99.1/24 dev tun0", "link set tun0 up"] {
            run(Command::new("ip").args(["-n", place.name()]).args(words.split(' ')));
        }
        Self { tun, port, peer: 0, seq: 1000, ack: 0 }
    }

    /// The simulated address and port.
    pub fn address(&self) -> SocketAddr {
        (THERE, self.port).into()
    }

    /// Waits for a segment with exactly these flags, and ignores others.
    pub fn expect(&mut self, flags: Flags) -> Segment {
        loop {
            let segment = self.receive(flags);
            if segment.flags == flags {
                self.peer = segment.port;
                self.ack = segment.seq.wrapping_add(segment.len);
                return segment;
            }
        }
    }

    fn receive(&mut self, awaited: Flags) -> Segment {
        loop {
            let patience = Timespec::try_from(LIMIT).unwrap();
            let ready = poll(&mut [PollFd::new(&self.tun, PollFlags::IN)], Some(&patience)).unwrap();
            assert!(ready > 0, "no segment with {awaited:?}");
            let mut packet = [0; 2048];
            let len = self.tun.read(&mut packet).unwrap();
            let Ok(SlicedPacket { transport: Some(TransportSlice::Tcp(tcp)), .. }) =
                SlicedPacket::from_ip(&packet[..len])
            else {
                continue;
            };
            let flags = Flags { syn: tcp.syn(), ack: tcp.ack(), fin: tcp.fin(), rst: tcp.rst() };
            let payload = u32::try_from(tcp.payload().len()).unwrap();
            return Segment {
                port: tcp.source_port(),
                seq: tcp.sequence_number(),
                flags,
                len: payload + u32::from(tcp.syn()) + u32::from(tcp.fin()),
            };
        }
    }

    /// Sends a segment that acknowledges everything received with [`Remote::expect`].
    pub fn send(&mut self, flags: Flags) {
        self.send_acking(flags, self.ack);
    }

    /// Sends data with the same acknowledgement.
    pub fn send_data(&mut self, data: &[u8]) {
        self.send_segment(ACK, self.ack, data);
    }

    /// Sends a SYN with data, which a server may take without waiting for the handshake (TCP Fast Open, RFC
    /// 7413).
    pub fn send_syn_data(&mut self, data: &[u8]) {
        self.send_segment(SYN, 0, data);
    }

    /// Sends a segment that acknowledges up to `ack`.
    pub fn send_acking(&mut self, flags: Flags, ack: u32) {
        self.send_segment(flags, ack, &[]);
    }

    fn send_segment(&mut self, flags: Flags, ack: u32, data: &[u8]) {
        let mut builder = PacketBuilder::ipv4(THERE.octets(), HERE.octets(), 64)
            .tcp(self.port, self.peer, self.seq, 65_000);
        if flags.ack {
            builder = builder.ack(ack);
        }
        if flags.syn {
            builder = builder.syn();
        }
        if flags.fin {
            builder = builder.fin();
        }
        if flags.rst {
            builder = builder.rst();
        }
        let mut packet = Vec::new();
        builder.write(&mut packet, data).unwrap();
        self.tun.write_all(&packet).unwrap();
        self.seq = self.seq.wrapping_add(u32::from(flags.syn) + u32::from(flags.fin));
        self.seq = self.seq.wrapping_add(u32::try_from(data.len()).unwrap());
    }
}
