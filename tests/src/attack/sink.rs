//! Where a stream of tracer goes to.

use std::{
    fs::File,
    io::Write as _,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    path::PathBuf,
    process::Stdio,
};

/// Where a stream goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// A pipe that is read.
    Collect,
    /// `/dev/null`.
    Null,
    /// A device that is always full.
    Full,
    /// Nowhere: the descriptor is closed.
    Closed,
    /// A pipe that nobody reads.
    Unread,
    /// A pipe that is full and that nobody reads.
    Stuffed,
    /// A pipe whose reader has gone.
    Gone,
    /// A file, cut off first.
    File(PathBuf),
    /// A terminal, for all three streams.
    Terminal,
}

/// A sink that is open.
pub(super) struct Open {
    pub(super) stdio: Stdio,
    /// To be read to its end.
    pub(super) reader: Option<File>,
    /// To be held open, and not read.
    pub(super) held: Option<OwnedFd>,
}

impl Sink {
    pub(super) fn open(&self) -> Open {
        let (stdio, reader, held) = match self {
            Self::Collect => {
                let (reader, writer) = std::io::pipe().unwrap();
                (Stdio::from(writer), Some(File::from(OwnedFd::from(reader))), None)
            }
            Self::Null | Self::Closed => (Stdio::null(), None, None),
            Self::Full => (Stdio::from(File::options().write(true).open("/dev/full").unwrap()), None, None),
            Self::Unread => {
                let (reader, writer) = std::io::pipe().unwrap();
                (Stdio::from(writer), None, Some(reader.into()))
            }
            Self::Stuffed => {
                let (reader, mut writer) = std::io::pipe().unwrap();
                rustix::io::ioctl_fionbio(&writer, true).unwrap();
                // Small writes at last: after large ones there may be room for them.
                for size in [4096, 1] {
                    while writer.write(&vec![b'x'; size]).is_ok() {}
                }
                rustix::io::ioctl_fionbio(&writer, false).unwrap();
                (Stdio::from(writer), None, Some(reader.into()))
            }
            Self::Gone => (Stdio::from(std::io::pipe().unwrap().1), None, None),
            Self::File(path) => (Stdio::from(File::create(path).unwrap()), None, None),
            Self::Terminal => unreachable!("a terminal is opened for all streams at once"),
        };
        Open { stdio, reader, held }
    }
}

/// A terminal of 120 columns and 30 rows.
pub(super) struct Terminal {
    pub(super) user: File,
    pub(super) program: File,
}

impl Terminal {
    pub(super) fn open() -> Self {
        let size = libc::winsize { ws_row: 30, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };
        let (mut user, mut program) = (-1, -1);
        let (null, name) = (std::ptr::null(), std::ptr::null_mut());
        // SAFETY: the pointers are valid or null where that is allowed.
        let result = unsafe { libc::openpty(&raw mut user, &raw mut program, name, null, &raw const size) };
        assert_eq!(result, 0, "a terminal");
        // SAFETY: the call has just made these descriptors.
        let files = [user, program].map(|fd| File::from(unsafe { OwnedFd::from_raw_fd(fd) }));
        for file in &files {
            rustix::io::fcntl_setfd(file, rustix::io::FdFlags::CLOEXEC).unwrap();
        }
        let [user, program] = files;
        Self { user, program }
    }

    /// The settings of the terminal that a program may change and has to restore.
    pub(super) fn settings(&self) -> [u32; 4] {
        // SAFETY: all bytes zero are a value of this type.
        let mut settings: libc::termios = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is valid.
        assert_eq!(unsafe { libc::tcgetattr(self.program.as_raw_fd(), &raw mut settings) }, 0);
        [settings.c_iflag, settings.c_oflag, settings.c_cflag, settings.c_lflag]
    }
}
