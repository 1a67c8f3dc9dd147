//! Socket options that no crate offers.

use std::os::fd::{AsFd, AsRawFd as _};

/// Sets an integer option of `IPPROTO_TCP`.
pub fn set_tcp(socket: &impl AsFd, name: libc::c_int, value: libc::c_int) {
    let size = libc::socklen_t::try_from(size_of_val(&value)).unwrap();
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: an integer of the size that is given.
    let result = unsafe { libc::setsockopt(fd, libc::IPPROTO_TCP, name, (&raw const value).cast(), size) };
    assert_eq!(result, 0, "option {name}: {}", std::io::Error::last_os_error());
}
