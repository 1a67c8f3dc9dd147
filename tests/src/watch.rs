//! What somebody on call sees: the first screen of `top`, a summary each second, and a log.

use std::{
    net::SocketAddr,
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    patience::until_or,
    place::Place,
    program::Program,
    screen::Screen,
    story::{Line, lines, text, whole},
    tracer::{binary, command, started},
};

/// So soon after its threshold a finding has to be there. Tests that ask for it run alone.
pub const SOON: Duration = Duration::from_secs(5);

/// Waits until `top` has drawn its list: of connections, or of groups where there are more than rows.
pub fn wait_for_list(screen: &Screen) -> String {
    let of_connections = |shown: &str| shown.contains("AGE") && shown.contains("STATE");
    let of_groups = |shown: &str| shown.contains("CONNS") && shown.contains("OLDEST");
    screen.wait_for("the list", |shown| of_connections(shown) || of_groups(shown))
}

/// A `top` of 80 columns and 24 lines, a summary and a log of the same namespace.
pub struct Watch {
    screen: Screen,
    summary: Program,
    log: Program,
}

impl Watch {
    /// Starts them. `thresholds` are options of `top` and `summary`, `log` is the command that makes the log.
    pub fn new(place: &Place, thresholds: &str, log: &str) -> Self {
        Self::of(place.name(), thresholds, log)
    }

    /// The same for several namespaces, whose names are separated by commas.
    pub fn of(netns: &str, thresholds: &str, log: &str) -> Self {
        // None waits for another.
        let run = |arguments: String| Program::collect(&mut command(&arguments));
        let summary = run(format!("summary -o json --interval 1s {thresholds} --netns {netns}"));
        let log = run(format!("{log} -o json --netns {netns}"));
        let top = format!("{} top {thresholds} --netns {netns}", binary().display());
        let screen = Screen::run(80, 24, &top);
        wait_for_list(&screen);
        Self { screen, summary: started(summary), log: started(log) }
    }

    /// The summaries so far.
    pub fn summaries(&self) -> Vec<Line> {
        lines(whole(&self.summary.out()))
    }

    /// The findings of the last summary.
    fn findings(&self) -> Vec<Line> {
        let last = self.summaries().pop();
        last.map_or_else(Vec::new, |report| findings(&report))
    }

    /// Waits until the summary and the screen have a finding, and returns it. `due` is when its threshold is
    /// passed: both have to tell it soon. `enough` is what it has to say, `words` what stands on the screen.
    pub fn finds(&self, kind: &str, due: Instant, enough: impl Fn(&Line) -> bool, words: &[&str]) -> Line {
        let probe = || self.findings().into_iter().find(|line| text(line, "finding") == kind && enough(line));
        let found = until_or(kind, probe, || self.told());
        let summary_took = due.elapsed();
        self.shows(kind, words);
        let top_took = due.elapsed();
        println!("{kind}: summary after {summary_took:?}, top after {top_took:?}: {found}");
        assert!(summary_took < SOON && top_took < SOON, "{summary_took:?}, {top_took:?}\n{}", self.told());
        found
    }

    /// Waits for a summary of an interval that has begun since.
    pub fn next_summary(&self) {
        let before = self.summaries().len();
        until_or("two summaries", || (self.summaries().len() > before + 1).then_some(()), || self.told());
    }

    /// What all summaries so far have found.
    pub fn all_findings(&self) -> Vec<Line> {
        self.summaries().iter().flat_map(findings).collect()
    }

    /// Waits until a line of the strip begins with this finding, and has these words.
    fn shows(&self, kind: &str, words: &[&str]) {
        let is_told = |line: &str| {
            let mut told = line.split_whitespace().skip(1);
            told.next() == Some(kind) && words.iter().all(|word| line.contains(word))
        };
        self.screen.wait_for(&format!("{kind} with {words:?}"), |shown| shown.lines().any(is_told));
    }

    /// Waits until so many lines of the log satisfy `condition`, and returns them. `due` is when they could be there:
    /// they have to be told soon.
    pub fn logs(
        &self,
        what: &str,
        due: Instant,
        count: usize,
        condition: impl Fn(&Line) -> bool,
    ) -> Vec<Line> {
        let probe = || {
            let lines: Vec<_> =
                lines(whole(&self.log.out())).into_iter().filter(|line| condition(line)).collect();
            (lines.len() >= count).then_some(lines)
        };
        let lines = until_or(what, probe, || self.log.out() + &self.log.err());
        let took = due.elapsed();
        println!("{what}: log after {took:?}");
        assert!(took < SOON, "{what}: {took:?}");
        lines
    }

    /// Waits until the reports count so many, in this column, of the rows of a ranking that satisfy `condition`.
    pub fn ranks(&self, by: &str, condition: impl Fn(&Line) -> bool, column: &str, count: u64) {
        let rows = || -> Vec<Line> {
            let reports = self.summaries();
            let tables = reports.iter().filter_map(|report| report["top"].as_array()).flatten();
            let tables = tables.filter(|table| text(table, "by") == by);
            tables.filter_map(|table| table["rows"].as_array()).flatten().cloned().collect()
        };
        let sum = || {
            let rows = rows();
            let matching = rows.iter().filter(|row| condition(row));
            matching.filter_map(|row| row[column].as_u64()).sum::<u64>()
        };
        let what = format!("{count} {column} by {by}");
        until_or(&what, || (sum() == count).then_some(()), || format!("{:#?}", rows()));
    }

    /// Waits until the screen satisfies `condition`, and returns it.
    pub fn sees(&self, what: &str, condition: impl Fn(&str) -> bool) -> String {
        self.screen.wait_for(what, condition)
    }

    /// Panics unless nothing has been found so far, and the screen says so.
    pub fn finds_nothing(&self) {
        // What the kernel keeps from tracer is none of the namespace's trouble.
        let is_lost = |line: &Line| text(line, "finding") == "lost";
        let found: Vec<_> = self.all_findings().into_iter().filter(|line| !is_lost(line)).collect();
        assert_eq!(found, Vec::<Line>::new(), "{}", self.told());
        let shown = self.screen.shown();
        assert!(shown.contains("nothing is wrong") || shown.contains("1 lost "), "{shown}");
    }

    /// The screen, and the findings of the last summary.
    pub fn told(&self) -> String {
        let findings: Vec<_> = self.findings().iter().map(Line::to_string).collect();
        format!("{}\n{}\n{}", self.screen.shown(), findings.join("\n"), self.summary.err())
    }
}

/// The findings of a summary.
fn findings(report: &Line) -> Vec<Line> {
    report["findings"].as_array().unwrap_or_else(|| panic!("no findings in {report}")).clone()
}

/// A python program in a namespace that has printed `ready`.
pub fn python(place: &Place, script: &str, arguments: &[&str]) -> Program {
    ready(place.command("python3").args(["-c", script]).args(arguments))
}

/// Starts a program, and waits until it has printed `ready`.
pub fn ready(command: &mut Command) -> Program {
    let mut program = Program::collect(command);
    program.wait_for_out("`ready`", |out| out.contains("ready\n"));
    program
}

/// Whether a finding is this process's.
pub fn is_of(line: &Line, process: &Program) -> bool {
    // `ip netns exec` becomes the program, so both have the same process id.
    line["pid"] == process.pid() && text(line, "comm").starts_with("python3")
}

/// Whether it is a finding about this target.
pub fn goes_to(line: &Line, target: SocketAddr) -> bool {
    text(line, "remote_addr") == target.ip().to_string() && line["remote_port"] == target.port()
}
