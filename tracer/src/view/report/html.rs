//! The page itself.

use askama::Template;

use crate::{
    aggregate::{findings::FindingKind, report::Report, totals::begins_connection},
    explain::diagram::svg::{self, PICTURE, PictureArrow, PictureBox},
    facts::context::Context,
    text::{duration::duration, width::grouped},
    view::{
        ClosingReceipt,
        report::{ReportOptions, changed::ChangedWords, counts::LossSpan, data::PageData, told::ToldFinding},
    },
};

/// The style, and its hash for the policy of the page.
const STYLE: &str = include_str!("page/report.css");
const STYLE_HASH: &str = include_str!("page/report.css.sha256");

/// The script, and its hash.
const SCRIPT: &str = concat!(
    "'use strict';\n(() => {\n",
    include_str!("page/elements.js"),
    include_str!("page/words.js"),
    include_str!("page/sums.js"),
    include_str!("page/timeline.js"),
    include_str!("page/charts.js"),
    include_str!("page/map.js"),
    include_str!("page/changed.js"),
    include_str!("page/tables.js"),
    include_str!("page/start.js"),
    "})();\n",
);
const SCRIPT_HASH: &str = include_str!("page/report.js.sha256");

/// Findings of a kind that are told in full.
const CARDS: usize = 4;

/// What the page is made of.
pub(super) struct PageParts<'a> {
    pub(super) host: &'a str,
    pub(super) options: &'a ReportOptions,
    pub(super) total: &'a Report,
    pub(super) findings: &'a [ToldFinding],
    /// How many findings more there are.
    pub(super) more: u64,
    pub(super) changed: Option<ChangedWords<'a>>,
    pub(super) losses: &'a [LossSpan],
    pub(super) receipt: &'a ClosingReceipt,
    pub(super) context: &'a Context,
    /// When it begins, in nanoseconds.
    pub(super) begin_ns: u64,
    pub(super) data: &'a PageData<'a>,
}

/// A finding with the span of the page's time in which it was there: its beginning and its length in thousandths.
struct FindingCard<'a> {
    finding: &'a ToldFinding,
    bar: Option<(u64, u64)>,
}

/// A loss in words.
struct LossRow {
    from: String,
    until: String,
    count: String,
}

#[derive(Template)]
#[template(path = "report.html")]
struct Html<'a> {
    page: &'a PageParts<'a>,
    style: &'static str,
    style_hash: &'static str,
    script: &'static str,
    script_hash: &'static str,
    version: &'static str,
    from: String,
    until: String,
    length: String,
    begun: String,
    ended: String,
    failed: String,
    findings: Vec<FindingCard<'a>>,
    /// More of the same kinds.
    others: Vec<&'a ToldFinding>,
    kinds: Vec<&'static str>,
    losses: Vec<LossRow>,
    picture: (usize, usize),
    half: (usize, usize),
    boxes: Vec<PictureBox>,
    arrows: Vec<PictureArrow>,
    data: String,
}

impl PageParts<'_> {
    /// Appends it.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let reasons = self.total.reasons.as_deref().unwrap_or_default();
        let ended: u64 = reasons.iter().map(|reason| reason.count).sum();
        let orderly: u64 = reasons.iter().filter(|reason| reason.is_orderly).map(|reason| reason.count).sum();
        let births = self.total.transitions.iter();
        let births =
            births.filter(|count| begins_connection(count.old_state.number(), count.new_state.number()));
        let begun = births.map(|birth| birth.count).sum();
        let (cards, others) = self.cards();
        let clock = |ns: u64| self.context.clock.wall(ns).strftime("%Y-%m-%d %H:%M:%S%.3f").to_string();
        let day = |time: jiff::Timestamp| time.strftime("%Y-%m-%d %H:%M:%S").to_string();
        let html = Html {
            page: self,
            style: STYLE,
            style_hash: STYLE_HASH.trim_ascii(),
            script: SCRIPT,
            script_hash: SCRIPT_HASH.trim_ascii(),
            version: env!("CARGO_PKG_VERSION"),
            from: day(self.total.period.from),
            until: day(self.total.period.to),
            length: duration(self.total.period.duration_ns),
            begun: grouped(begun),
            ended: grouped(ended),
            failed: grouped(ended - orderly),
            findings: cards,
            others,
            kinds: FindingKind::all().map(FindingKind::name).collect(),
            losses: self
                .losses
                .iter()
                .map(|loss| LossRow {
                    from: clock(loss.from_ns),
                    until: clock(loss.until_ns),
                    count: grouped(loss.count),
                })
                .collect(),
            picture: PICTURE,
            half: (svg::BOX.0 / 2, svg::BOX.1 / 2),
            boxes: svg::boxes().collect(),
            arrows: svg::arrows().collect(),
            data: self.data.inert(),
        };
        // Writing into memory cannot fail.
        let _ = html.write_into(out);
    }

    /// The heaviest findings of each kind, and the others.
    fn cards(&self) -> (Vec<FindingCard<'_>>, Vec<&ToldFinding>) {
        let (mut cards, mut others) = (Vec::new(), Vec::new());
        for finding in self.findings {
            let is_it = |card: &&FindingCard<'_>| card.finding.name == finding.name;
            if cards.iter().filter(is_it).count() < CARDS {
                cards.push(self.card(finding));
            } else {
                others.push(finding);
            }
        }
        (cards, others)
    }

    fn card<'b>(&self, finding: &'b ToldFinding) -> FindingCard<'b> {
        let (begin_ns, length_ns) = (self.begin_ns, self.total.period.duration_ns.max(1));
        let part = |ns: u64| {
            let passed = u128::from(ns.saturating_sub(begin_ns)) * 1000 / u128::from(length_ns);
            u64::try_from(passed).unwrap_or(1000).min(1000)
        };
        let bar = finding.span_ns.map(|(first_ns, last_ns)| {
            let (first, last) = (part(first_ns), part(last_ns));
            (first.min(990), (last - first).max(10))
        });
        FindingCard { finding, bar }
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use sha2::{Digest as _, Sha256};

    use super::*;

    /// The policy lets only this style and this script work.
    #[test]
    fn hashes_are_those_of_the_style_and_the_script() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/view/report/page/");
        for (text, file) in [(STYLE, "report.css.sha256"), (SCRIPT, "report.js.sha256")] {
            let hash = STANDARD.encode(Sha256::digest(text)) + "\n";
            let path = format!("{folder}{file}");
            if std::env::var_os("UPDATE_DOCS").is_some() {
                std::fs::write(&path, &hash).unwrap();
            }
            assert_eq!(
                std::fs::read_to_string(path).unwrap(),
                hash,
                "UPDATE_DOCS=1 cargo test -p tracer, twice"
            );
        }
    }

    /// Nothing in them may end the element that they stand in.
    #[test]
    fn style_and_script_stay_in_their_elements() {
        for text in [STYLE, SCRIPT] {
            assert!(!text.contains("</") && !text.contains("<!--"));
        }
    }

    /// What a policy forbids, and what would ask a network.
    #[test]
    fn the_script_makes_no_markup_and_asks_nobody() {
        for word in [
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
            "fetch(",
            "http:",
            "https:",
        ] {
            let allowed = SCRIPT.replace("http://www.w3.org/2000/svg", "");
            assert!(!allowed.contains(word), "{word}");
        }
    }
}
