//! Socket options that no crate offers.

use std::{
    io,
    os::fd::{AsFd, AsRawFd as _},
};

/// Sets an integer option of `IPPROTO_TCP`.
pub fn set_tcp(socket: &impl AsFd, name: libc::c_int, value: libc::c_int) {
    set(socket, libc::IPPROTO_TCP, name, &value).unwrap_or_else(|error| panic!("option {name}: {error}"));
}

/// Sets an option to a value of the type that it has in C.
pub fn set<Value: Copy>(
    socket: &impl AsFd,
    level: libc::c_int,
    name: libc::c_int,
    value: &Value,
) -> io::Result<()> {
    let size = libc::socklen_t::try_from(size_of_val(value)).unwrap();
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: a value of the size that is given.
    let result = unsafe { libc::setsockopt(fd, level, name, std::ptr::from_ref(value).cast(), size) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
