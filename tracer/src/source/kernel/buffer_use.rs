//! How full the ring buffers are.
//!
//! The kernel shows how far a ring has been written and read in two pages, which anybody with the map may map
//! (`ringbuf_map_mmap_kern` in kernel/bpf/ringbuf.c, Linux 5.8).

use std::{
    io,
    os::fd::BorrowedFd,
    ptr::{NonNull, null_mut},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use rustix::{
    mm::{MapFlags, ProtFlags, mmap, munmap},
    param::page_size,
};

use crate::facts::source_counts::BufferUse;

/// A peak is remembered for at least this long, and for at most twice as long.
const REMEMBERED: Duration = Duration::from_secs(60);

/// A position in a ring, in bytes since its beginning. It is an `unsigned long` of the kernel.
struct Position(NonNull<AtomicU64>);

// SAFETY: the page stays mapped until this is dropped, and it is only read, atomically.
unsafe impl Send for Position {}

impl Position {
    /// Maps the page of a ring in which it is.
    fn map(ring: BorrowedFd<'_>, page: u64) -> io::Result<Self> {
        let size = page_size();
        let offset = page * size as u64;
        // SAFETY: the kernel chooses the address, and a new mapping cannot be used by anybody else.
        let mapped = unsafe { mmap(null_mut(), size, ProtFlags::READ, MapFlags::SHARED, ring, offset) }?;
        NonNull::new(mapped.cast()).map(Self).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn get(&self) -> u64 {
        // SAFETY: the page is mapped, and the position lies at its beginning, so it is aligned.
        unsafe { self.0.as_ref() }.load(Ordering::Acquire)
    }
}

impl Drop for Position {
    fn drop(&mut self) {
        // SAFETY: nobody else has the address. A page that cannot be unmapped stays mapped, which harms nobody.
        let _ = unsafe { munmap(self.0.as_ptr().cast(), page_size()) };
    }
}

/// How far a ring has been read and written.
struct Positions {
    read: Position,
    written: Position,
}

/// Watches how full the rings are.
pub(super) struct BufferWatch {
    rings: Vec<Positions>,
    /// The size of one ring, in bytes.
    ring_bytes: u64,
    peak: Peak,
}

impl BufferWatch {
    /// Maps the positions of rings, all of one size.
    pub(super) fn new<'a>(rings: impl Iterator<Item = BorrowedFd<'a>>, ring_bytes: u64) -> io::Result<Self> {
        let rings = rings
            .map(|ring| Ok(Positions { read: Position::map(ring, 0)?, written: Position::map(ring, 1)? }))
            .collect::<io::Result<_>>()?;
        Ok(Self { rings, ring_bytes, peak: Peak::new(Instant::now()) })
    }

    /// Looks at the rings. It costs two reads of memory for each.
    pub(super) fn look(&mut self) {
        let used = self.rings.iter().map(|ring| {
            let read = ring.read.get();
            ring.written.get().saturating_sub(read)
        });
        self.peak.add(used.max().unwrap_or(0), Instant::now());
    }

    /// What was seen.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn seen(&self) -> BufferUse {
        let peak = self.peak.get(Instant::now()) as f64 / self.ring_bytes as f64;
        BufferUse { bytes: self.ring_bytes * self.rings.len() as u64, peak: peak.min(1.0) }
    }
}

/// The largest value of the last minute.
struct Peak {
    since: Instant,
    current: u64,
    previous: u64,
}

impl Peak {
    fn new(now: Instant) -> Self {
        Self { since: now, current: 0, previous: 0 }
    }

    fn add(&mut self, value: u64, now: Instant) {
        match now.saturating_duration_since(self.since) {
            age if age < REMEMBERED => self.current = self.current.max(value),
            age => {
                let previous = if age < 2 * REMEMBERED { self.current } else { 0 };
                *self = Self { since: now, current: value, previous };
            }
        }
    }

    fn get(&self, now: Instant) -> u64 {
        match now.saturating_duration_since(self.since) {
            age if age < REMEMBERED => self.current.max(self.previous),
            age if age < 2 * REMEMBERED => self.current,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_is_remembered_for_one_to_two_minutes() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut peak = Peak::new(start);
        peak.add(5, at(1));
        peak.add(3, at(59));
        assert_eq!(peak.get(at(59)), 5);
        peak.add(1, at(61));
        assert_eq!(peak.get(at(120)), 5);
        peak.add(2, at(122));
        assert_eq!(peak.get(at(122)), 2);
        assert_eq!([peak.get(at(190)), peak.get(at(250))], [2, 0]);
        peak.add(0, at(300));
        assert_eq!(peak.get(at(300)), 0);
    }
}
