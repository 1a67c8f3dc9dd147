//! The configuration of `record`, and of what records beside another view.

use std::{path::Path, time::Duration};

use crate::{
    aggregate::triggers::Triggers,
    cli::{RecordArgs, RecorderArgs, RecordingArgs},
    config::{Error, Lined, RecordConfig, RunConfig, configured},
    recording::parts::Rotation,
    tcp::limits::Limits,
    view::record::Record,
};

/// Parts of a ring. One more than these is kept, so that there is as much as was asked for.
const RING_PARTS: u32 = 5;

/// Builds the configuration of `tracer record`.
pub fn record(args: RecordArgs) -> Result<RunConfig, Error> {
    let RecordArgs { file, filter, raw, recorder, capture } = args;
    if !filter.story.is_empty() {
        return Err(Error::WholeStories);
    }
    if raw && !(recorder.on_stuck.is_empty() && recorder.on_reason.is_empty()) {
        return Err(Error::NoStories);
    }
    if recorder.ring.is_none() && !recorder.on_reason.is_empty() {
        return Err(Error::NoRing);
    }
    let recorder = Recorder::new(recorder)?;
    let recording = RecordingArgs { record: Some(file), ..RecordingArgs::default() };
    let view = Box::new(Record::new(raw, recorder.triggers.clone()));
    let mut config = configured(view, filter, capture, recording, Lined::none(true))?;
    if let Some(record) = &mut config.record {
        recorder.complete(record)?;
    }
    Ok(config)
}

/// The files of a recording, and what keeps them.
pub(super) struct Recorder {
    pub(super) triggers: Triggers,
    rotation: Option<Rotation>,
    heeds_signal: bool,
}

impl Recorder {
    pub(super) fn new(args: RecorderArgs) -> Result<Self, Error> {
        let RecorderArgs { rotate, keep, ring, ring_size, on_stuck, on_reason, on_signal } = args;
        if ring.is_some() && on_stuck.is_empty() && on_reason.is_empty() && !on_signal {
            return Err(Error::NoTrigger);
        }
        let mut stuck = Limits::default();
        stuck.set(&on_stuck);
        let rotation = match (rotate, ring) {
            (_, Some(ring)) => Some(in_ring(ring, ring_size.as_u64())),
            (Some(rotate), None) => Some(Rotation { keep, ..rotate }),
            (None, None) => None,
        };
        let rates = if ring.is_some() { on_reason } else { Vec::new() };
        let triggers = Triggers { stuck, rates, pause: ring.unwrap_or_default() };
        Ok(Self { triggers, rotation, heeds_signal: on_signal })
    }

    /// Completes what is known so far of where facts are recorded.
    pub(super) fn complete(&self, record: &mut RecordConfig) -> Result<(), Error> {
        if self.rotation.is_some() && record.path == Path::new("-") {
            return Err(Error::NoParts);
        }
        (record.rotation, record.heeds_signal) = (self.rotation, self.heeds_signal);
        Ok(())
    }
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
