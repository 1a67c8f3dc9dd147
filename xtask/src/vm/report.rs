//! The results of the guests as tables, and what failed.

use std::iter;

use comfy_table::{CellAlignment, Table, presets::ASCII_MARKDOWN};
use guest::{Cost, Found, Length, Report};

use crate::vm::{
    guest::{Run, scenarios},
    known::Known,
};

const HEADER: [&str; 15] = [
    "kernel",
    "arch",
    "check",
    "fentry",
    "TIME_WAIT s",
    "list",
    "events",
    "stories",
    "owners",
    "in kernel",
    "VRFs",
    "verified",
    "load ms",
    "time s",
    "result",
];

/// The cost of other programs is a multiple of this one's. The kernel has cut its name to 15 characters.
const UNIT: &str = "inet_sock_set_s";

/// The width of names in the output of `tracer check`.
const NAME_WIDTH: usize = 24;

/// The row of one guest.
#[derive(Default)]
struct Row {
    check: String,
    hooks: String,
    time_wait: String,
    list: String,
    events: String,
    stories: String,
    owners: String,
    in_kernel: String,
    vrf: String,
    verified: String,
    load_ms: String,
}

/// The table of all guests.
pub(crate) fn table(runs: &[Run], known: &Known) -> String {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header(HEADER);
    for column in [4, 5, 6, 7, 8, 9, 10, 11, 12, 13] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for run in runs {
        let mut row = Row::default();
        for report in &run.reports {
            row.take(report);
        }
        let result = if failures(run, known).is_empty() { "ok" } else { "FAILED" };
        table.add_row([
            run.kernel.name.clone(),
            run.kernel.arch.name().to_owned(),
            row.check,
            row.hooks,
            row.time_wait,
            row.list,
            row.events,
            row.stories,
            row.owners,
            row.in_kernel,
            row.vrf,
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
                self.verified = grouped(*verified);
            }
            Ok(Found::List { sockets }) => self.list = sockets.to_string(),
            Ok(Found::Oracle { tracer, lost, kernel, differences }) => {
                let sign = if differences.is_empty() && tracer + lost == *kernel { "=" } else { "≠" };
                let lost = if *lost > 0 { format!(" + {lost} lost") } else { String::new() };
                self.events = format!("{}{lost} {sign} {}", grouped(*tracer as u64), grouped(*kernel as u64));
            }
            Ok(Found::Hooks { used }) => self.hooks = words(used),
            Ok(Found::TimeWait(length)) => {
                self.time_wait = length.map_or_else(|| "-".to_owned(), |length| seconds(&length));
            }
            Ok(Found::Story { connections }) => self.stories = connections.to_string(),
            Ok(Found::Owners { wrong, unknown, sure, marked, has_ktls }) => {
                let ktls = if *has_ktls { " kTLS" } else { "" };
                self.owners = format!("{wrong} {unknown} {sure} {marked}{ktls}");
            }
            Ok(Found::InKernel { connections }) => self.in_kernel = connections.to_string(),
            Ok(Found::Vrf { connections }) => self.vrf = connections.to_string(),
            Ok(
                Found::Kernel { .. } | Found::Package { .. } | Found::AfterPowerCut { .. } | Found::Costs(_),
            )
            | Err(_) => {}
        }
    }
}

/// How many lines of `tracer check` are met, and the names of those that are not.
fn checks(text: &str) -> String {
    let met = text.lines().filter(|line| line.starts_with('✓')).count();
    let missing: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("✗ ")).collect();
    let name = |line: &&str| line.chars().take(NAME_WIDTH).collect::<String>().trim_end().to_owned();
    let names = missing.iter().map(name).collect::<Vec<_>>().join(", ");
    let without = if names.is_empty() { String::new() } else { format!(", not {names}") };
    format!("{met} of {}{without}", met + missing.len())
}

