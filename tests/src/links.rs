//! Two links between two namespaces, with the same addresses on both.

use std::process::Command;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::{place::Place, program::run};

/// The devices of the links, which have these names at both ends.
pub const DEVICES: [&str; 2] = ["wire0", "wire1"];

/// Two namespaces with two links between them: on both links 10.78.0.1 and fe80::1 in the first one, 10.78.0.2 and
/// fe80::2 in the second one.
pub fn two_links() -> (Place, Place) {
    let (left, right) = (Place::new(), Place::new());
    link(&left, &right, &DEVICES);
    (left, right)
}

/// Makes links with these addresses between two namespaces. The devices have the same names at both ends.
pub fn link(left: &Place, right: &Place, devices: &[&str]) {
    for device in devices {
        let (left_name, right_name) = (left.name(), right.name());
        ip(&format!("link add {device} netns {left_name} type veth peer name {device} netns {right_name}"));
        for (place, host) in [(left, 1), (right, 2)] {
            let name = place.name();
            ip(&format!("-n {name} link set {device} addrgenmode none"));
            ip(&format!("-n {name} link set {device} up"));
            ip(&format!("-n {name} addr add fe80::{host}/64 dev {device} nodad"));
            ip(&format!("-n {name} addr add 10.78.0.{host}/24 dev {device}"));
        }
    }
}

/// Runs `ip` with arguments that are split at blanks.
pub fn ip(arguments: &str) {
    run(Command::new("ip").args(arguments.split(' ')));
}

/// A device's index in its namespace.
pub fn index(place: &Place, device: &str) -> u32 {
    let out = run(Command::new("ip").args(["-n", place.name(), "-o", "link", "show", "dev", device]));
    out.split(':').next().expect("an index").parse().unwrap()
}

/// A socket that is bound to a device and to an address.
pub fn bound(place: &Place, device: &str, address: &SockAddr) -> Socket {
    place.run(|| {
        let family = if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
        let socket = Socket::new(family, Type::STREAM, None).unwrap();
        socket.bind_device(Some(device.as_bytes())).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.bind(address).unwrap();
        socket
    })
}
