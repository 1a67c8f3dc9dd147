//! The other programs of the host, beside which tests have to pass.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, ChildStdout, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::command::as_root;

/// A noise, which ends when this goes out of scope: its standard input does.
pub(crate) struct Noise {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Noise {
    /// Starts it, and waits until everything in it happens.
    pub(crate) fn start(binary: &Path) -> Result<Self> {
        let mut command = as_root(binary);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("the noise")?;
        let out = child.stdout.take().context("a pipe")?;
        let mut noise = Self { child, out: BufReader::new(out) };
        let mut line = String::new();
        noise.out.read_line(&mut line)?;
        if line != "noise: ready\n" {
            bail!("the noise did not begin: {line}");
        }
        Ok(noise)
    }

    /// Ends it. It has to have gone on until now, and says what it did.
    pub(crate) fn end(mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the noise has ended by itself: {status}");
        }
        drop(self.child.stdin.take());
        let mut told = String::new();
        self.out.read_to_string(&mut told)?;
        print!("{told}");
        let status = self.child.wait()?;
        if !status.success() || !told.starts_with("noise: ") {
            bail!("the noise failed: {status}");
        }
        Ok(())
    }
}
