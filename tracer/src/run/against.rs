//! What a report is compared with: it is read, and counted, before the report begins.

use crate::{
    config::AgainstConfig,
    run::{
        diff::{compared, open_sides, spans},
        error::Error,
        span::HostSpans,
        stop::Stop,
    },
    source::open::OpenSource,
};

/// A comparison that is to be made.
pub(super) struct Against {
    config: AgainstConfig,
    spans: [Option<HostSpans>; 2],
}

impl Against {
    /// Looks which spans are meant.
    ///
    /// # Errors
    /// A recording cannot be read.
    pub(super) fn new(config: AgainstConfig) -> Result<Self, Error> {
        Ok(Self { spans: spans(&config.sides)?, config })
    }

    /// Opens the recordings of both sides.
    pub(super) async fn open(&self) -> Result<[Vec<OpenSource>; 2], Error> {
        open_sides(&self.config.sides).await
    }

    /// Compares them, and hands the result to the view. Returns whether nothing is missing from them.
    pub(super) async fn compare(&self, opened: [Vec<OpenSource>; 2], stop: &mut Stop) -> Result<bool, Error> {
        let AgainstConfig { sides, rows, to } = &self.config;
        let report = compared((opened, sides, &self.spans), *rows, stop).await?;
        let is_complete = report.is_complete();
        // Nobody may be waiting any more.
        let _ = to.send(report);
        Ok(is_complete)
    }
}
