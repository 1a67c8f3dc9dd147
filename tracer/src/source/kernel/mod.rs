//! The running kernel as a source of facts. Only this module uses `aya`.
//!
//! # Layout
//! - [`live`]: the source itself; `held`: facts that wait for events; [`aggregate`]: counting in the kernel
//!   (`summary --in-kernel`)
//! - [`preflight`], [`limits`], `surroundings`, [`privileges`]: checks before loading; giving capabilities up; [`faults`]:
//!   what is wrong with this kernel
//! - [`btf`], [`layout`]: the kernel's types, and where the programs find what they read; `made_btf`: types that
//!   tests make
//! - [`load`], `hook`, [`optional`], `attach_point`, `uninterrupted`, [`verdict`]: loading and attaching programs
//! - [`buffer`], [`rings`], `buffer_use`, `counts`: ring buffers, how full they are, and what was lost on their way
//! - [`survey`], `surveyor`, `whereabouts`, [`sockets`], `sock_diag`, [`namespaces`], `mounts`, `polling`: snapshots and
//!   samples of sockets; `ages`: what `tracer list` takes of them; `gauges`, `proc_net`: what the kernel counts in a namespace
//! - [`names`], [`cgroups`], [`containers`], `command_lines`, `devices`, [`hosts`], [`users`], [`clock`]: names on this host, and of others; its clocks

pub(in crate::source) mod ages;
pub mod aggregate;
mod attach_point;
pub mod btf;
mod btf_format;
pub mod buffer;
mod buffer_use;
pub mod cgroups;
pub mod clock;
mod command_lines;
pub mod containers;
mod counts;
pub(in crate::source) mod devices;
pub mod error;
pub mod faults;
mod gauges;
mod held;
mod hook;
pub mod host;
pub mod hosts;
pub mod layout;
pub mod limits;
pub mod live;
pub mod load;
mod mounts;
pub mod names;
pub mod namespaces;
pub mod optional;
mod polling;
pub mod preflight;
pub mod privileges;
mod proc_net;
pub(in crate::source) mod processes;
pub mod rings;
mod sock_diag;
pub mod sockets;
pub mod surroundings;
pub mod survey;
mod surveyor;
mod uninterrupted;
pub mod users;
pub mod verdict;
mod whereabouts;

#[cfg(test)]
mod made_btf;

/// The tracepoint: `sock:inet_sock_set_state`, in the kernel since 4.16.
pub const HOOK: &str = "inet_sock_set_state";

/// Keeps a program attached until it is dropped.
type Link = Box<dyn Send>;
