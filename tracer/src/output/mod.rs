//! Standard output and standard error.
//!
//! # Layout
//! - [`stdout`]: the output, written in large batches on a separate thread
//! - [`http`]: pages over HTTP; [`otlp`]: pages that are sent to a receiver; [`usage`]: what this process uses
//! - [`tls`]: https for both
//! - [`merge`]: lines of several captures, brought into the order of their times
//! - [`stderr`]: messages for the user: readiness, warnings, the receipt
//! - [`file`]: files that appear when they are whole; `folder`: the way to their folder
//! - [`files`]: the files of an export; [`progress`]: how far it is
//! - `lossy`: lines that nobody waits for
//! - `write`: one write, for both; [`refusal`]: writes that the system refuses, and what to do about it
//!
//! # Example
//! ```
//! use tracer::output::stdout::Output;
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! let file = tempfile::NamedTempFile::new()?;
//! let mut output = Output::to(file.reopen()?)?;
//! let (mut bytes, lines) = (b"one\ntwo\n".to_vec(), 2);
//! output.start(&mut bytes, lines);
//! // The caller goes on with an empty buffer, while another thread writes.
//! assert!(bytes.is_empty() && output.is_busy());
//! output.patience().await?;
//! assert_eq!((output.written(), std::fs::read(file.path())?), (2, b"one\ntwo\n".to_vec()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod file;
pub mod files;
mod folder;
pub mod http;
mod lossy;
pub mod merge;
pub mod otlp;
pub mod progress;
pub mod refusal;
pub mod stderr;
pub mod stdout;
pub mod tls;
pub mod usage;
pub mod write;
