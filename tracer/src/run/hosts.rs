//! Recordings of several hosts in one view: a capture for each, whose lines are put together in the order of their
//! times.

use tokio::{
    sync::{oneshot, watch},
    task::LocalSet,
};

use crate::{
    config::{CaptureOfSeveral, Config, ShownSpan},
    output::{merge::Merger, stdout::Output},
    run::{
        capture::{Outcome, capture},
        error::Error,
        receipt::Receipt,
        span::HostSpans,
        stop::{Signals, Stop},
        tell_missing,
    },
    source::{Source as _, open::OpenSource},
};

/// What fails if a capture panics.
const RUNNING: &str = "running the capture of a host";

/// Captures of several hosts until all have ended.
///
/// # Errors
/// One cannot begin.
pub(super) async fn capture_all(
    sources: Vec<OpenSource>,
    of_host: &CaptureOfSeveral,
    spans: Option<&HostSpans>,
    mut output: Output,
    is_live: bool,
    hooks: &[(&str, &[&str])],
    stop: &mut Stop,
) -> Result<Outcome, Error> {
    let configs = sources.iter().map(|_| of_host()).collect::<Result<Vec<_>, _>>()?;
    let limit = configs.iter().find_map(|config| config.count);
    let (mut merger, inputs) = Merger::of(sources.len(), limit, is_live);
    let (end, ended) = watch::channel(false);
    let local = LocalSet::new();
    let mut captures = Vec::new();
    for ((source, config), input) in sources.into_iter().zip(configs).zip(inputs) {
        let host = source.header().map_or(String::new(), |header| header.host.clone());
        tell_missing(hooks, &source.kernel().hooks, Some(&host));
        let span = spans.map_or(config.span, |spans| ShownSpan::Known(spans.of(source.header())));
        let config = Config { span, host: Some(host.clone()), ..config };
        let stop = Stop::new(Signals::new().map_err(Error::system("listening for signals"))?);
        let (mut stop, end) = (stop.with_others(ended.clone()), end.clone());
        captures.push(local.spawn_local(async move {
            let captured = Box::pin(capture(source, config, Output::merged(input), None, &mut stop)).await;
            // A failure of one ends all.
            if captured.as_ref().map_or(true, |outcome| outcome.result.is_err()) {
                end.send_replace(true);
            }
            captured.map(|outcome| (host, outcome))
        }));
    }
    let (hurry, hurried) = oneshot::channel();
    let written = async {
        let hurried = async {
            // Without a signal, the sender is kept.
            let _ = hurried.await;
        };
        merger.write(&mut output, hurried).await.map_err(Error::from)
    };
    let mut result = local.run_until(stop.after_first(written, hurry)).await;
    // What captures that still run would make cannot be written.
    end.send_replace(true);
    let is_full = merger.is_full();
    drop(merger);
    let (mut receipts, mut ending) = (Vec::new(), None);
    for capture in captures {
        let captured = local.run_until(capture).await;
        let (host, mut outcome) = captured.map_err(|error| Error::system(RUNNING)(error.into()))??;
        if is_full {
            // The limit, and not the reader, has kept them back.
            outcome.receipt.beyond += std::mem::take(&mut outcome.receipt.unwritten);
        } else if result.is_ok() {
            result = outcome.result;
        }
        ending = ending.or(outcome.ending);
        receipts.push((host, outcome.receipt));
    }
    if result.is_ok() {
        result = output.finish_files(0, |_| 0).map_err(Error::from);
    } else if output.abandon() {
        // What is not finished does not stay.
        for (_, receipt) in &mut receipts {
            receipt.unwritten += std::mem::take(&mut receipt.shown);
        }
    }
    Ok(Outcome { receipt: Receipt::of_hosts(receipts), ending, result })
}
