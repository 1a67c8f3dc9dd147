//! The sources that a command line can ask for. A further one is a variant of [`SourceOptions`] and of
//! [`OpenSource`]; nothing behind this file tells them apart.

use tracer_common::Event;

use crate::{
    facts::{Fact, kernel::KernelInfo, names::Names},
    source::{
        Demand, Error, Source,
        kernel::{
            live::{Live, LiveOptions},
            preflight,
        },
    },
};

/// Which source to open, and how.
#[derive(Clone, Debug)]
pub enum SourceOptions {
    /// The running kernel.
    Kernel(LiveOptions),
}

/// A source that is open.
pub enum OpenSource {
    /// The running kernel.
    Kernel(Live),
}

/// Opens a source. Needs a tokio runtime around it.
///
/// # Errors
/// A name in the filters is unknown. The kernel, or what runs on the host, does not let programs be loaded or
/// attached.
pub fn open(options: &SourceOptions) -> Result<OpenSource, Error> {
    match options {
        SourceOptions::Kernel(options) => {
            let live = Live::open(options)?;
            let buffer = options.load.buffer;
            log::info!("attached on Linux {}, with a buffer of {buffer}", preflight::release());
            log::info!("other hooks: {}", live.kernel().hooks);
            Ok(OpenSource::Kernel(live))
        }
    }
}

impl Source for OpenSource {
    fn kernel(&self) -> &KernelInfo {
        match self {
            Self::Kernel(live) => live.kernel(),
        }
    }

    async fn next(&mut self, demand: Demand<'_>) -> Result<Fact, Error> {
        match self {
            Self::Kernel(live) => live.next(demand).await,
        }
    }

    fn is_live(&self) -> bool {
        match self {
            Self::Kernel(live) => live.is_live(),
        }
    }

    fn has_more(&self) -> bool {
        match self {
            Self::Kernel(live) => live.has_more(),
        }
    }

    fn stop(&mut self) {
        match self {
            Self::Kernel(live) => live.stop(),
        }
    }

    fn recycle(&mut self, events: Vec<Event>) {
        match self {
            Self::Kernel(live) => live.recycle(events),
        }
    }

    fn names(&mut self) -> &mut dyn Names {
        match self {
            Self::Kernel(live) => live.names(),
        }
    }
}
