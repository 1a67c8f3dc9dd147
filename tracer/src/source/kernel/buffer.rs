//! The size of the buffer between kernel and tracer, which consists of one ring for each CPU.

use std::{fmt, str::FromStr};

use bytesize::ByteSize;
use rustix::param::page_size;
use tracer_common::event::RECORD_SIZE;

use crate::text::escape::escaped;

/// A size of a ring buffer that the kernel accepts: a power of two, at least a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferSize(u32);

/// Why a size is invalid.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is not a number with a unit.
    #[error("`{0}` is not a size: give a number with a unit, such as 64M")]
    NotASize(String),
    /// It is less than a page.
    #[error("a buffer of {0} is too small: 4 KiB is the least, 64 MiB the default")]
    TooSmall(String),
    /// It is more than the kernel accepts.
    #[error("a buffer of {0} is too large: 2 GiB is the most that the kernel takes")]
    TooLarge(String),
}

const MIN_BYTES: u64 = 4096;
const MAX_BYTES: u64 = 1 << 31;

/// Holds one second of 460,000 transitions per second, which is about what two cores can do if they do
/// nothing else.
const DEFAULT: BufferSize = BufferSize(64 << 20);

/// The reader is woken early each time that a ring has filled by this much, or by half of its size if that
/// is less. It is more than a busy core produces until the reader reads by itself.
const WAKE_BYTES: u64 = 8 << 20;

impl Default for BufferSize {
    fn default() -> Self {
        DEFAULT
    }
}

impl BufferSize {
    /// The size in bytes.
    #[must_use]
    pub const fn bytes(self) -> u32 {
        self.0
    }

    /// How many events fit into it.
    #[must_use]
    pub const fn events(self) -> u64 {
        self.0 as u64 / RECORD_SIZE
    }

    /// The size of one of `rings` rings (a power of two), if this is the size of all together. It is at
    /// least a page, even if all together are then larger.
    #[must_use]
    pub fn share(self, rings: u32) -> Self {
        let page = u32::try_from(page_size()).unwrap_or(self.0);
        Self((self.0 / rings).max(page))
    }

    /// By how many bytes a ring of this size fills before the reader is woken early.
    #[must_use]
    pub fn wake_bytes(self) -> u64 {
        WAKE_BYTES.min(u64::from(self.0) / 2)
    }
}

/// A size that the user asked for, and the size that is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What the user wrote.
    pub asked: String,
    /// Whether the size was rounded up.
    pub is_rounded: bool,
    /// The size, rounded up to a power of two.
    pub size: BufferSize,
}

impl FromStr for Request {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let asked: ByteSize = text.parse().map_err(|_| Error::NotASize(escaped(text.as_bytes())))?;
        match asked.as_u64() {
            bytes if bytes < MIN_BYTES => Err(Error::TooSmall(text.to_owned())),
            bytes if bytes > MAX_BYTES => Err(Error::TooLarge(text.to_owned())),
            bytes => {
                let rounded = u32::try_from(bytes.next_power_of_two());
                rounded
                    .map(|size| Self {
                        asked: text.to_owned(),
                        is_rounded: u64::from(size) != bytes,
                        size: BufferSize(size),
                    })
                    .map_err(|_| Error::TooLarge(text.to_owned()))
            }
        }
    }
}

impl fmt::Display for BufferSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            kib if kib < 1 << 20 => write!(f, "{} KiB", kib >> 10),
            mib if mib < 1 << 30 => write!(f, "{} MiB", mib >> 20),
            gib => write!(f, "{} GiB", gib >> 30),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(text: &str) -> Result<String, Error> {
        text.parse::<Request>().map(|request| request.size.to_string())
    }

    #[test]
    fn sizes_are_rounded_up() {
        assert_eq!(size("64M").as_deref(), Ok("64 MiB"));
        assert_eq!(size("64MiB").as_deref(), Ok("64 MiB"));
        assert_eq!(size("65MiB").as_deref(), Ok("128 MiB"));
        assert_eq!(size("4096").as_deref(), Ok("4 KiB"));
        assert_eq!(size("2GiB").as_deref(), Ok("2 GiB"));
        assert!(!"64MiB".parse::<Request>().unwrap().is_rounded);
        assert!("64M".parse::<Request>().unwrap().is_rounded);
    }

    #[test]
    fn each_ring_gets_its_share_but_at_least_a_page() {
        assert_eq!(DEFAULT.share(1), DEFAULT);
        assert_eq!(DEFAULT.share(8), BufferSize(8 << 20));
        assert_eq!(BufferSize(4096).share(64).bytes() as usize, page_size());
    }

    #[test]
    fn sizes_that_the_kernel_refuses_are_errors() {
        assert!(matches!(size("1"), Err(Error::TooSmall(_))));
        assert!(matches!(size("0"), Err(Error::TooSmall(_))));
        assert!(matches!(size("1TB"), Err(Error::TooLarge(_))));
        assert!(matches!(size("3GiB"), Err(Error::TooLarge(_))));
        for text in ["", "-1", "M", "64Q", "nan", "inf"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
