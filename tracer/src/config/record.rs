//! The configuration of `record`.

use std::{path::Path, time::Duration};

use crate::{
    cli::{RecordArgs, RecordingArgs},
    config::{Error, Lined, RunConfig, configured},
    recording::parts::Rotation,
    tcp::limits::Limits,
    view::record::{Record, Triggers},
};

/// Parts of a ring. One more than these is kept, so that there is as much as was asked for.
const RING_PARTS: u32 = 5;

/// Builds the configuration of `tracer record`.
pub fn record(args: RecordArgs) -> Result<RunConfig, Error> {
    let RecordArgs {
        file,
        filter,
        raw,
        rotate,
        keep,
        ring,
        ring_size,
        on_stuck,
        on_reason,
        on_signal,
        capture,
    } = args;
    if !filter.story.is_empty() {
        return Err(Error::WholeStories);
    }
    if raw && !(on_stuck.is_empty() && on_reason.is_empty()) {
        return Err(Error::NoStories);
    }
    if ring.is_some() && on_stuck.is_empty() && on_reason.is_empty() && !on_signal {
        return Err(Error::NoTrigger);
    }
    let mut stuck = Limits::default();
    stuck.set(&on_stuck);
    let triggers = Triggers { stuck, rates: on_reason, pause: ring.unwrap_or_default() };
    let recording = RecordingArgs { record: Some(file), ..RecordingArgs::default() };
    let view = Box::new(Record::new(raw, triggers));
    let mut config = configured(view, filter, capture, recording, Lined::none(true))?;
    let rotation = match (rotate, ring) {
        (_, Some(ring)) => Some(in_ring(ring, ring_size.as_u64())),
        (Some(rotate), None) => Some(Rotation { keep, ..rotate }),
        (None, None) => None,
    };
    if let Some(record) = &mut config.record {
        if rotation.is_some() && record.path == Path::new("-") {
            return Err(Error::NoParts);
        }
        (record.rotation, record.heeds_signal) = (rotation, on_signal);
    }
    Ok(config)
}

/// The parts of a ring.
fn in_ring(time: Duration, size: u64) -> Rotation {
    Rotation {
        bytes: Some(size / u64::from(RING_PARTS)),
        time: Some(time / RING_PARTS),
        // The present one, and those before it.
        keep: Some(RING_PARTS as usize + 1),
        keep_bytes: Some(size - size / u64::from(RING_PARTS)),
    }
}
