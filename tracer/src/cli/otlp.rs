//! The options of `serve` about OTLP.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use crate::time::duration;

/// The shortest interval.
const SHORTEST: Duration = Duration::from_millis(100);

/// Where metrics are sent to.
#[derive(Args, Clone, Debug)]
pub struct OtlpArgs {
    /// Also send the metrics there with OTLP over http (protobuf): to URL/v1/metrics, such as http://127.0.0.1:4318
    /// or https://otlp.example.com, whose certificate this host has to trust
    #[arg(long, value_name = "URL", help_heading = "OpenTelemetry")]
    pub otlp: Option<String>,
    /// How often
    #[arg(
        long,
        value_name = "TIME",
        default_value = "15s",
        value_parser = interval,
        requires = "otlp",
        help_heading = "OpenTelemetry"
    )]
    pub otlp_interval: Duration,
    /// Also send a log record for each connection that ends, to URL/v1/logs
    #[arg(long, requires = "otlp", help_heading = "OpenTelemetry")]
    pub otlp_logs: bool,
    /// Headers of each request, such as tokens: `name: value` in each line of a file
    #[arg(long, value_name = "FILE", requires = "otlp", help_heading = "OpenTelemetry")]
    pub otlp_header: Option<PathBuf>,
}

fn interval(text: &str) -> Result<Duration, String> {
    Ok(duration::parse(text)?.max(SHORTEST))
}
