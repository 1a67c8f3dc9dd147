//! Starts contestants and ends them.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};

use super::{Contestant, Counts, Kind, terminal::Terminal};
use crate::{child::Child, interrupt};

/// How long a contestant may take to start.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Time for the kernel to free programs and a gigabyte of file after a contestant's end.
const FREEING: Duration = Duration::from_millis(100);

/// A contestant that is attached.
pub(crate) struct Running {
    child: Child,
    terminal: Option<Terminal>,
    kind: &'static Kind,
    /// From its start until it was attached, as far as that is known.
    pub ready: Duration,
}

impl Contestant {
    pub(super) fn run(&self, mut command: Command, scratch: &Path) -> Result<Running> {
        let terminal = if self.is_on_terminal {
            Some(Terminal::open(&mut command)?)
        } else {
            command.stdin(Stdio::null()).stdout(File::create(output(scratch))?);
            None
        };
        let mut child = Child::start(&mut command).with_context(|| format!("starting {}", self.name))?;
        let ready = child.wait_until_ready(TIMEOUT, |child| self.kind.ready.at(child))?;
        interrupt::sleep(self.kind.attaches_within)?;
        Ok(Running { child, terminal, kind: self.kind, ready })
    }
}

impl Running {
    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Ends it, and returns its counts.
    pub(crate) fn finish(self, scratch: &Path) -> Result<Counts> {
        let stderr = self.child.finish()?;
        drop(self.terminal);
        let output = output(scratch);
        if !output.exists() {
            File::create(&output)?;
        }
        let counts = (self.kind.counts)(&output, &stderr);
        fs::remove_file(output)?;
        thread::sleep(FREEING);
        counts
    }
}

fn output(scratch: &Path) -> PathBuf {
    scratch.join("out")
}