/// Short names for the hooks at functions.
fn words(hooks: &[String]) -> String {
    let word = |hook: &String| match &**hook {
        "inet_csk_accept" => Some("accept"),
        "inet_twsk_kill" => Some("timewait"),
        "inet_csk_reqsk_queue_hash_add" => Some("half-open"),
        _ => None,
    };
    let words: Vec<_> = hooks.iter().filter_map(word).collect();
    if words.is_empty() { "-".to_owned() } else { words.join(" ") }
}

/// The duration of TIME_WAIT, and its possible error.
fn seconds(length: &Length) -> String {
    let seconds = format!("{:.2}", length.state_us / 1e6);
    if length.error_us > 0.0 { format!("{seconds} ± {:.2}", length.error_us / 1e6) } else { seconds }
}

/// The table of what tracer's programs cost per run on each kernel, as multiples of the program on the
/// tracepoint. The cost is in instructions, because nanoseconds of an emulated processor mean nothing.
pub(crate) fn costs<'a>(runs: &'a [Run]) -> String {
    let costs = |run: &'a Run| {
        run.reports.iter().find_map(|report| match &report.result {
            Ok(Found::Costs(costs)) => Some((run, ratios(costs))),
            _ => None,
        })
    };
    let columns: Vec<_> = runs.iter().filter_map(costs).collect();
    let mut programs: Vec<_> =
        columns.iter().flat_map(|(_, ratios)| ratios.iter().map(|(program, _)| *program)).collect();
    programs.sort_unstable();
    programs.dedup();
    let mut table = Table::new();
    let names =
        columns.iter().map(|(run, _)| format!("{} {}", short(&run.kernel.name), run.kernel.arch.name()));
    table.load_preset(ASCII_MARKDOWN).set_header(iter::once("program".to_owned()).chain(names));
    for program in programs {
        let cell = |ratios: &[(&str, f64)]| {
            let ratio = ratios.iter().find(|(name, _)| *name == program);
            ratio.map_or_else(|| "-".to_owned(), |(_, ratio)| format!("{ratio:.2}"))
        };
        let cells = columns.iter().map(|(_, ratios)| cell(ratios));
        table.add_row(iter::once(program.to_owned()).chain(cells));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

/// Programs that have run, and the cost of a run as a multiple of [`UNIT`]'s.
fn ratios(costs: &[Cost]) -> Vec<(&str, f64)> {
    let each = |cost: &Cost| u32::try_from(cost.nanoseconds.checked_div(cost.runs)?).ok().map(f64::from);
    // A second program has the same cut name. The one that has run is meant.
    let unit =
        costs.iter().filter(|cost| cost.program == UNIT).max_by_key(|cost| cost.nanoseconds).and_then(each);
    let Some(unit) = unit else {
        return Vec::new();
    };
    let others = costs.iter().filter(|cost| cost.program != UNIT);
    others.filter_map(|cost| Some((&*cost.program, each(cost)? / unit))).collect()
}

/// The version in a release, without Debian's suffixes.
fn short(release: &str) -> &str {
    release.split(['+', '-']).next().unwrap_or(release)
}

fn grouped(number: impl Into<u64>) -> String {
    let digits = number.into().to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// What went wrong in a guest.
pub(crate) fn failures(run: &Run, known: &Known) -> Vec<String> {
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
            Ok(_) => None,
        };
        failures.extend(failure.map(|failure| format!("{}: {failure}", report.scenario)));
    }
    failures.extend(run.seen().into_iter().flat_map(|seen| known.judge(&seen)));
    let has_reported = |name: &str| run.reports.iter().any(|report| report.scenario == name);
    let silent: Vec<_> = scenarios(run.play).iter().copied().filter(|name| !has_reported(name)).collect();
    if !silent.is_empty() {
        let (silent, console) = (silent.join(", "), run.console.display());
        failures.push(format!("no report of {silent}; the console, {console}, ends with:\n{}", run.tail()));
    }
    failures
}
