//! The sources that a command line can ask for. A further one is a variant of [`SourceOptions`] and of
//! [`OpenSource`]; nothing behind this file tells them apart.

use tracer_common::Event;

use crate::{
    facts::playback::{PlayCommand, Playback},
    facts::{Fact, kernel::KernelInfo, names::Names, source_counts::SourceCounts},
    recording::header::Header,
    source::{
        Demand, Error, Source,
        kernel::{
            live::{Live, LiveOptions},
            preflight,
        },
        replay::{Replay, ReplayOptions},
    },
};

/// Which source to open, and how.
#[derive(Clone, Debug)]
pub enum SourceOptions {
    /// The running kernel.
    Kernel(LiveOptions),
    /// A recording.
    Recording(ReplayOptions),
}

/// A source that is open.
pub enum OpenSource {
    /// The running kernel.
    Kernel(Box<Live>),
    /// A recording.
    Recording(Box<Replay>),
}

/// Opens a source. Needs a tokio runtime around it.
///
/// # Errors
/// A name in the filters is unknown. A recording cannot be read. The kernel, or what runs on the host, does not let programs be loaded or
/// attached.
pub async fn open(options: &SourceOptions) -> Result<OpenSource, Error> {
    match options {
        SourceOptions::Kernel(options) => {
            let live = Live::open(options)?;
            let buffer = options.load.buffer;
            log::info!("attached on Linux {}, with a buffer of {buffer}", preflight::release());
            log::info!("other hooks: {}", live.kernel().hooks);
            Ok(OpenSource::Kernel(Box::new(live)))
        }
        SourceOptions::Recording(options) => {
            Ok(OpenSource::Recording(Box::new(Replay::open(options).await?)))
        }
    }
}

/// The same for recordings of several hosts: a source for each.
///
/// # Errors
/// As those of [`open`].
pub async fn open_all(options: &SourceOptions) -> Result<Vec<OpenSource>, Error> {
    let SourceOptions::Recording(recordings) = options else {
        return Ok(vec![open(options).await?]);
    };
    let hosts = Replay::open_all(recordings).await?;
    Ok(hosts.into_iter().map(|replay| OpenSource::Recording(Box::new(replay))).collect())
}

impl Source for OpenSource {
    fn kernel(&self) -> &KernelInfo {
        match self {
            Self::Kernel(live) => live.kernel(),
            Self::Recording(replay) => replay.kernel(),
        }
    }

    fn header(&self) -> Option<&Header> {
        match self {
            Self::Kernel(live) => live.header(),
            Self::Recording(replay) => replay.header(),
        }
    }

    async fn next(&mut self, demand: Demand<'_>) -> Result<Fact, Error> {
        match self {
            Self::Kernel(live) => live.next(demand).await,
            Self::Recording(replay) => replay.next(demand).await,
        }
    }

    fn is_live(&self) -> bool {
        match self {
            Self::Kernel(live) => live.is_live(),
            Self::Recording(replay) => replay.is_live(),
        }
    }

    fn has_more(&self) -> bool {
        match self {
            Self::Kernel(live) => live.has_more(),
            Self::Recording(replay) => replay.has_more(),
        }
    }

    fn stop(&mut self) {
        match self {
            Self::Kernel(live) => live.stop(),
            Self::Recording(replay) => replay.stop(),
        }
    }

    fn recycle(&mut self, events: Vec<Event>) {
        match self {
            Self::Kernel(live) => live.recycle(events),
            Self::Recording(replay) => replay.recycle(events),
        }
    }

    fn play(&mut self, command: PlayCommand) {
        if let Self::Recording(replay) = self {
            replay.play(command);
        }
    }

    fn playback(&self) -> Option<Playback> {
        match self {
            Self::Kernel(_) => None,
            Self::Recording(replay) => replay.playback(),
        }
    }

    fn counts(&self) -> SourceCounts {
        match self {
            Self::Kernel(live) => live.counts(),
            Self::Recording(replay) => replay.counts(),
        }
    }

    fn names(&mut self) -> &mut dyn Names {
        match self {
            Self::Kernel(live) => live.names(),
            Self::Recording(replay) => replay.names(),
        }
    }
}
