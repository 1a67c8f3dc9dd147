//! Helpers that older kernels do not offer to tracing programs, and how user space finds out.
//!
//! Not from the kernel's version, because distributions bring new helpers to old kernels: the kernel's type
//! information (BTF) lists its functions.

/// A helper that older kernels do not offer to tracing programs; the index of its flag in the `HELPERS`
/// global, which is 1 if the running kernel has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Helper {
    /// `bpf_get_socket_cookie` (since 5.12). Without it a socket is known by its address, which the next
    /// socket gets as soon as it is free; user space tells them apart by the transitions that begin a
    /// connection.
    SocketCookie,
    /// `bpf_get_current_task_btf` (since 5.11): the current task as a pointer to load through. Without it
    /// members of the task are copied with `bpf_probe_read_kernel`.
    CurrentTask,
    /// `bpf_sock_from_file` (since 5.11): the socket of a file. Without it members of the file are read.
    SocketOfFile,
}

/// The kernel functions of the [`Helper`]s, in their order.
pub const HELPERS: [&str; 3] =
    ["bpf_get_socket_ptr_cookie", "bpf_get_current_task_btf", "bpf_sock_from_file"];
