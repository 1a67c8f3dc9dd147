//! The verifier's log.

/// How many lines of the log are shown.
const LAST_LINES: usize = 12;

/// The last lines of the verifier's log, which say why it refused the program.
#[must_use]
pub fn verdict(log: &str) -> String {
    let lines: Vec<_> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}
