//! The options of `serve`.

use std::{env, ffi::OsString, net::SocketAddr, path::PathBuf};

use clap::{Args, Parser as _};

use crate::{
    aggregate::By,
    cli::{CaptureArgs, Cli, Command, FilterArgs, FindingArgs, OtlpArgs, RecorderArgs, StuckArgs},
    source::streamed::server::SOCKET,
};

/// Examples.
pub(super) const EXAMPLES: &str = "\
Examples:
  tracer serve                               http://127.0.0.1:9776/metrics for Prometheus
  tracer serve --listen 10.0.0.7:9776 --bearer-token /etc/tracer/token
                                             from other hosts, for those who know the token
  tracer serve --listen [::]:9776 --tls-cert host.pem --tls-key host.key --basic-auth /etc/tracer/users
                                             with https and a password
  tracer serve --label service,process,peer  with connections by peer, too
  tracer serve --port 443                    only of these connections
  tracer serve --otlp http://127.0.0.1:4318 --otlp-logs
                                             also to an OpenTelemetry Collector, with a log record for each end
  tracer serve --record /var/log/tracer/host.rec --ring 5m --on-stuck CLOSE_WAIT=60s
                                             and a flight recorder
  tracer serve --socket                      tracer list on this host then knows exact ages;
                                             tracer top --from /run/tracer/tracer.sock is no second tracer
  tracer serve --alerts --on-reason reset-remote=100/s | logger -t tracer
                                             a line when something begins to be wrong, and one when that ends

A scrape counts for as long as tracer runs: counters begin with 0 when it starts. What may have many values has at
most 100 labels of its own; all others are `other`, so that the sum is always the whole.";

/// Where it listens unless told otherwise.
const LISTEN: &str = "127.0.0.1:9776";

/// The command line once more, with other options behind it.
///
/// # Errors
/// They are none of `serve`.
pub fn again(more: Vec<String>) -> Result<ServeArgs, clap::Error> {
    let all = env::args_os().chain(more.into_iter().map(OsString::from));
    match Cli::try_parse_from(all)?.command {
        Some(Command::Serve(args)) => Ok(*args),
        // Nothing else has such a file.
        _ => Err(clap::Error::new(clap::error::ErrorKind::InvalidSubcommand)),
    }
}

/// Parses where it listens.
fn listen(text: &str) -> Result<SocketAddr, String> {
    let hint = "give an address and a port: 127.0.0.1:9776 for this host alone, [::]:9776 for all";
    text.parse().map_err(|_| hint.to_owned())
}

/// Options of `serve`.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// Address and port of `/metrics`, `/healthz`, `/readyz` and a page for people
    #[arg(long, value_name = "ADDR:PORT", default_value = LISTEN, value_parser = listen, help_heading = "Server")]
    pub listen: SocketAddr,
    /// Answer only requests with this token, the first line of a file (RFC 6750). /healthz and /readyz need none
    #[arg(long, value_name = "FILE", conflicts_with = "basic_auth", help_heading = "Server")]
    pub bearer_token: Option<PathBuf>,
    /// Answer only requests with one of these, USER:PASSWORD in each line of a file (RFC 7617)
    #[arg(long, value_name = "FILE", help_heading = "Server")]
    pub basic_auth: Option<PathBuf>,
    /// Serve https with this certificate, and those behind it in the file, in PEM. It is read again when it changes
    #[arg(long, value_name = "FILE", requires = "tls_key", help_heading = "Server")]
    pub tls_cert: Option<PathBuf>,
    /// The key of --tls-cert, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert", help_heading = "Server")]
    pub tls_key: Option<PathBuf>,
    /// What connections are also counted by; several, separated by commas
    #[arg(
        long,
        value_enum,
        value_name = "WHAT",
        value_delimiter = ',',
        default_value = "service,process",
        help_heading = "Server"
    )]
    pub label: Vec<By>,
    /// OTLP.
    #[command(flatten)]
    pub otlp: OtlpArgs,
    /// Options from a file, one in each line (`--port 443`), as if they were here, too; # begins a comment. SIGHUP reads
    /// it again: filters, --label, --stuck and --finding may change. Filters from it do not run in the kernel
    #[arg(long, value_name = "FILE", help_heading = "Server")]
    pub config: Option<PathBuf>,
    /// Let `tracer list` and `tracer top --from` on this host ask: root, and the user who runs this
    #[arg(long, value_name = "PATH", num_args = 0..=1, default_missing_value = SOCKET, help_heading = "Server")]
    pub socket: Option<PathBuf>,
    /// A line of JSON on standard output when something begins to be wrong, and one when that ends: a finding, a
    /// connection that is stuck, as many ends of connections as --on-reason says
    #[arg(long, help_heading = "Alerts")]
    pub alerts: bool,
    /// Also keep what happens in a recording, a new file. If it cannot be written, because the disk is full, that is
    /// said and counted, and the metrics go on
    #[arg(long, value_name = "FILE", help_heading = "Recording")]
    pub record: Option<PathBuf>,
    /// The recorder.
    #[command(flatten)]
    pub recorder: RecorderArgs,
    /// Filters.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Stuck connections.
    #[command(flatten)]
    pub stuck: StuckArgs,
    /// Findings.
    #[command(flatten)]
    pub finding: FindingArgs,
    /// Capture.
    #[command(flatten)]
    pub capture: CaptureArgs,
}
