//! The running kernel as the source of events. Only here does `aya` appear.

pub mod aggregate;
pub mod btf;
pub mod buffer;
pub mod cgroups;
pub mod clock;
mod counts;
pub mod error;
mod hook;
pub mod layout;
pub mod live;
pub mod load;
pub mod namespaces;
pub mod optional;
mod polling;
pub mod preflight;
pub mod privileges;
pub mod rings;
pub mod sockets;
pub mod survey;
pub mod verdict;

/// The tracepoint: `sock:inet_sock_set_state`, in the kernel since 4.16.
pub const HOOK: &str = "inet_sock_set_state";

/// What ties a program to its place, until it is dropped.
type Link = Box<dyn Send>;
