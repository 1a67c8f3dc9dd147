//! The configuration of exports with OTLP.

use std::{os::unix::ffi::OsStrExt as _, time::Duration};

use crate::{
    cli::OtlpArgs,
    config::{Error, serve::words},
    output::otlp::target::ExportTarget,
    text::escape::escaped,
};

/// Where metrics are sent to, and what else.
#[derive(Clone, Debug)]
pub struct OtlpConfig {
    /// The receiver.
    pub target: ExportTarget,
    /// How often metrics are sent.
    pub interval: Duration,
    /// Log records, too.
    pub has_logs: bool,
}

/// Builds it, if something is to be sent.
pub(super) fn otlp(args: OtlpArgs) -> Result<Option<OtlpConfig>, Error> {
    let OtlpArgs { otlp, otlp_interval: interval, otlp_logs: has_logs, otlp_header } = args;
    let Some(url) = otlp else { return Ok(None) };
    let mut target = ExportTarget::new(&url).map_err(Error::Otlp)?;
    if let Some(file) = otlp_header {
        for (index, line) in words(&file)?.iter().enumerate() {
            if !target.add_header(line) {
                return Err(Error::NoHeader(index + 1, escaped(file.as_os_str().as_bytes())));
            }
        }
    }
    Ok(Some(OtlpConfig { target, interval, has_logs }))
}
