//! A case of an axis.

use crate::attack::run::Run;

/// What a case found: nothing, or everything that should not have happened.
pub type Verdict = Result<(), String>;

/// A case. Its name repeats it, together with the seed.
pub struct Case {
    /// Unique in its axis.
    pub name: String,
    /// Attacks, and checks what happens.
    pub attack: Box<dyn Fn() -> Verdict + Send + Sync>,
}

impl Case {
    /// A case with its own way to attack.
    pub fn new(name: impl Into<String>, attack: impl Fn() -> Verdict + Send + Sync + 'static) -> Self {
        Self { name: name.into(), attack: Box::new(attack) }
    }

    /// A case that is one run of tracer.
    pub fn of(name: impl Into<String>, run: Run) -> Self {
        Self::new(name, move || run.verdict())
    }
}
