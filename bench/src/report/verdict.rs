//! Compares a figure with the bound that it has to meet.

use serde::{Deserialize, Serialize};

/// The bound that a figure has to meet.
#[derive(Clone, Copy)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
    Below(f64),
}

/// A target, and whether it was met.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Verdict {
    /// The target in words.
    pub what: String,
    /// The bound in words.
    pub asked: String,
    /// The figure; `None` if it was not measured.
    pub figure: Option<f64>,
    /// Its unit.
    pub unit: String,
    /// Whether the figure meets the bound; `None` if it was not measured.
    pub is_met: Option<bool>,
    /// Whether the miss may be noise.
    #[serde(default)]
    pub is_unclear: bool,
}

impl Bound {
    /// Compares a figure with the bound.
    pub(crate) fn verdict(self, what: &str, figure: Option<f64>, unit: &str) -> Verdict {
        let (sign, bound) = match self {
            Self::AtLeast(bound) => (">=", bound),
            Self::AtMost(bound) => ("<=", bound),
            Self::Below(bound) => ("<", bound),
        };
        Verdict {
            what: what.to_owned(),
            asked: format!("{sign} {bound} {unit}").trim_end().to_owned(),
            figure,
            unit: unit.to_owned(),
            is_met: figure.map(|figure| self.is_met(figure)),
            is_unclear: false,
        }
    }

    /// The same for a figure with a confidence interval. A miss that the interval does not confirm is
    /// unclear.
    pub(crate) fn verdict_within(
        self,
        what: &str,
        figure: Option<f64>,
        interval: Option<(f64, f64)>,
        unit: &str,
    ) -> Verdict {
        let verdict = self.verdict(what, figure, unit);
        let may_be_met = interval.is_some_and(|(from, to)| self.is_met(from) || self.is_met(to));
        Verdict { is_unclear: verdict.is_met == Some(false) && may_be_met, ..verdict }
    }

    fn is_met(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(bound) => figure >= bound,
            Self::AtMost(bound) => figure <= bound,
            Self::Below(bound) => figure < bound,
        }
    }
}

impl Verdict {
    /// The figure in words.
    pub(crate) fn measured(&self) -> String {
        self.figure.map_or_else(
            || "not measured".to_owned(),
            |figure| format!("{figure:.3} {}", self.unit).trim_end().to_owned(),
        )
    }

    /// The verdict in a word.
    pub(crate) fn word(&self) -> &'static str {
        match self.is_met {
            Some(true) => "met",
            Some(false) if self.is_unclear => "unclear",
            Some(false) => "MISSED",
            None => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_as_they_read() {
        let at_least = |figure| Bound::AtLeast(0.8).verdict("x", figure, "");
        assert_eq!(at_least(Some(0.8)).is_met, Some(true));
        assert_eq!(at_least(Some(0.79)).word(), "MISSED");
        assert_eq!(at_least(None).is_met, None);
        assert_eq!(Bound::Below(300.0).verdict("x", Some(300.0), "ms").is_met, Some(false));
        let within = |to| Bound::AtLeast(0.8).verdict_within("x", Some(0.79), Some((0.7, to)), "").word();
        assert_eq!((within(0.9), within(0.795)), ("unclear", "MISSED"));
        assert_eq!(Bound::AtMost(0.0).verdict("x", Some(0.0), "").asked, "<= 0");
    }
}
