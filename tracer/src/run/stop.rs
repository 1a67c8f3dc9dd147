//! What ends a capture.

use std::{fs, io, task::Poll, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, sleep},
};

use crate::{run::error::Error, time::wait::at};

/// After this a second signal means that somebody is impatient. Before, it is the same one again:
/// `timeout` and terminals signal a process and its group at once.
const ECHO: Duration = Duration::from_millis(500);

/// Ctrl-C, SIGTERM, SIGHUP and SIGQUIT.
pub struct Signals(Vec<Signal>);

impl Signals {
    /// Listens from now on; but not for signals that whoever started us wants ignored, as nohup
    /// does. Needs a tokio runtime around it.
    pub fn new() -> io::Result<Self> {
        let ignored = ignored_signals();
        let kinds =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()];
        let heard = kinds.into_iter().filter(|kind| ignored >> (kind.as_raw_value() - 1) & 1 == 0);
        heard.map(signal).collect::<Result<_, _>>().map(Self)
    }
}

/// A signal, or the end of the time asked for.
pub struct Stop {
    signals: Signals,
    deadline: Option<Instant>,
}

impl Stop {
    /// Without a time.
    #[must_use]
    pub fn new(signals: Signals) -> Self {
        Self { signals, deadline: None }
    }

    /// The time asked for begins now.
    pub fn after(&mut self, duration: Option<Duration>) {
        self.deadline = duration.and_then(|duration| Instant::now().checked_add(duration));
    }

    /// Waits for any of them.
    pub async fn wait(&mut self) {
        let deadline = self.deadline;
        tokio::select! {
            () = self.signal() => {}
            () = at(deadline) => {}
        }
    }

    /// Waits for somebody who does not want to wait for the end.
    async fn impatience(&mut self) {
        sleep(ECHO).await;
        // What came up to here was an echo.
        let echo = tokio::time::timeout(Duration::ZERO, self.signal()).await;
        drop(echo);
        self.signal().await;
    }

    /// Lets what is left be done, unless somebody does not want to wait for it.
    pub async fn unless_impatient(
        &mut self,
        rest: impl Future<Output = Result<(), Error>>,
    ) -> Result<(), Error> {
        tokio::select! {
            biased;
            done = rest => done,
            () = self.impatience() => Err(Error::Impatience),
        }
    }

    async fn signal(&mut self) {
        any(&mut self.signals.0).await;
    }
}

/// Waits for any of these signals.
pub async fn any(signals: &mut [Signal]) {
    std::future::poll_fn(|context| {
        let heard = signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
        if heard { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// The signals that are ignored, as bits from 1 on; none if the system does not say.
fn ignored_signals() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}
