//! What a tracing program cannot ask of every kernel, and how user space knows whether it can.
//!
//! Not by the kernel's version: distributions bring such things to older kernels. The kernel's type
//! information lists the functions that it is built of.

/// A helper that older kernels do not offer to tracing programs; the index of its mark in the `HELPERS`
/// global.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Helper {
    /// The socket's cookie (5.12). Without it a socket is known by its address, which the next one gets
    /// as soon as it is gone: user space tells them apart by their births.
    SocketCookie,
    /// The current task, to read from (5.11). Without it what is read is copied.
    CurrentTask,
    /// The socket behind a file (5.11). Without it the file's own words have to do.
    SocketOfFile,
}

/// The functions behind [`Helper`]s in the kernel, in their order.
pub const HELPERS: [&str; 3] =
    ["bpf_get_socket_ptr_cookie", "bpf_get_current_task_btf", "bpf_sock_from_file"];
