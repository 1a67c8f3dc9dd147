//! The configuration of `serve`.

use std::{fs, net::SocketAddr, os::unix::ffi::OsStrExt as _, path::Path};

use base64::prelude::{BASE64_STANDARD, Engine as _};

use crate::{
    aggregate::findings::Findings,
    cli::{RecordingArgs, ServeArgs},
    config::{Error, Lined, OtlpConfig, RunConfig, configured, limits, thresholds},
    output::{http::Access, stderr::message},
    text::escape::escaped,
    view::serve::{Serve, ServeOptions},
};

/// The most bytes of a file of passwords.
const LARGEST: u64 = 1 << 20;

/// Where metrics are served, and to whom.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// The address.
    pub listen: SocketAddr,
    /// Who may ask.
    pub access: Access,
    /// Where they are sent to.
    pub otlp: Option<OtlpConfig>,
}

/// Builds the configuration of `tracer serve`.
pub fn serve(args: ServeArgs) -> Result<RunConfig, Error> {
    let ServeArgs { listen, bearer_token, basic_auth, mut label, otlp, filter, stuck, finding, capture } =
        args;
    let otlp = super::otlp::otlp(otlp)?;
    let access = match (bearer_token, basic_auth) {
        (Some(file), _) => Access {
            allowed: words(&file)?.into_iter().take(1).map(|token| format!("Bearer {token}")).collect(),
            challenge: "Bearer",
        },
        (None, Some(file)) => Access {
            allowed: words(&file)?
                .iter()
                .map(|user| format!("Basic {}", BASE64_STANDARD.encode(user)))
                .collect(),
            challenge: "Basic realm=\"tracer\"",
        },
        (None, None) => Access::default(),
    };
    if access.allowed.is_empty() && !listen.ip().is_loopback() {
        message(format_args!(
            "whoever reaches {listen} can read the metrics: --bearer-token or --basic-auth limits that"
        ));
    }
    let mut seen = Vec::new();
    label.retain(|by| {
        !seen.contains(by) && {
            seen.push(*by);
            true
        }
    });
    let has_logs = otlp.as_ref().is_some_and(|otlp| otlp.has_logs);
    let limits = limits(&stuck);
    let findings = Findings::new(limits.clone(), thresholds(&finding));
    let view = Serve::new(ServeOptions { labels: label, limits, findings, has_logs });
    let mut config =
        configured(Box::new(view), filter, capture, RecordingArgs::default(), Lined::none(true))?;
    config.serve = Some(ServeConfig { listen, access, otlp });
    Ok(config)
}

/// The lines of a file that are not empty.
pub(super) fn words(path: &Path) -> Result<Vec<String>, Error> {
    let name = || escaped(path.as_os_str().as_bytes());
    let read = fs::metadata(path).and_then(|file| {
        if file.len() > LARGEST {
            Err(std::io::ErrorKind::FileTooLarge.into())
        } else {
            fs::read_to_string(path)
        }
    });
    let text = read.map_err(|cause| Error::Secrets(name(), cause))?;
    let words: Vec<_> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if words.is_empty() { Err(Error::NoSecrets(name())) } else { Ok(words) }
}
