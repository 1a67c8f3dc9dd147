//! A page for people: what is wrong now, and links. It has no script.

use std::fmt::Write as _;

use crate::{
    aggregate::findings::{Finding, Findings},
    facts::context::Context,
};

/// Findings that are shown.
const SHOWN: usize = 10;

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;\
                     color-scheme:light dark}table{border-collapse:collapse}td,th{text-align:left;\
                     padding:.2rem 1rem .2rem 0}";

/// Appends the page.
pub(super) fn write(findings: &Findings, context: &Context, out: &mut Vec<u8>) {
    let host = text(&context.host);
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>tracer on {host}</title>\
         <style>{STYLE}</style></head><body><h1>tracer on {host}</h1><h2>What is wrong now</h2>"
    );
    let found = findings.found();
    if found.is_empty() {
        page.push_str("<p>Nothing was found.</p>");
    } else {
        page.push_str("<table><tr><th>Finding</th><th>How many</th><th>Whose</th><th>Where</th></tr>");
        found.iter().take(SHOWN).for_each(|finding| row(finding, &mut page));
        page.push_str("</table>");
    }
    if found.len() > SHOWN {
        // Writing into memory cannot fail.
        let _ = write!(page, "<p>{} more.</p>", found.len() - SHOWN);
    }
    page.push_str(
        "<h2>For machines</h2><ul><li><a href=\"/metrics\">/metrics</a>: Prometheus, OpenMetrics</li>\
         <li><a href=\"/healthz\">/healthz</a>: it runs</li><li><a href=\"/readyz\">/readyz</a>: it counts</li></ul>\
         </body></html>\n",
    );
    out.extend_from_slice(page.as_bytes());
}

fn row(finding: &Finding, page: &mut String) {
    let words = [
        finding.kind.name().to_owned(),
        finding.count.to_string(),
        finding.whom.process().unwrap_or_default(),
        finding.whom.place().unwrap_or_default(),
    ];
    page.push_str("<tr>");
    for word in words {
        let _ = write!(page, "<td>{}</td>", text(&word));
    }
    page.push_str("</tr>");
}

/// Text that is no markup.
fn text(text: &str) -> String {
    text.chars().fold(String::new(), |mut safe, c| {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
        safe
    })
}
