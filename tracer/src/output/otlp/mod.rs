//! Pages that are sent to a receiver of OpenTelemetry's protocol (OTLP over HTTP/1.1 with protobuf), from a thread of
//! its own: a receiver that is slow, or gone, delays nobody.
//!
//! # Layout
//! - here: the thread, and when what is sent
//! - `client`: one request and its answer; `answer`: what an answer means
//! - `retry`: how long to wait after a failure
//! - [`target`]: where the receiver is
//! - `tell`: what is said on standard error, once and not for each failure; counts

mod answer;
mod client;
mod retry;
pub mod target;
mod tell;

use std::{
    io,
    sync::{Arc, atomic::Ordering::Relaxed},
    thread,
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    runtime,
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep, timeout_at},
};

use crate::output::{
    http::PageRequest,
    otlp::{
        answer::{ExportAnswer, items},
        client::ExportClient,
        retry::Backoff,
        target::ExportTarget,
        tell::ExportTeller,
    },
};

pub use tell::SignalCounters;

/// The time that a request has from the end on that is being sent then.
const REST_TIME: Duration = Duration::from_millis(500);

/// The time for all that is sent after that.
const LAST_TIME: Duration = Duration::from_millis(1500);

/// Of which so much is left to count what was not sent.
const COUNTING_TIME: Duration = Duration::from_millis(250);

/// A kind of page that is sent.
#[derive(Clone, Copy, Debug)]
pub struct ExportSignal {
    /// Its name, for messages.
    pub name: &'static str,
    /// Its path below the receiver's.
    pub path: &'static str,
    /// The route of its pages.
    pub route: usize,
    /// How often it is sent.
    pub interval: Duration,
    /// Each page has what no other one has: it is kept until it is sent, and all that there are are sent. Otherwise a
    /// newer page has all that an older one has.
    pub is_queue: bool,
}

/// A thread that sends pages.
#[derive(Debug)]
pub struct Exporter {
    counters: Vec<Arc<SignalCounters>>,
    end: watch::Sender<bool>,
    done: oneshot::Receiver<()>,
}

impl Exporter {
    /// Starts it. Pages are asked for with `pages`; `first` runs on the thread before all else.
    ///
    /// # Errors
    /// The system has no room for a thread.
    pub fn start(
        target: &ExportTarget,
        signals: &[ExportSignal],
        pages: &mpsc::Sender<PageRequest>,
        first: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let (end, has_ended) = watch::channel(false);
        let (finished, done) = oneshot::channel();
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let exports: Vec<_> =
            signals.iter().map(|signal| SignalExport::new(*signal, target.clone(), pages.clone())).collect();
        let counters = exports.iter().map(|export| Arc::clone(&export.counters)).collect();
        thread::Builder::new().name("tracer-otlp".to_owned()).spawn(move || {
            first();
            runtime.block_on(async {
                let tasks: Vec<_> =
                    exports.into_iter().map(|export| tokio::spawn(export.run(has_ended.clone()))).collect();
                for task in tasks {
                    // It does not panic.
                    let _ = task.await;
                }
            });
            // Nobody may wait any more.
            let _ = finished.send(());
            // A name may still be being looked up.
            runtime.shutdown_background();
        })?;
        Ok(Self { counters, end, done })
    }

    /// What became of the pages of each signal.
    #[must_use]
    pub fn counters(&self) -> &[Arc<SignalCounters>] {
        &self.counters
    }

    /// From now on the last pages are asked for, and sent.
    pub fn end(&self) {
        // It may have ended.
        let _ = self.end.send(true);
    }

    /// Waits until the last pages are sent, or cannot be: about two seconds at most. Dropping the future loses nothing.
    pub async fn ended(&mut self) {
        // Without a sender it has ended, too.
        let _ = (&mut self.done).await;
    }
}

/// The pages of one signal.
struct SignalExport {
    signal: ExportSignal,
    client: ExportClient,
    pages: mpsc::Sender<PageRequest>,
    /// A page that was asked for.
    asked: Option<oneshot::Receiver<Vec<u8>>>,
    /// A page that must not be lost.
    unsent: Option<Bytes>,
    backoff: Backoff,
    teller: ExportTeller,
    counters: Arc<SignalCounters>,
}

