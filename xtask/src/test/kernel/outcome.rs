//! What a test program said.

use std::time::Duration;

pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) is_ok: bool,
    pub(crate) said: String,
    pub(crate) took: Duration,
}

impl Outcome {
    /// Tests that passed, by its last line.
    pub(crate) fn passed(&self) -> u64 {
        let last = self.said.lines().rev().find_map(|line| line.strip_prefix("test result: "));
        let before = last.and_then(|line| line.split_once(" passed;"));
        before.and_then(|(before, _)| before.rsplit(' ').next()?.parse().ok()).unwrap_or_default()
    }

    /// What it said, unless nothing was asked of it.
    pub(crate) fn show(&self) {
        if self.has_tests() {
            println!("--- {} ({:.1} s)\n{}", self.name, self.took.as_secs_f32(), self.said);
        }
    }

    /// Whether any was asked for in it.
    pub(crate) fn has_tests(&self) -> bool {
        !self.is_ok || self.passed() > 0
    }

    /// What the tests that failed said, and their names; if there is no such list, all of it.
    pub(crate) fn failures(&self) -> &str {
        self.said.find("\nfailures:\n").map_or(&*self.said, |at| self.said[at..].trim_start())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(said: &str, is_ok: bool) -> Outcome {
        Outcome { name: "test".into(), is_ok, said: said.into(), took: Duration::ZERO }
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
}
