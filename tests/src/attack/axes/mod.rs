//! The axes: kinds of attack.

pub mod files;
pub mod grammar;
pub mod limits;
pub mod many;
pub mod names;
pub mod privileges;
pub mod signals;
pub mod storm;
pub mod streams;

use crate::attack::case::Case;

/// A kind of attack.
pub struct Axis {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// Its cases. What is random in them is determined by the seed.
    pub cases: fn(seed: u64) -> Vec<Case>,
    /// Whether its cases use the whole machine, and so run one at a time.
    pub is_alone: bool,
}

/// All axes.
pub const AXES: [Axis; 9] = [
    axis("privileges", "partial privileges, and sandboxes as containers have them", privileges::cases),
    axis("limits", "resource limits one by one, and cgroups with limits", limits::cases),
    axis("names", "hostile names in every view and format", names::cases),
    axis("streams", "standard output and error that are closed, full, or not read", streams::cases),
    axis("files", "files in hostile places", files::cases),
    axis("grammar", "random command lines", grammar::cases),
    axis("signals", "signals at every moment of start, run and end", signals::cases),
    Axis { is_alone: true, ..axis("many", "many tracers at once", many::cases) },
    Axis { is_alone: true, ..axis("storm", "namespaces and cgroups that come and go", storm::cases) },
];

const fn axis(name: &'static str, about: &'static str, cases: fn(u64) -> Vec<Case>) -> Axis {
    Axis { name, about, cases, is_alone: false }
}

/// A short capture by each view, and what else can be run.
pub(super) const VIEWS: [&str; 5] = [
    "log -o json --duration 300ms",
    "life --duration 300ms",
    "summary --duration 300ms",
    "summary --in-kernel --duration 300ms",
    "check",
];

/// The first words of a view, for names of cases.
pub(super) fn short(view: &str) -> String {
    view.replace(" -o json", "").replace(" --duration 300ms", "")
}
