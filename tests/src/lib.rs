//! Shared code of the tests that run tracer on the real kernel.
//!
//! Everything here panics when it cannot do its work: a test that cannot run has failed.
//!
//! # Layout
//! - [`tracer`], [`program`], [`screen`]: run tracer and other programs, also in a terminal
//! - [`event`], [`story`], [`receipt`]: parse tracer's JSON output and its receipt
//! - [`place`], [`links`], [`processors`]: network namespaces to test in, links between them, CPU affinity
//! - [`wire`]: a link that takes its time
//! - [`nginx`]: a web server; [`postgres`]: a database; [`traffic`], [`remote`], [`forged`]: make connections, with the kernel's own TCP or
//!   with hand-made segments
//! - [`bpftrace`], [`tracefs`], [`facts`]: independent traces, and how to compare them with tracer
//! - [`sockets`], [`listed`]: sockets of all kinds and states; what `tracer list`, `ss` and netstat say of them
//! - [`figures`]: how well owners are told
//! - [`incidents`]: a namespace with a tracer of resets and retransmissions
//! - [`watch`]: what `top`, a summary and a log tell of an incident
//! - [`attack`]: hostile situations, for `cargo xtask attack`
//! - [`engines`]: DuckDB and others, which read files of `tracer export`; [`agreement`]: a summary beside what DuckDB counts
//! - [`browser`]: Chromium, which opens pages of `tracer report`; [`reported`]: the recordings and pages
//! - [`prometheus`]: a Prometheus; [`otlp`]: a receiver of OTLP; [`certificates`]: an authority for https
//! - [`types`]: changed type information (BTF), to imitate other kernels
//! - [`served`]: `tracer serve`, and what it answers; [`disk`]: file systems that fill up and go away
//! - [`patience`]: waits for a condition; [`cgroups`]: where they are
//! - [`option`]: socket options

pub mod agreement;
pub mod attack;
pub mod bpftrace;
pub mod browser;
pub mod certificates;
pub mod cgroups;
pub mod disk;
pub mod engines;
pub mod event;
pub mod facts;
pub mod figures;
pub mod forged;
pub mod incidents;
pub mod links;
pub mod listed;
pub mod nginx;
pub mod option;
pub mod otlp;
pub mod patience;
pub mod place;
pub mod postgres;
pub mod processors;
pub mod program;
pub mod prometheus;
pub mod receipt;
pub mod remote;
pub mod reported;
pub mod screen;
pub mod served;
pub mod sockets;
pub mod story;
pub mod tracefs;
pub mod tracer;
pub mod traffic;
pub mod types;
pub mod watch;
pub mod wire;
