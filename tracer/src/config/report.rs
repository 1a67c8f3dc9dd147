//! The configuration of `tracer report`.

use std::{env, ffi::OsStr, os::unix::ffi::OsStrExt as _, sync::mpsc::channel};

use crate::{
    cli::{CaptureArgs, RecordingArgs, ReportPageArgs},
    config::{
        AgainstConfig, Error, ExportConfig, Lined, RunConfig, SideOfDiff, configured,
        diff::{AGAINST_ROWS, side_of_diff},
        is_stream, limits, thresholds,
    },
    text::escape::escaped,
    view::report::{ReportOptions, ReportPage},
};

/// Recordings that commands on the page name; of more, only the first one.
const NAMED: usize = 4;

/// Builds the configuration of `tracer report`.
pub fn report(args: ReportPageArgs) -> Result<RunConfig, Error> {
    let ReportPageArgs { files, against, to, filter, stuck, finding, span, strict, receipt, verbose } = args;
    if !against.is_empty() && files.iter().any(is_stream) {
        return Err(Error::ReadTwice("--against"));
    }
    let named = files.iter().map(|file| quoted(file.as_os_str())).collect::<Vec<_>>();
    let from = match &named[..] {
        [first, ..] if named.len() > NAMED => format!("{first} …"),
        all => all.join(" "),
    };
    let command = env::args_os().skip(1).map(|word| quoted(&word)).collect::<Vec<_>>().join(" ");
    let mut view = ReportPage::new(ReportOptions {
        limits: limits(&stuck),
        thresholds: thresholds(&finding),
        from,
        command: format!("tracer {command}"),
    });
    let capture = CaptureArgs { strict, receipt, verbose, ..CaptureArgs::default() };
    let against = if against.is_empty() {
        None
    } else {
        let (to, compared) = channel();
        view = view.compared(compared);
        let side = |name, paths| {
            let capture = CaptureArgs { strict, verbose, ..CaptureArgs::default() };
            side_of_diff(name, paths, span.clone(), (filter.clone(), capture))
        };
        let after = SideOfDiff { has_receipt: false, ..side("after", files.clone())? };
        Some(AgainstConfig { sides: [side("before", against)?, after], rows: AGAINST_ROWS, to })
    };
    let recording = RecordingArgs { from: files, span, ..RecordingArgs::default() };
    let mut config = configured(Box::new(view), filter, capture, recording, Lined::none(false))?;
    config.against = against;
    config.export = Some(ExportConfig { to, suffix: "html", rolling: None });
    Ok(config)
}

/// A word as a shell takes it, escaped.
fn quoted(word: &OsStr) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./:@%+=,".contains(byte);
    let text = escaped(word.as_bytes());
    if !text.is_empty() && word.as_bytes().iter().all(is_plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        for (word, expected) in [
            ("host.rec", "host.rec"),
            ("--port=443,80", "--port=443,80"),
            ("my host.rec", "'my host.rec'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
            ("</script>\u{1b}", r"'</script>\x1b'"),
        ] {
            assert_eq!(quoted(OsStr::new(word)), expected);
        }
    }
}
