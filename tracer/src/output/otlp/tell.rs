//! What is said about exports on standard error: that they fail, and that they do not any more; not each time.

use std::sync::atomic::AtomicU64;

use crate::output::{
    otlp::{answer::ExportAnswer, target::ExportTarget},
    stderr::message,
};

/// What became of the requests of a signal. They only grow.
#[derive(Debug, Default)]
pub struct SignalCounters {
    /// Requests that were accepted.
    pub accepted: AtomicU64,
    /// Requests that failed.
    pub failed: AtomicU64,
    /// Requests that the receiver does not want.
    pub refused: AtomicU64,
    /// Items that were accepted, if each of them counts.
    pub items: AtomicU64,
    /// Items that the receiver does not want, or that could not be sent at the end.
    pub rejected_items: AtomicU64,
}

/// What was said last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Said {
    /// All is well.
    #[default]
    Nothing,
    Failing,
    Refused,
    Warning,
}

/// Says what is new.
pub(super) struct ExportTeller {
    signal: &'static str,
    url: String,
    said: Said,
}

impl ExportTeller {
    pub(super) fn new(signal: &'static str, target: &ExportTarget) -> Self {
        Self { signal, url: target.url(), said: Said::default() }
    }

    /// Says what an answer means, if that is new.
    pub(super) fn tell(&mut self, answer: &ExportAnswer) {
        let Self { signal, url, said } = self;
        let now = match answer {
            ExportAnswer::Accepted { rejected: 0, warning } if warning.is_empty() => Said::Nothing,
            ExportAnswer::Accepted { .. } => Said::Warning,
            ExportAnswer::Failed { .. } => Said::Failing,
            ExportAnswer::Refused { .. } => Said::Refused,
        };
        if std::mem::replace(said, now) == now {
            return;
        }
        match answer {
            ExportAnswer::Accepted { rejected: 0, warning } if warning.is_empty() => {
                message(format_args!("OTLP: {url} accepts {signal} again"));
            }
            ExportAnswer::Accepted { rejected, warning } => message(format_args!(
                "OTLP: {url} has rejected {rejected} items of a request with {signal}: {warning}"
            )),
            ExportAnswer::Failed { why, .. } => {
                message(format_args!("OTLP: sending {signal} to {url} fails, and is tried again: {why}"));
            }
            ExportAnswer::Refused { why } => message(format_args!("OTLP: {url} refuses {signal}: {why}")),
        }
    }

    /// Says that the last requests could not be sent: how many items were lost, if each counts, and whether those are all.
    pub(super) fn tell_unsent(&self, lost: Option<(u64, bool)>) {
        let Self { signal, url, .. } = self;
        match lost {
            None => message(format_args!("OTLP: the last {signal} could not be sent to {url}")),
            Some((lost, is_all)) => message(format_args!(
                "OTLP: {}{lost} log records could not be sent to {url}",
                if is_all { "" } else { "at least " }
            )),
        }
    }
}
