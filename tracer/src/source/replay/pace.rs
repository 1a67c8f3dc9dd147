//! The speed of a replay.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Plays facts at the speed at which they happened, or a multiple of it.
#[derive(Debug)]
pub(super) struct Pace {
    speed: f64,
    /// When the first fact was played, and its time.
    first: Option<(Instant, u64)>,
}

impl Pace {
    /// So many times as fast as it happened.
    pub(super) fn of(speed: f64) -> Self {
        Self { speed, first: None }
    }

    /// Waits until it is this time.
    pub(super) async fn wait(&mut self, time_ns: u64) {
        let (begun, from_ns) = *self.first.get_or_insert_with(|| (Instant::now(), time_ns));
        let after = Duration::from_nanos(time_ns.saturating_sub(from_ns)).as_secs_f64() / self.speed;
        let after = Duration::try_from_secs_f64(after).unwrap_or(LONGEST).min(LONGEST);
        sleep_until(begun + after).await;
    }
}

/// A recording may say any time. Longer than this nobody waits.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);
