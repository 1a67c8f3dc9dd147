//! The verifier's log.

/// How many lines of the log are shown.
const LAST_LINES: usize = 12;

/// The last lines of the verifier's log, which say why it refused the program, as one line.
#[must_use]
pub fn verdict(log: &str) -> String {
    let lines: Vec<_> = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join(" | ")
}
