//! Trouble that stands out, a line for each finding.

use ratatui::{
    layout::Rect,
    text::{Line, Span},
};
use unicode_width::UnicodeWidthStr as _;

use super::{bold, dim, plain, style_of};
use crate::{
    aggregate::findings::{Finding, Tendency},
    tcp::{colour, state::State},
    text::width::{bars_within, grouped, left, right, short},
    view::top::model::Model,
};

/// Width of the longest name.
const NAME: usize = 16;
/// Width of a count.
const COUNT: usize = 5;
/// Width of a process's name on a narrow screen.
const COMM: usize = 8;
/// From this width on there is room for all that is known.
const WIDE: usize = 100;
/// Width of the bars of a trend on a screen of 80 columns.
const BARS: usize = 6;

/// Number of lines on a screen of this height: findings take at most a sixth of it.
pub(super) fn height(model: &Model, screen: u16) -> u16 {
    let found = u16::try_from(model.findings.found().len()).unwrap_or(u16::MAX);
    found.clamp(1, (screen / 6).max(1))
}

/// The heaviest findings.
pub(super) fn lines<'a>(model: &Model, area: Rect) -> Vec<Line<'a>> {
    let found = model.findings.found();
    if found.is_empty() {
        return vec![Line::from(dim(quiet(model)))];
    }
    let rows = usize::from(area.height);
    let more = found.len().saturating_sub(rows);
    let lines = found.iter().take(rows).enumerate().map(|(index, finding)| {
        // The last line says how many there are besides.
        let rest = if index + 1 == rows && more > 0 { format!("  +{more} more") } else { String::new() };
        line(index + 1, finding, &rest, usize::from(area.width))
    });
    lines.collect()
}

fn line<'a>(number: usize, finding: &Finding, rest: &str, width: usize) -> Line<'a> {
    let bars = BARS + width.saturating_sub(80) / 8;
    let taken = 2 + NAME + 1 + COUNT + 2 + rest.width() + 1 + bars + 2;
    let room = width.saturating_sub(taken);
    let (place, process) = (finding.whom.place(), finding.whom.process());
    let evidence = Some(finding.evidence.clone()).filter(|evidence| !evidence.is_empty());
    let in_order = match place {
        None => [process, evidence, None],
        // There is no room for the pid, nor for a long name.
        Some(_) if width < WIDE => {
            let comm = finding.whom.comm.as_ref().map(|comm| left(comm, COMM).trim_end().to_owned());
            [place, comm, evidence]
        }
        Some(_) => [place, process, evidence],
    };
    let words: Vec<String> = in_order.into_iter().flatten().collect();
    let key = if number <= 9 { number.to_string() } else { " ".to_owned() };
    let arrow = match finding.trend {
        Tendency::Growing => "↗",
        Tendency::Steady => " ",
        Tendency::Falling => "↘",
    };
    Line::from(vec![
        bold(format!("{key} ")),
        Span::styled(left(finding.kind.name(), NAME), style_of(colour::STUCK)),
        bold(format!(" {}  ", right(&short(finding.count), COUNT))),
        plain(left(&words.join("  "), room)),
        dim(rest.to_owned()),
        plain(format!(" {}{arrow}", right(&bars_within(finding.samples.iter().copied(), bars), bars))),
    ])
}

/// What is said if there is no finding.
fn quiet(model: &Model) -> String {
    let older = (0..).zip(model.undecided).filter(|(_, count)| *count > 0);
    let older: Vec<String> =
        older.map(|(state, count)| format!("{} {}", grouped(count), State::from_kernel(state))).collect();
    if !model.findings.is_loss_known() {
        "nothing is wrong in what was seen; how many events were lost is not known".to_owned()
    } else if older.is_empty() {
        "nothing is wrong".to_owned()
    } else {
        format!("nothing is wrong, as far as is known of older sockets: {}", older.join(", "))
    }
}
