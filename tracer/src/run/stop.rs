//! What ends a capture from outside: signals.

use std::{fs, io, task::Poll, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{oneshot, watch},
    time::sleep,
};

use crate::run::error::Error;

/// A signal within this time of the first one counts as the same signal, because `timeout` and terminals
/// signal both a process and its group. A later one means that the user does not want to wait.
const ECHO: Duration = Duration::from_millis(500);

/// Ctrl-C, SIGTERM, SIGHUP and SIGQUIT.
pub struct Signals {
    ends: Vec<Signal>,
    /// SIGHUP, which may mean something else.
    hangup: Option<Signal>,
}

impl Signals {
    /// Starts to listen. SIGHUP and SIGQUIT stay ignored if they were ignored at start, as under `nohup`; SIGINT
    /// and SIGTERM do not: a shell starts what a script puts in the background with SIGINT ignored. Must be
    /// called inside a tokio runtime.
    pub fn new() -> io::Result<Self> {
        let ignored = ignored_signals();
        let is_heard = |kind: &SignalKind| ignored >> (kind.as_raw_value() - 1) & 1 == 0;
        let ends = [SignalKind::interrupt(), SignalKind::terminate()];
        let quit = Some(SignalKind::quit()).filter(is_heard);
        let ends = ends.into_iter().chain(quit).map(signal).collect::<Result<_, _>>()?;
        let hangup = Some(SignalKind::hangup()).filter(is_heard).map(signal).transpose()?;
        Ok(Self { ends, hangup })
    }
}

/// What a signal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The capture is to end.
    End,
    /// What was recorded last is to be kept.
    Mark,
    /// Options are to be read again.
    Reload,
}

/// Waits for signals.
pub struct Stop {
    ends: Vec<Signal>,
    mark: Option<Signal>,
    reload: Option<Signal>,
    /// Others end the capture, too, once.
    others: Option<watch::Receiver<bool>>,
}

impl Stop {
    /// Waits for these signals.
    #[must_use]
    pub fn new(signals: Signals) -> Self {
        let Signals { mut ends, hangup } = signals;
        ends.extend(hangup);
        Self { ends, mark: None, reload: None, others: None }
    }

    /// The same, but SIGHUP ends nothing.
    ///
    /// # Errors
    /// The system refuses.
    pub fn reloading(signals: Signals) -> io::Result<Self> {
        let Signals { ends, hangup } = signals;
        let reload = hangup.map_or_else(|| signal(SignalKind::hangup()), Ok)?;
        Ok(Self { ends, mark: None, reload: Some(reload), others: None })
    }

    /// Also ends when this becomes true.
    #[must_use]
    pub fn with_others(self, others: watch::Receiver<bool>) -> Self {
        Self { others: Some(others), ..self }
    }

    /// Also listens to SIGUSR1, which ends nothing.
    ///
    /// # Errors
    /// The system refuses.
    pub fn with_mark(self) -> io::Result<Self> {
        Ok(Self { mark: Some(signal(SignalKind::user_defined1())?), ..self })
    }

    /// Waits for the first signal that means something.
    pub async fn heard(&mut self) -> Heard {
        let Self { ends, mark, reload, others } = self;
        tokio::select! {
            biased;
            () = any(ends) => Heard::End,
            () = told(others) => Heard::End,
            () = one(mark) => Heard::Mark,
            () = one(reload) => Heard::Reload,
        }
    }

    /// Waits for the first signal.
    pub async fn wait(&mut self) {
        tokio::select! {
            () = any(&mut self.ends) => {}
            () = told(&mut self.others) => {}
        }
    }

    /// Whether a signal comes within this time.
    pub async fn comes_within(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.wait()).await.is_ok()
    }

    /// Waits for a second signal, which means that the user does not want to wait.
    async fn impatience(&mut self) {
        sleep(ECHO).await;
        // Discard a signal that arrived within `ECHO`.
        let echo = tokio::time::timeout(Duration::ZERO, self.wait()).await;
        drop(echo);
        self.wait().await;
    }

    /// Runs `all` to its end. The first signal is passed on; a second one cuts it short.
    pub async fn after_first(
        &mut self,
        all: impl Future<Output = Result<(), Error>>,
        first: oneshot::Sender<()>,
    ) -> Result<(), Error> {
        let second = async {
            self.wait().await;
            // It may have ended.
            let _ = first.send(());
            self.impatience().await;
        };
        tokio::select! {
            biased;
            done = all => done,
            () = second => Err(Error::Impatience),
        }
    }

    /// Runs `rest` to its end, unless a second signal arrives before that.
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
}

/// Waits until others end the capture. They do so once.
async fn told(others: &mut Option<watch::Receiver<bool>>) {
    if let Some(told) = others
        && told.wait_for(|ended| *ended).await.is_ok()
    {
        *others = None;
        return;
    }
    std::future::pending::<()>().await;
}

/// Waits until this signal arrives, if it is listened to.
async fn one(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => _ = signal.recv().await,
        None => std::future::pending().await,
    }
}

/// Waits until one of these signals arrives.
pub async fn any(signals: &mut [Signal]) {
    std::future::poll_fn(|context| {
        let heard = signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
        if heard { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// The mask of ignored signals (`SigIgn` in `/proc/self/status`), with bit 0 for signal 1; 0 if it cannot be
/// read.
fn ignored_signals() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}
