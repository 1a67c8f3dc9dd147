//! How fast a recording of the load is shown, and how large it is beside the lines that it is shown as.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result};

use crate::{child::Child, load::churn::Churn, places, report::figure::Figure, stats::median};

/// Name of a figure: events shown as text, in a second.
pub(crate) const TEXT: &str = "replay to text";
/// Name of a figure: events counted, in a second.
pub(crate) const SUMMARY: &str = "replay to summary";

/// Name of a figure: events that a page is made of, in a second.
pub(crate) const PAGE: &str = "replay to a page";
/// Name of a figure: the size of that page.
pub(crate) const PAGE_SIZE: &str = "page";

/// Views of the recording: the name of the rate, the arguments before the recording, and the name of the size of what
/// is shown, an event.
const VIEWS: [(&str, &[&str], Option<&str>); 6] = [
    (TEXT, &["log", "--from"], Some("text an event")),
    (SUMMARY, &["summary", "--interval", "1s", "--from"], None),
    ("replay to life", &["life", "--from"], None),
    ("replay to JSON", &["log", "-o", "json", "--from"], Some("JSON an event")),
    ("replay to CSV", &["log", "-o", "csv", "--from"], Some("CSV an event")),
    (PAGE, &["report", "--to", "-"], None),
];

const READY: Duration = Duration::from_secs(60);
const RECORDED_S: f64 = 4.0;
const ROUNDS: usize = 5;

/// Records the load, and shows the recording in some views.
#[expect(clippy::cast_precision_loss, reason = "some gigabytes")]
pub(crate) fn replay(scratch: &Path) -> Result<Vec<Figure>> {
    let tracer = places::built("tracer")?;
    let recording = scratch.join("host.rec");
    let mut record = Command::new(&tracer);
    let mut child = Child::start(record.arg("record").arg(&recording).stdin(Stdio::null()))?;
    child.wait_until_ready(READY, |child| child.line_at("tracer: ready"))?;
    Churn::USUAL.run(RECORDED_S)?;
    let said = child.finish()?;
    let events = said.split("recorded ").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<f64>().ok());
    let events = events.with_context(|| format!("no count of events in {said}"))?;
    let bytes = |path: &Path| Ok::<_, std::io::Error>(fs::metadata(path)?.len() as f64);
    let mut figures = vec![Figure::new("recording an event", bytes(&recording)? / events, "bytes")];
    let shown = scratch.join("shown");
    for (rate, arguments, size) in VIEWS {
        let mut seconds = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let mut view = Command::new(&tracer);
            view.args(arguments).arg(&recording);
            view.stdin(Stdio::null()).stdout(File::create(&shown)?);
            seconds.push(Child::start(&mut view)?.run(|_| ())?.as_secs_f64());
        }
        let middle = median(seconds).context("no round")?;
        figures.push(Figure::new(rate, events / middle / 1e6, "million events/s"));
        if rate == PAGE {
            figures.push(Figure::new(PAGE_SIZE, bytes(&shown)? / 1e6, "MB"));
        }
        if let Some(size) = size {
            figures.push(Figure::new(size, bytes(&shown)? / events, "bytes"));
        }
    }
    fs::remove_file(shown)?;
    fs::remove_file(recording)?;
    Ok(figures)
}
