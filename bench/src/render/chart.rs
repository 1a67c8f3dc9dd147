//! The chart: how much of the load's throughput each contestant leaves.

use svg::{
    Document,
    node::element::{Polygon, Rectangle, Style, Text, Title},
};

use crate::{
    contestant::is_tracer,
    report::{Report, churn::Row},
    targets::RATIOS,
};

const WIDTH: f64 = 820.0;
/// Where names end, and where bars begin.
const NAMES: f64 = 170.0;
const BARS: f64 = 180.0;
/// Length of a bar for the ratio 1.
const UNIT: f64 = 540.0;
const TOP: f64 = 64.0;
const ROW: f64 = 34.0;
const BAR: f64 = 20.0;
/// Below this ratio a bar has no room for its figure.
const SHORT: f64 = 0.12;

/// The colours follow the reader's colour scheme. All words are legible in both.
const STYLE: &str = "
text { font: 14px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 16px; font-weight: 600 }
.note { font-size: 12px; fill: #59636e }
.figure { fill: #ffffff; font-weight: 600 }
.bar { fill: #6e7781 }
.tracer { fill: #0b6bcb }
.mark { fill: #bc4c00 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .note { fill: #9198a1 }
  .figure { fill: #ffffff }
  .bar { fill: #656c76 }
  .tracer { fill: #1f6feb }
  .mark { fill: #f0883e }
}";

/// Draws the chart as SVG.
pub(crate) fn chart(report: &Report) -> String {
    let rows: Vec<_> = report.rows.iter().collect();
    let below = TOP + ROW * float(rows.len());
    let height = below + 40.0;
    let mut document = Document::new()
        .set("viewBox", (0.0, 0.0, WIDTH, height))
        .set("width", WIDTH)
        .set("height", height)
        .set("role", "img")
        .add(Title::new("Throughput of a TCP load while it is traced, of that untraced"))
        .add(Style::new(STYLE))
        .add(text("Throughput of the load while traced", 16.0, 26.0, "start", "title"))
        .add(text(&setting(report), 16.0, 46.0, "start", "note"));
    for (index, row) in rows.into_iter().enumerate() {
        document = draw(document, row, TOP + ROW * float(index));
    }
    let y = below + 22.0;
    document
        .add(mark(BARS + 6.0, y - 10.0))
        .add(text("tracer's targets", BARS + 18.0, y, "start", "note"))
        .to_string()
}

fn setting(report: &Report) -> String {
    let host = &report.host;
    format!(
        "untraced = 1, median of {} rounds; {} CPUs {}, Linux {}, {}",
        report.rounds, host.cores, host.cpu, host.kernel, host.date
    )
}

fn draw(document: Document, row: &Row, top: f64) -> Document {
    let length = row.ratio.clamp(0.0, 1.1) * UNIT;
    let baseline = top + BAR * 0.75;
    let figure = format!("{:.2}", row.ratio);
    // Inside the bar, at its end: beyond it the figure could overlap something else.
    let (x, anchor, class) = if row.ratio < SHORT {
        (BARS + length + 6.0, "start", "")
    } else {
        (BARS + length - 6.0, "end", "figure")
    };
    let bar = Rectangle::new()
        .set("x", BARS)
        .set("y", top)
        .set("width", length)
        .set("height", BAR)
        .set("rx", 2)
        .set("class", if is_tracer(&row.contestant) { "tracer" } else { "bar" });
    let document = document
        .add(text(&row.contestant, NAMES, baseline, "end", ""))
        .add(bar)
        .add(text(&figure, x, baseline, anchor, class));
    match RATIOS.iter().find(|(name, _)| *name == row.contestant) {
        // Below the bar, so that it does not cover the figure.
        Some((_, asked)) => document.add(mark(BARS + asked * UNIT, top + BAR + 1.0)),
        None => document,
    }
}

/// A triangle that points up to `x`.
fn mark(x: f64, top: f64) -> Polygon {
    let bottom = top + 9.0;
    Polygon::new()
        .set("points", format!("{x},{top} {},{bottom} {},{bottom}", x - 5.0, x + 5.0))
        .set("class", "mark")
}

fn text(words: &str, x: f64, y: f64, anchor: &str, class: &str) -> Text {
    let text = Text::new(words).set("x", x).set("y", y).set("text-anchor", anchor);
    if class.is_empty() { text } else { text.set("class", class) }
}

#[expect(clippy::cast_precision_loss, reason = "rows of a chart")]
fn float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::host::Host;

    #[test]
    fn each_contestant_has_a_bar_and_targets_have_marks() {
        let row = |name: &str, ratio| Row { contestant: name.to_owned(), ratio, ..Row::default() };
        let rows = vec![row("untraced", 1.0), row("log", 0.81), row("bpftrace", 0.02)];
        let report = Report { rows, ..Report::new(Host::here(), 5, 3.0, Vec::new()) };
        let chart = chart(&report);
        assert_eq!(chart.matches("<rect").count(), 3);
        assert_eq!(chart.matches("<polygon").count(), 2, "log's and the legend's");
        assert!(chart.contains("0.81") && chart.contains("0.02"));
    }
}
