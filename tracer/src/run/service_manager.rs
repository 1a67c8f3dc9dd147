//! The service manager that has started tracer, such as systemd, is told how it goes (sd_notify(3)). It is the one
//! whose socket is in `NOTIFY_SOCKET`; without that variable nobody is told.

use std::future::pending;

use sd_notify::{NotifyState, notify, watchdog_enabled};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Tells the service manager.
pub(super) struct ServiceManager {
    is_told: bool,
    /// When it is to be told that the loop goes on, if it restarts a service that does not say so.
    watchdog: Option<Interval>,
}

impl ServiceManager {
    /// `is_service`: tracer is the service, and not one of its tools. Must be called inside a tokio runtime.
    pub(super) fn new(is_service: bool) -> Self {
        let limit = watchdog_enabled().filter(|limit| is_service && !limit.is_zero());
        let watchdog = limit.map(|limit| {
            // Half of the time, as sd_watchdog_enabled(3) recommends.
            let mut watchdog = interval(limit / 2);
            watchdog.set_missed_tick_behavior(MissedTickBehavior::Delay);
            watchdog
        });
        Self { is_told: is_service, watchdog }
    }

    /// All hooks are attached, and the pages are there.
    pub(super) fn ready(&self) {
        self.tell(&[NotifyState::Ready]);
    }

    /// Options are being read again; [`ready`](Self::ready) follows.
    pub(super) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now]),
            Err(error) => log::warn!("the clock for the service manager: {error}"),
        }
    }

    /// The capture ends.
    pub(super) fn stopping(&self) {
        self.tell(&[NotifyState::Stopping]);
    }

    /// Waits until it is to be told that the loop goes on. Dropping the future loses nothing.
    pub(super) async fn watches(&mut self) {
        match &mut self.watchdog {
            Some(watchdog) => _ = watchdog.tick().await,
            None => pending().await,
        }
    }

    /// The loop goes on.
    pub(super) fn goes_on(&self) {
        self.tell(&[NotifyState::Watchdog]);
    }

    fn tell(&self, state: &[NotifyState<'_>]) {
        if self.is_told
            && let Err(error) = notify(state)
        {
            log::warn!("the service manager cannot be told: {error}");
        }
    }
}
