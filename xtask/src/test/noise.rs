//! Other traffic on the host: the tests have to pass in spite of it.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, ChildStdout, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::command::as_root;

/// The running noise program. It ends when its standard input does, at the latest when this is dropped.
pub(crate) struct Noise {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Noise {
    /// Starts it, and waits until all its traffic is under way.
    pub(crate) fn start(binary: &Path) -> Result<Self> {
        let mut command = as_root(binary);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("the noise")?;
        let out = child.stdout.take().context("a pipe")?;
        let mut noise = Self { child, out: BufReader::new(out) };
        let mut line = String::new();
        noise.out.read_line(&mut line)?;
        if line != "noise: ready\n" {
            bail!("the noise did not start: {line}");
        }
        Ok(noise)
    }

    /// Ends it, and prints what it did. It is an error if it ended earlier by itself.
    pub(crate) fn end(mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the noise has ended by itself: {status}");
        }
        drop(self.child.stdin.take());
        let mut output = String::new();
        self.out.read_to_string(&mut output)?;
        print!("{output}");
        let status = self.child.wait()?;
        if !status.success() || !output.starts_with("noise: ") {
            bail!("the noise failed: {status}");
        }
        Ok(())
    }
}
