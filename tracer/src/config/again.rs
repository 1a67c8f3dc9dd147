//! A file of options for `serve`, which is read again on SIGHUP.

use std::{fs, io, os::unix::ffi::OsStrExt as _, path::Path};

use crate::{
    cli::{FilterArgs, FindingArgs, ServeArgs, StuckArgs, serve::again},
    config::{Error, filters::filters, limits, thresholds},
    select::spec::FilterSpec,
    text::escape::escaped,
    view::reload::ReloadedView,
};

/// What a file of options changes while it runs.
pub struct ReloadedConfig {
    /// The filters.
    pub filters: FilterSpec,
    /// What the view takes.
    pub view: ReloadedView,
}

/// Reads a file of options again.
pub struct Reload {
    /// What the kernel lets pass: the filters of the command line.
    pub outer: FilterSpec,
    /// Reads it.
    pub again: Box<dyn Fn() -> Result<ReloadedConfig, Error>>,
}

/// The command line, with what is in its file.
pub(super) fn with_file(args: ServeArgs) -> Result<ServeArgs, Error> {
    let Some(path) = &args.config else { return Ok(args) };
    let name = || escaped(path.as_os_str().as_bytes());
    let words = words(path).map_err(|cause| Error::Options(name(), cause.to_string()))?;
    again(words).map_err(|error| {
        // The first line says what is wrong, the others how options are used.
        let text = error.to_string();
        let what = text.lines().next().unwrap_or_default();
        Error::Options(name(), what.trim_start_matches("error: ").to_owned())
    })
}

/// Reads the file again later.
pub(super) fn reload(args: &ServeArgs, now: &ServeArgs) -> Result<Option<Reload>, Error> {
    if args.config.is_none() {
        return Ok(None);
    }
    let outer = filters(args.filter.clone(), true)?;
    let (args, fixed) = (args.clone(), fixed(now));
    let again = move || {
        let args = with_file(args.clone())?;
        if self::fixed(&args) != fixed {
            let name = args.config.as_deref().map(|path| escaped(path.as_os_str().as_bytes()));
            let what = "only filters, --label, --stuck and --finding can change while it runs";
            return Err(Error::Options(name.unwrap_or_default(), what.to_owned()));
        }
        let view = ReloadedView {
            labels: super::serve::labels(args.label),
            limits: limits(&args.stuck),
            thresholds: thresholds(&args.finding),
        };
        Ok(ReloadedConfig { filters: filters(args.filter, true)?, view })
    };
    Ok(Some(Reload { outer, again: Box::new(again) }))
}

/// What cannot change while it runs.
fn fixed(args: &ServeArgs) -> String {
    let fixed = ServeArgs {
        label: Vec::new(),
        filter: FilterArgs::default(),
        stuck: StuckArgs::default(),
        finding: FindingArgs::default(),
        config: None,
        ..args.clone()
    };
    format!("{fixed:?}")
}

/// The options in a file: one in each line, with its value behind a blank or `=`.
fn words(path: &Path) -> io::Result<Vec<String>> {
    // A pipe might let everybody wait, and a device never end.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a file"));
    }
    Ok(super::serve::read_small(path)?.lines().filter_map(option).flatten().collect())
}

/// An option and its value; `None` in an empty line and in a comment.
fn option(line: &str) -> Option<Vec<String>> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (name, value) = line.split_once([' ', '\t', '=']).unwrap_or((line, ""));
    let value = value.trim();
    // What is no long option is refused as it stands, and no value is taken for an option.
    Some(match (name.starts_with("--"), value) {
        (false, _) => vec![format!("--{line}")],
        (true, "") => vec![name.to_owned()],
        (true, value) => vec![format!("{name}={value}")],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_an_option() {
        let words = |line| option(line).map(|words| words.join(" ")).unwrap_or_default();
        assert_eq!(words("--port 443"), "--port=443");
        assert_eq!(words("  --port=443,80 "), "--port=443,80");
        assert_eq!(words("--comm my daemon"), "--comm=my daemon");
        assert_eq!(words("--ipv4"), "--ipv4");
        assert_eq!(words("# --ipv4") + &words(" "), "");
        assert_eq!(words("--port --ipv4"), "--port=--ipv4");
        assert_eq!(words("record /etc/passwd"), "--record /etc/passwd", "which is no option");
    }
}
