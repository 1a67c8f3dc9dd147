//! The configuration of `serve`.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::prelude::{BASE64_STANDARD, Engine as _};

use crate::{
    aggregate::{By, findings::Findings},
    cli::{RecorderArgs, RecordingArgs, ServeArgs},
    config::{
        Error, Lined, OtlpConfig, RunConfig, again, configured, filters::filters, limits, record::Recorder,
        thresholds,
    },
    output::{http::Access, stderr::message, tls::ServerTls},
    select::spec::FilterSpec,
    source::open::SourceOptions,
    text::escape::escaped,
    view::serve::{Serve, ServeOptions},
};

/// The most bytes of a file of passwords or options.
const LARGEST: u64 = 1 << 20;

/// Where metrics are served, and to whom.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// The address.
    pub listen: SocketAddr,
    /// Who may ask.
    pub access: Access,
    /// Pages are encrypted.
    pub tls: Option<Arc<ServerTls>>,
    /// Where they are sent to.
    pub otlp: Option<OtlpConfig>,
    /// Lines on standard output are alerts, which nobody waits for.
    pub alerts: bool,
    /// A unix socket for others on this host.
    pub socket: Option<PathBuf>,
}

/// Builds the configuration of `tracer serve`.
pub fn serve(args: ServeArgs) -> Result<RunConfig, Error> {
    let now = again::with_file(args.clone())?;
    let reload = again::reload(&args, &now)?;
    let outer = args.filter;
    let ServeArgs {
        listen,
        bearer_token,
        basic_auth,
        tls_cert,
        tls_key,
        label,
        otlp,
        alerts,
        record,
        recorder,
        filter,
        stuck,
        finding,
        capture,
        socket,
        config: _,
    } = now;
    if record.is_none()
        && let Some(option) = of_recorder(&recorder)
    {
        return Err(Error::NotRecorded(option));
    }
    if recorder.ring.is_none() && !recorder.on_reason.is_empty() && !alerts {
        return Err(Error::NoRingNorAlerts);
    }
    if alerts && record.as_ref().is_some_and(|path| path == Path::new("-")) {
        return Err(Error::TwiceStandardOutput);
    }
    let otlp = super::otlp::otlp(otlp)?;
    let rates = recorder.on_reason.clone();
    let recorder = Recorder::new(recorder)?;
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
    let tls =
        tls_cert.zip(tls_key).map(|(certificate, key)| ServerTls::read(&certificate, &key)).transpose()?;
    let tls = tls.map(Arc::new);
    let limits = limits(&stuck);
    let findings = Findings::new(limits.clone(), thresholds(&finding));
    let view = Serve::new(ServeOptions {
        labels: labels(label),
        limits,
        findings,
        has_logs: otlp.as_ref().is_some_and(|otlp| otlp.has_logs),
        triggers: recorder.triggers.clone(),
        alerts: alerts.then_some(rates),
    });
    let recording = RecordingArgs { record, ..RecordingArgs::default() };
    let mut config = configured(Box::new(view), filter, capture, recording, Lined::none(true))?;
    if let Some(record) = &mut config.record {
        recorder.complete(record)?;
        record.may_fail = true;
    }
    // Filters that may change do not run in the kernel.
    if let (Some(_), SourceOptions::Kernel(options)) = (&reload, &mut config.source) {
        let FilterSpec { filters, names } = filters(outer, true)?;
        (options.load.filter, options.names) = (filters.constant, names);
    }
    config.capture.reload = reload;
    config.serve = Some(ServeConfig { listen, access, tls, otlp, alerts, socket });
    Ok(config)
}

/// Each label once.
pub(super) fn labels(mut labels: Vec<By>) -> Vec<By> {
    let mut seen = Vec::new();
    labels.retain(|by| {
        !seen.contains(by) && {
            seen.push(*by);
            true
        }
    });
    labels
}

/// An option of the recorder, if there is one.
fn of_recorder(recorder: &RecorderArgs) -> Option<&'static str> {
    let given = [("--rotate", recorder.rotate.is_some()), ("--ring", recorder.ring.is_some())];
    given.into_iter().find(|(_, is_given)| *is_given).map(|(option, _)| option)
}

/// The lines of a file that are not empty.
pub(super) fn words(path: &Path) -> Result<Vec<String>, Error> {
    let name = || escaped(path.as_os_str().as_bytes());
    let text = read_small(path).map_err(|cause| Error::Secrets(name(), cause))?;
    let words: Vec<_> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if words.is_empty() { Err(Error::NoSecrets(name())) } else { Ok(words) }
}

/// Reads a file, unless it is much too large.
pub(super) fn read_small(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > LARGEST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    fs::read_to_string(path)
}
