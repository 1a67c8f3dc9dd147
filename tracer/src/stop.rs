//! What ends a capture.

use std::{io, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, sleep_until},
};

/// Ctrl-C, SIGTERM, SIGHUP, or the end of the time asked for.
pub struct Stop {
    signals: [Signal; 3],
    deadline: Option<Instant>,
}

impl Stop {
    /// Listens from now on. Needs a tokio runtime around it.
    pub fn new(duration: Option<Duration>) -> io::Result<Self> {
        let signals = [
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ];
        Ok(Self { signals, deadline: duration.and_then(|duration| Instant::now().checked_add(duration)) })
    }

    /// Waits for any of them.
    pub async fn wait(&mut self) {
        let deadline = self.deadline;
        let deadline = async {
            match deadline {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.signal() => {}
            () = deadline => {}
        }
    }

    /// Waits for a signal.
    pub async fn signal(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