impl SignalExport {
    fn new(signal: ExportSignal, target: ExportTarget, pages: mpsc::Sender<PageRequest>) -> Self {
        let teller = ExportTeller::new(signal.name, &target);
        let client = ExportClient::new(target, signal.path);
        let (backoff, counters) = (Backoff::default(), Arc::default());
        Self { signal, client, pages, asked: None, unsent: None, backoff, teller, counters }
    }

    async fn run(mut self, mut end: watch::Receiver<bool>) {
        let mut pause = self.signal.interval;
        loop {
            tokio::select! {
                // Without a sender the capture is over as well.
                _ = end.wait_for(|ended| *ended) => break,
                () = sleep(pause) => {}
            }
            let out_of_time = async {
                let _ = end.wait_for(|ended| *ended).await;
                sleep(REST_TIME).await;
            };
            pause = tokio::select! {
                pause = self.send() => pause,
                // What was being sent is sent again.
                () = out_of_time => break,
            };
        }
        self.send_last().await;
    }

    /// Sends what there is. Returns how long to wait.
    async fn send(&mut self) -> Duration {
        loop {
            let Some(page) = self.page().await else { return self.signal.interval };
            match self.send_page(page).await {
                Some(pause) => return pause,
                None if self.signal.is_queue => {}
                None => return self.signal.interval,
            }
        }
    }

    /// Sends a page. If it has to be sent again, returns when.
    async fn send_page(&mut self, page: Bytes) -> Option<Duration> {
        if self.signal.is_queue {
            // Also if this future is dropped.
            self.unsent = Some(page.clone());
        }
        let answer = self.client.post(page.clone()).await;
        let counters = &self.counters;
        match &answer {
            ExportAnswer::Accepted { rejected, .. } => {
                self.backoff = Backoff::default();
                counters.accepted.fetch_add(1, Relaxed);
                let sent = if self.signal.is_queue { items(&page) } else { 0 };
                // A receiver may say anything. No page has more points than bytes.
                let most = if self.signal.is_queue { sent } else { page.len() as u64 };
                let rejected = (*rejected).min(most);
                counters.items.fetch_add(sent.saturating_sub(rejected), Relaxed);
                counters.rejected_items.fetch_add(rejected, Relaxed);
            }
            ExportAnswer::Failed { .. } => _ = counters.failed.fetch_add(1, Relaxed),
            ExportAnswer::Refused { .. } => {
                counters.refused.fetch_add(1, Relaxed);
                let lost = if self.signal.is_queue { items(&page) } else { 0 };
                counters.rejected_items.fetch_add(lost, Relaxed);
            }
        }
        self.teller.tell(&answer);
        if let ExportAnswer::Failed { after, .. } = answer {
            return Some(self.backoff.next(after));
        }
        self.unsent = None;
        None
    }

    /// The next page; `None` if there is nothing to send, or nobody makes pages.
    async fn page(&mut self) -> Option<Bytes> {
        if let Some(unsent) = self.unsent.take() {
            return Some(unsent);
        }
        if self.asked.is_none() {
            let (reply, page) = oneshot::channel();
            self.pages.send(PageRequest { route: self.signal.route, reply }).await.ok()?;
            self.asked = Some(page);
        }
        // If this future is dropped, the page is still to come.
        let page = self.asked.as_mut()?.await;
        self.asked = None;
        page.ok().filter(|page| !page.is_empty()).map(Bytes::from)
    }

    /// Sends what there is at the end, for a limited time, and says what could not be sent.
    async fn send_last(&mut self) {
        let deadline = Instant::now() + LAST_TIME;
        let sent = timeout_at(deadline - COUNTING_TIME, async {
            // A page that was asked for before may be older than the end: it has not all, or there was nothing in it.
            if self.asked.is_some() {
                let page = self.page().await.filter(|_| self.signal.is_queue);
                self.unsent = page;
            }
            loop {
                let Some(page) = self.page().await else { return true };
                match self.send_page(page).await {
                    Some(_) => return false,
                    None if self.signal.is_queue => {}
                    None => return true,
                }
            }
        });
        if sent.await.unwrap_or_default() {
            return;
        }
        let mut lost = 0;
        let counted = timeout_at(deadline, async {
            while let Some(page) = self.page().await.filter(|_| self.signal.is_queue) {
                lost += items(&page);
            }
        });
        let is_all = counted.await.is_ok();
        self.counters.rejected_items.fetch_add(lost, Relaxed);
        self.teller.tell_unsent(self.signal.is_queue.then_some((lost, is_all)));
    }
}
