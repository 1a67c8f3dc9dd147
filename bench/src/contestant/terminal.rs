//! A pseudo-terminal for contestants that need one.

use std::{fs::File, io::Read as _, process::Command, thread};

use anyhow::{Context as _, Result};
use rustix::{
    fs::{Mode, OFlags, open},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

const SIZE: Winsize = Winsize { ws_row: 40, ws_col: 160, ws_xpixel: 0, ws_ypixel: 0 };

/// The side of the terminal on which a person would sit.
pub(crate) struct Terminal(#[expect(dead_code, reason = "keeps the terminal open")] File);

impl Terminal {
    /// Makes a terminal, and gives it to the program. It becomes the terminal of the program's session.
    pub(crate) fn open(command: &mut Command) -> Result<Self> {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).context("making a terminal")?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        tcsetwinsize(&ours, SIZE)?;
        let name = ptsname(&ours, Vec::new())?;
        // It must not become the bench's terminal: closing it would then end the bench with SIGHUP.
        let theirs = open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
        command.stdin(theirs.try_clone()?).stdout(theirs);
        let ours = File::from(ours);
        watch(ours.try_clone()?);
        Ok(Self(ours))
    }
}

/// Reads and discards what is drawn: a terminal that nobody reads blocks the writer.
fn watch(mut screen: File) {
    thread::spawn(move || {
        let mut unseen = vec![0; 1 << 16];
        while let Ok(1..) = screen.read(&mut unseen) {}
    });
}
