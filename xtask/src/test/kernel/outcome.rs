//! The output of a test program, and what it says of its tests.

use std::time::Duration;

/// Part of tracer's receipt when the kernel kept an event from it, because the kernel does not run a program
/// that would interrupt itself. Nobody knows which connection that was, so durations in progress become
/// unknown, and a test that asks for one proves nothing. On a processor that is busy with connections it
/// happens about once in twenty million transitions.
const DISTURBED: &str = "happened while the kernel program was busy on the same CPU";

pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) is_ok: bool,
    pub(crate) said: String,
    pub(crate) took: Duration,
    /// Tests that passed before disturbed ones were run again.
    pub(crate) passed_before: u64,
    /// Tests that were run again.
    pub(crate) repeated: Vec<String>,
}

impl Outcome {
    /// How many tests passed, according to the last line.
    pub(crate) fn passed(&self) -> u64 {
        let last = self.said.lines().rev().find_map(|line| line.strip_prefix("test result: "));
        let before = last.and_then(|line| line.split_once(" passed;"));
        let count = before.and_then(|(before, _)| before.rsplit(' ').next()?.parse().ok());
        self.passed_before + count.unwrap_or(0_u64)
    }

    /// The tests that failed, if the kernel kept an event from tracer in each of them; else none.
    pub(crate) fn disturbed(&self) -> Vec<&str> {
        let (outputs, names) = self.failures().rsplit_once("\nfailures:\n").unwrap_or_default();
        let is_disturbed = |name: &str| {
            let begin = format!("{name} stdout ----\n");
            let output = outputs.split("\n---- ").find(|output| output.starts_with(&begin));
            output.is_some_and(|output| output.contains(DISTURBED))
        };
        let names = names.lines().map_while(|line| line.strip_prefix("    "));
        let disturbed: Option<_> = names.map(|name| is_disturbed(name).then_some(name)).collect();
        disturbed.unwrap_or_default()
    }

    /// The outcome of both runs, after the disturbed tests were run again.
    pub(crate) fn then(mut self, again: Self) -> Self {
        let disturbed: Vec<_> = self.disturbed().into_iter().map(str::to_owned).collect();
        self.repeated.extend(disturbed);
        Self { took: self.took + again.took, passed_before: self.passed(), repeated: self.repeated, ..again }
    }

    /// Prints the output, unless no test of the program was asked for.
    pub(crate) fn show(&self) {
        if self.has_tests() {
            println!("--- {} ({:.1} s)\n{}", self.name, self.took.as_secs_f32(), self.said);
        }
    }

    /// Whether any test was asked for in the program.
    pub(crate) fn has_tests(&self) -> bool {
        !self.is_ok || self.passed() > 0
    }

    /// The output and the names of the tests that failed. If there is no such list, the whole output.
    pub(crate) fn failures(&self) -> &str {
        self.said.find("\nfailures:\n").map_or(&*self.said, |at| self.said[at..].trim_start())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(said: &str, is_ok: bool) -> Outcome {
        Outcome {
            name: "test".into(),
            is_ok,
            said: said.into(),
            took: Duration::ZERO,
            passed_before: 0,
            repeated: Vec::new(),
        }
    }

    #[test]
    fn passed_and_failed_ones_are_found() {
        let ok = of(
            "\nrunning 2 tests\ntest a ... ok\n\ntest result: ok. 12 passed; 0 failed; 3 ignored\n\n",
            true,
        );
        assert_eq!((ok.passed(), ok.has_tests()), (12, true));
        let none = of("\nrunning 0 tests\n\ntest result: ok. 0 passed; 0 failed; 0 ignored\n\n", true);
        assert!(!none.has_tests());
        let failed = of(
            "test a ... FAILED\n\nfailures:\n\n---- a stdout ----\nwhy\n\nfailures:\n    a\n\ntest result: FAILED. 1 passed; 1 failed\n",
            false,
        );
        assert_eq!(failed.passed(), 1);
        assert!(failed.failures().starts_with("failures:\n\n---- a stdout ----\nwhy"));
        assert_eq!(of("Segmentation fault", false).failures(), "Segmentation fault");
        assert!(of("", false).has_tests());
    }

    #[test]
    fn only_disturbed_tests_run_again() {
        let receipt = format!("tracer: seen 3, shown 2, filtered 0, lost 1; 1 {DISTURBED}\n");
        let failed = |last: &str| {
            let said = format!(
                "test a ... FAILED\n\nfailures:\n\n---- a stdout ----\n{receipt}\n---- b::c stdout ----\n{last}\n\nfailures:\n    a\n    b::c\n\ntest result: FAILED. 1 passed; 2 failed\n",
            );
            of(&said, false)
        };
        assert_eq!(failed(&receipt).disturbed(), ["a", "b::c"]);
        assert!(failed("why").disturbed().is_empty());
        assert!(of("Segmentation fault", false).disturbed().is_empty());
        let ok = of(&format!("{receipt}\ntest result: ok. 2 passed; 0 failed\n"), true);
        assert!(ok.disturbed().is_empty());
        let both = failed(&receipt).then(ok);
        assert_eq!((both.passed(), both.is_ok), (3, true));
        assert_eq!(both.repeated, ["a", "b::c"]);
    }
}
