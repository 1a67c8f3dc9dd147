//! What the guests told, as a table.

use comfy_table::{CellAlignment, Table, presets::ASCII_MARKDOWN};
use guest::{Found, Report};

use crate::vm::{budget::Budget, guest::Run};

/// The scenarios that every guest has to report.
const SCENARIOS: [&str; 6] = ["kernel", "check", "load", "oracle", "story", "hooks"];

const HEADER: [&str; 10] =
    ["kernel", "arch", "check", "fentry", "events", "stories", "verified", "load ms", "time s", "result"];

/// How wide the names of points are in what `tracer check` says.
const NAME_WIDTH: usize = 24;

/// One guest, as a row.
#[derive(Default)]
struct Row {
    check: String,
    hooks: String,
    events: String,
    stories: String,
    verified: String,
    load_ms: String,
}

/// The table of all guests.
pub(crate) fn table(runs: &[Run], budget: &Budget) -> String {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header(HEADER);
    for column in [4, 5, 6, 7, 8] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for run in runs {
        let mut row = Row::default();
        for report in &run.reports {
            row.take(report);
        }
        let result = if failures(run, budget).is_empty() { "ok" } else { "FAILED" };
        table.add_row([
            run.kernel.name.clone(),
            run.kernel.arch.name().to_owned(),
            row.check,
            row.hooks,
            row.events,
            row.stories,
            row.verified,
            row.load_ms,
            format!("{:.1}", run.took.as_secs_f64()),
            result.to_owned(),
        ]);
    }
    table.to_string()
}

impl Row {
    fn take(&mut self, report: &Report) {
        match &report.result {
            Ok(Found::Check { text, .. }) => self.check = checks(text),
            Ok(Found::Load { milliseconds, verified }) => {
                self.load_ms = milliseconds.to_string();
                self.verified = verified.map_or_else(|| "-".to_owned(), grouped);
            }
            Ok(Found::Oracle { tracer, lost, kernel, differences }) => {
                let sign = if differences.is_empty() && tracer + lost == *kernel { "=" } else { "≠" };
                let lost = if *lost > 0 { format!(" + {lost} lost") } else { String::new() };
                self.events = format!("{}{lost} {sign} {}", grouped(*tracer as u64), grouped(*kernel as u64));
            }
            Ok(Found::Hooks { used }) => self.hooks = words(used),
            Ok(Found::Story { connections }) => self.stories = connections.to_string(),
            Ok(Found::Kernel { .. }) | Err(_) => {}
        }
    }
}

/// How many points of the checklist are met, and which are not.
fn checks(text: &str) -> String {
    let met = text.lines().filter(|line| line.starts_with('✓')).count();
    let missing: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("✗ ")).collect();
    let name = |line: &&str| line.chars().take(NAME_WIDTH).collect::<String>().trim_end().to_owned();
    let names = missing.iter().map(name).collect::<Vec<_>>().join(", ");
    let without = if names.is_empty() { String::new() } else { format!(", not {names}") };
    format!("{met} of {}{without}", met + missing.len())
}

/// What the functions are for.
fn words(functions: &[String]) -> String {
    let word = |function: &String| match &**function {
        "inet_csk_accept" => "accept",
        "inet_twsk_kill" => "timewait",
        "inet_csk_reqsk_queue_hash_add" => "half-open",
        _ => "?",
    };
    let words: Vec<_> = functions.iter().map(word).collect();
    if words.is_empty() { "-".to_owned() } else { words.join(" ") }
}

fn grouped(number: impl Into<u64>) -> String {
    let digits = number.into().to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// What is wrong with a guest.
pub(crate) fn failures(run: &Run, budget: &Budget) -> Vec<String> {
    let mut failures: Vec<String> = run.trouble.iter().cloned().collect();
    for report in &run.reports {
        let failure = match &report.result {
            Err(error) => Some(error.trim_end().to_owned()),
            Ok(Found::Check { passed: false, text }) => Some(text.trim_end().to_owned()),
            Ok(Found::Oracle { tracer, lost, kernel, differences })
                if !differences.is_empty() || tracer + lost != *kernel =>
            {
                Some(format!("tracer and the kernel's trace differ:\n{}", differences.join("\n")))
            }
            Ok(Found::Load { verified: Some(count), .. }) => {
                budget.judge(run.kernel.arch, &run.kernel.name, *count)
            }
            Ok(_) => None,
        };
        failures.extend(failure.map(|failure| format!("{}: {failure}", report.scenario)));
    }
    let told = |name: &str| run.reports.iter().any(|report| report.scenario == name);
    let silent: Vec<_> = SCENARIOS.into_iter().filter(|name| !told(name)).collect();
    if !silent.is_empty() {
        let (silent, console) = (silent.join(", "), run.console.display());
        failures.push(format!("no report of {silent}; its console, {console}, ends so:\n{}", run.tail()));
    }
    failures
}
