//! A recording that cannot be written while all else goes on.

/// How long it takes until another part is tried, in nanoseconds.
const RETRY_NS: u64 = 10_000_000_000;

/// How long it takes until an error is said again, in nanoseconds.
const SILENCE_NS: u64 = 600_000_000_000;

/// What has gone wrong, and since when.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RecordingFault {
    /// How often something could not be written.
    pub(super) errors: u64,
    /// When it was last said.
    said_ns: Option<u64>,
    /// When another part may be tried, if nothing is being written.
    retry_ns: Option<u64>,
    /// Nothing is being written.
    pub(super) is_idle: bool,
}

impl RecordingFault {
    /// Something could not be written now. Returns whether that is to be said.
    pub(super) fn note(&mut self, now_ns: u64) -> bool {
        self.errors += 1;
        (self.is_idle, self.retry_ns) = (true, Some(now_ns.saturating_add(RETRY_NS)));
        let is_news = self.said_ns.is_none_or(|said_ns| now_ns >= said_ns.saturating_add(SILENCE_NS));
        if is_news {
            self.said_ns = Some(now_ns);
        }
        is_news
    }

    /// When another part may be tried.
    pub(super) fn retry_ns(&self) -> Option<u64> {
        self.retry_ns.filter(|_| self.is_idle)
    }

    /// Another part is being tried.
    pub(super) fn begin_again(&mut self) {
        self.is_idle = false;
    }

    /// Its beginning is written. Returns whether that is to be said.
    pub(super) fn end(&mut self) -> bool {
        self.said_ns.take_if(|_| !self.is_idle).is_some()
    }

    /// Whether the last error is not over.
    pub(super) fn is_lasting(&self) -> bool {
        self.said_ns.is_some()
    }
}
