//! The configuration of `serve`.

use std::{fs, net::SocketAddr, os::unix::ffi::OsStrExt as _, path::Path};

use base64::prelude::{BASE64_STANDARD, Engine as _};

use crate::{
    aggregate::findings::Findings,
    cli::{RecorderArgs, RecordingArgs, ServeArgs},
    config::{Error, Lined, RunConfig, configured, limits, record::Recorder, thresholds},
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
}

/// Builds the configuration of `tracer serve`.
pub fn serve(args: ServeArgs) -> Result<RunConfig, Error> {
    let ServeArgs {
        listen,
        bearer_token,
        basic_auth,
        mut label,
        record,
        recorder,
        filter,
        stuck,
        finding,
        capture,
    } = args;
    if record.is_none()
        && let Some(option) = of_recorder(&recorder)
    {
        return Err(Error::NotRecorded(option));
    }
    if recorder.ring.is_none() && !recorder.on_reason.is_empty() {
        return Err(Error::NoRing);
    }
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
    let mut seen = Vec::new();
    label.retain(|by| {
        !seen.contains(by) && {
            seen.push(*by);
            true
        }
    });
    let limits = limits(&stuck);
    let findings = Findings::new(limits.clone(), thresholds(&finding));
    let view =
        Serve::new(ServeOptions { labels: label, limits, findings, triggers: recorder.triggers.clone() });
    let recording = RecordingArgs { record, ..RecordingArgs::default() };
    let mut config = configured(Box::new(view), filter, capture, recording, Lined::none(true))?;
    if let Some(record) = &mut config.record {
        recorder.complete(record)?;
        record.may_fail = true;
    }
    config.serve = Some(ServeConfig { listen, access });
    Ok(config)
}

/// An option of the recorder, if there is one.
fn of_recorder(recorder: &RecorderArgs) -> Option<&'static str> {
    let given = [
        ("--rotate", recorder.rotate.is_some()),
        ("--ring", recorder.ring.is_some()),
        ("--on-reason", !recorder.on_reason.is_empty()),
    ];
    given.into_iter().find(|(_, is_given)| *is_given).map(|(option, _)| option)
}

/// The lines of a file that are not empty.
fn words(path: &Path) -> Result<Vec<String>, Error> {
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
