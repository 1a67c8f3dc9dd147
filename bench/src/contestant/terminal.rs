//! A terminal for who needs one, whose screen nobody sees.

use std::{fs::File, io::Read as _, process::Command, thread};

use anyhow::{Context as _, Result};
use rustix::{
    fs::{Mode, OFlags, open},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

const SIZE: Winsize = Winsize { ws_row: 40, ws_col: 160, ws_xpixel: 0, ws_ypixel: 0 };

/// The side of the terminal that a person would sit at.
pub(crate) struct Terminal(#[expect(dead_code, reason = "is there until it is closed")] File);

impl Terminal {
    /// Makes one, and makes it the program's, whose session takes it over when it starts.
    pub(crate) fn open(command: &mut Command) -> Result<Self> {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).context("making a terminal")?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        tcsetwinsize(&ours, SIZE)?;
        let name = ptsname(&ours, Vec::new())?;
        // It must not become ours: closing it would then end us with SIGHUP.
        let theirs = open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
        command.stdin(theirs.try_clone()?).stdout(theirs);
        let ours = File::from(ours);
        watch(ours.try_clone()?);
        Ok(Self(ours))
    }
}

/// Reads what is drawn and throws it away: a terminal that nobody reads blocks the writer.
fn watch(mut screen: File) {
    thread::spawn(move || {
        let mut unseen = vec![0; 1 << 16];
        while let Ok(1..) = screen.read(&mut unseen) {}
    });
}
