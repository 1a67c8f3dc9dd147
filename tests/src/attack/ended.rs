//! How a run ended.

/// How a run ended.
#[derive(Debug, Default)]
pub struct Ended {
    /// What was collected of standard output.
    pub out: Vec<u8>,
    /// What was collected of standard error.
    pub err: Vec<u8>,
    /// The exit status as a shell shows it; `None` if the process could not be started.
    pub status: Option<i32>,
    /// Why it could not be started.
    pub refused: String,
    /// Whether it had to be killed at the deadline.
    pub hung: bool,
    /// Whether a process stayed behind.
    pub left_process: bool,
    /// Whether the terminal had other settings than before.
    pub left_terminal: bool,
    /// The most memory that it held, in KiB.
    pub peak_kib: u64,
}

impl Ended {
    /// What it said, for a report: the beginning and the end of standard output, the end of standard error.
    pub fn shown(&self) -> String {
        let text = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            let lines = text.lines().map(|line| format!("    {:.250}", line.escape_debug().to_string()));
            lines.collect::<Vec<_>>().join("\n")
        };
        let (begins, rest) = self.out.split_at(self.out.len().min(600));
        let end = |bytes: &[u8], most: usize| text(&bytes[bytes.len().saturating_sub(most)..]);
        format!(
            "  stdout begins:\n{}\n  stdout ends:\n{}\n  stderr ends:\n{}",
            text(begins),
            end(rest, 800),
            end(&self.err, 2500)
        )
    }
}
