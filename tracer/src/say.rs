//! Standard error, for people: readiness, warnings, the receipt.

use std::{
    fmt::Display,
    io::{self, Write as _},
};

/// Writes a line to standard error. If that is closed or full there is nobody left to tell.
pub fn say(message: impl Display) {
    let _ = writeln!(io::stderr(), "tracer: {message}");
}
