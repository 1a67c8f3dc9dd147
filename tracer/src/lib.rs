//! Every TCP state transition of a Linux host: whose connection, how long in which state, who closed first
//! and why.
//!
//! # Layout
//! The way of a fact is one direction, a room for each step; no step knows the next:
//!
//! `source -> track -> select -> aggregate -> view -> output`
//!
//! - [`cli`], [`config`] — raw arguments become a checked configuration; nothing behind sees the command line
//! - [`run`] — a capture from beginning to end; the loop that moves facts and bytes
//! - [`source`] — where facts come from: the running kernel, or a script
//! - [`facts`] — what comes through a source: the schema of a recording
//! - [`recording`] — how facts are kept in a file
//! - [`track`] — the story of each connection
//! - [`filter`], [`select`] — what is asked for; what is let through
//! - [`aggregate`] — counting, apart from any view
//! - [`view`] — what is shown, as bytes
//! - [`format`] — the table of columns, and a file for each format of lines
//! - [`explain`] — what each word means, in several languages
//! - [`output`] — writers of bytes and of messages
//! - [`tcp`], [`text`], [`time`] — words and small tools that all others use
//!
//! Time is that of the facts: nobody behind a source reads a clock.
//!
//! # Example
//! A capture of facts that are written down, as `tracer log -o csv` shows it:
//! ```
//! use clap::Parser as _;
//! use tracer::{
//!     cli::{Cli, Command},
//!     config,
//!     output::stdout::Output,
//!     run::{capture::capture, stop::{Signals, Stop}},
//!     source::script::Script,
//! };
//! use tracer_common::{Event, event::AF_INET, state};
//! use zerocopy::FromZeros as _;
//!
//! let mut event = Event::new_zeroed();
//! (event.time_ns, event.cookie, event.family) = (2_000_000_000, 1, AF_INET);
//! (event.old_state, event.new_state) = (state::CLOSE, state::SYN_SENT);
//! let script = Script::starting_at(1_000_000_000, 0).events([event]);
//!
//! let words = ["tracer", "log", "-o", "csv", "--columns", "time,old_state,new_state"];
//! let Some(Command::Log(args)) = Cli::parse_from(words).command else { unreachable!() };
//! let config = config::log(*args)?.capture;
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! let file = tempfile::NamedTempFile::new()?;
//! let outcome = runtime.block_on(async {
//!     let output = Output::to(file.reopen()?)?;
//!     Ok::<_, Box<dyn std::error::Error>>(
//!         capture(script, config, output, None, &mut Stop::new(Signals::new()?)).await?,
//!     )
//! })?;
//!
//! let lines = std::fs::read_to_string(file.path())?;
//! assert_eq!(lines, "time,old_state,new_state\n1970-01-01T00:00:01.000000000Z,CLOSE,SYN_SENT\n");
//! assert_eq!((outcome.receipt.seen, outcome.receipt.shown), (1, 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod aggregate;
pub mod cli;
pub mod config;
pub mod explain;
pub mod facts;
pub mod filter;
pub mod format;
pub mod output;
pub mod recording;
pub mod run;
pub mod sandbox;
pub mod select;
pub mod source;
pub mod tcp;
pub mod text;
pub mod time;
pub mod track;
pub mod view;
