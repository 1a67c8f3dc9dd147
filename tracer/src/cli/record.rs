//! The options of `record`.

use std::{path::PathBuf, time::Duration};

use bytesize::ByteSize;
use clap::Args;

use crate::{
    cli::{CaptureArgs, FilterArgs},
    recording::parts::Rotation,
    tcp::{limits::Limit, reasons::Rate},
    time::duration,
};

/// Examples.
pub(super) const EXAMPLES: &str = "\
Examples:
  tracer record host.rec               until Ctrl-C; then: tracer --from host.rec
  tracer record --duration 5m -P 443 host.rec
                                       five minutes of one port
  tracer summary --from host.rec       every view takes a recording, with all filters
  tracer record --rotate 100M,1h --keep 24 /var/log/tracer/host.rec
                                       for weeks: host.rec.000001 and so on, each stands alone
  tracer record --ring 5m --on-stuck CLOSE_WAIT=60s --on-reason reset-remote=100/s host.rec
                                       the last five minutes, kept when something happens
  ssh host sudo tracer record - | tracer top --from -
                                       another host's connections, live

A recording has whole stories. So filters on owners, states and reasons are given when it is shown.";

/// A part has at least so many bytes: less is mostly what it needs to stand alone.
const SMALLEST_PART: u64 = 64 << 10;

/// A part takes at least this long.
const SHORTEST_PART: Duration = Duration::from_millis(500);

/// The shortest ring.
const SHORTEST_RING: Duration = Duration::from_secs(3);

/// Options of `record`.
#[derive(Args, Clone, Debug)]
pub struct RecordArgs {
    /// The recording, a new file; `-` is standard output
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Filters.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Only what the tracepoint said: cheaper, and without owners, reasons and TIME_WAIT
    #[arg(long)]
    pub raw: bool,
    /// The recorder.
    #[command(flatten)]
    pub recorder: RecorderArgs,
    /// Capture.
    #[command(flatten)]
    pub capture: CaptureArgs,
}

/// The files of a recording, and what keeps them.
#[derive(Args, Clone, Debug)]
pub struct RecorderArgs {
    /// Begin a new part after so much or so long: 100M, 1h, or both, as 100M,1h. Parts are called FILE.000001 and so
    /// on; each one stands alone
    #[arg(long, value_name = "SIZE|TIME", value_parser = rotation, help_heading = "Recording")]
    pub rotate: Option<Rotation>,
    /// Keep so many parts, and remove the oldest [default: all]
    #[arg(long, value_name = "N", requires = "rotate", value_parser = kept, help_heading = "Recording")]
    pub keep: Option<usize>,
    /// Keep the last so many minutes, in parts, instead of --rotate and --keep. When one of the options below says so,
    /// they are renamed to FILE-TIME-CAUSE.000001 and so on, and stay: for the first two at most once in that time
    #[arg(long, value_name = "TIME", value_parser = ring, conflicts_with = "rotate", help_heading = "Flight recorder")]
    pub ring: Option<Duration>,
    /// The most that these parts take on the disk
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "1GB",
        requires = "ring",
        help_heading = "Flight recorder"
    )]
    pub ring_size: ByteSize,
    /// When a connection is stuck: STATE=TIME, as with the log's --stuck
    #[arg(
        long,
        value_name = "STATE=TIME",
        value_delimiter = ',',
        requires = "ring",
        help_heading = "Flight recorder"
    )]
    pub on_stuck: Vec<Limit>,
    /// When so many connections end for a reason in a time: REASON=N/TIME, such as reset-remote=100/s or
    /// timeout=10/1m. In `serve` also with --alerts
    #[arg(long, value_name = "REASON=N/TIME", value_delimiter = ',', help_heading = "Flight recorder")]
    pub on_reason: Vec<Rate>,
    /// When the signal SIGUSR1 comes: `kill -USR1`
    #[arg(long, requires = "ring", help_heading = "Flight recorder")]
    pub on_signal: bool,
}

/// Parses `100M`, `1h` or `100M,1h`.
pub(super) fn rotation(text: &str) -> Result<Rotation, String> {
    let mut rotation = Rotation::default();
    for part in text.split(',').map(str::trim) {
        let is_size = part.ends_with(['B', 'K', 'M', 'G', 'T', 'b', 'k', 'g', 't']);
        match part.parse::<ByteSize>() {
            Ok(size) if is_size => rotation.bytes = Some(size.as_u64().max(SMALLEST_PART)),
            _ => {
                let time = duration::parse(part);
                let time =
                    time.map_err(|_| "give a size such as 100M, a time such as 1h, or both: 100M,1h")?;
                rotation.time = Some(time.max(SHORTEST_PART));
            }
        }
    }
    Ok(rotation)
}

/// Parses how long a ring is.
fn ring(text: &str) -> Result<Duration, String> {
    Ok(duration::parse(text)?.max(SHORTEST_RING))
}

/// Parses how many parts are kept.
fn kept(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|kept| *kept > 0).ok_or_else(|| "give a number from 1 on".to_owned())
}
