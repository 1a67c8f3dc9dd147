//! Waiting for a time that may never come.

use tokio::time::{Instant, sleep_until};

/// Waits until `time`; for ever without one.
pub async fn at(time: Option<impl Into<Instant>>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}
