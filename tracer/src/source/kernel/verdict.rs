//! What the verifier said.

/// How much of its log is worth a screen.
const LINES: usize = 12;

/// The end of its log, where the verdict stands.
#[must_use]
pub fn verdict(log: &str) -> String {
    let lines: Vec<_> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
