//! How long to wait after a failure.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use jiff::{Timestamp, fmt::rfc2822};

/// The wait after the first failure, about. Each further one doubles it.
const FIRST: Duration = Duration::from_secs(1);

/// The longest wait.
const LONGEST: Duration = Duration::from_secs(30);

/// The longest wait that a receiver may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(300);

/// Waits that grow, and are never those of others who have failed at the same time.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// How long to wait, if the receiver has asked for at least so long.
    pub(super) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let wait = self.next.mul_f64(between_half_and_one());
        self.next = (self.next * 2).min(LONGEST);
        wait.max(asked.unwrap_or_default().min(LONGEST_ASKED))
    }
}

/// A number by chance.
#[allow(clippy::cast_precision_loss)]
fn between_half_and_one() -> f64 {
    // The standard library's keys are random. Nobody gains from guessing this number.
    let random = RandomState::new().hash_one(());
    0.5 + (random >> 12) as f64 / (1_u64 << 53) as f64
}

/// The header `Retry-After`: seconds, or a date.
pub(super) fn retry_after(value: &str) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = rfc2822::parse(value).ok()?.timestamp();
    Duration::try_from(date.duration_since(Timestamp::now())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_limit() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..20).map(|_| backoff.next(None)).collect();
        let mut expected = FIRST;
        for wait in waits {
            assert!(expected / 2 <= wait && wait <= expected, "{wait:?} of {expected:?}");
            expected = (expected * 2).min(LONGEST);
        }
        assert_eq!(backoff.next(Some(Duration::from_secs(60))), Duration::from_secs(60));
        assert_eq!(backoff.next(Some(Duration::MAX)), LONGEST_ASKED);
    }

    #[test]
    fn both_forms_of_retry_after() {
        assert_eq!(retry_after(" 120 "), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("18446744073709551615"), Some(Duration::from_secs(u64::MAX)));
        let later = retry_after("Wed, 31 Dec 2200 23:59:59 GMT").unwrap();
        assert!(later > Duration::from_secs(86_400));
        for none in ["", "soon", "-1", "Sun, 06 Nov 1994 08:49:37 GMT", "99999999999999999999"] {
            assert_eq!(retry_after(none), None, "{none}");
        }
    }
}
