//! Waits for an optional deadline.

use tokio::time::{Instant, sleep_until};

/// Waits until `time`; for ever if there is none.
pub async fn at(time: Option<impl Into<Instant>>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}
