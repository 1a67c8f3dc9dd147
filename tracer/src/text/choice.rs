//! Values of a filter, of which some take away: those with `!` before them.

use std::{fmt, str::FromStr};

/// A value of a filter.
///
/// ```
/// use tracer::text::choice::Choice;
///
/// assert_eq!("!22".parse(), Ok(Choice::Not(22)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Choice<T> {
    /// What it stands for is wanted.
    Of(T),
    /// What it stands for is taken away.
    Not(T),
}

impl<T> Choice<T> {
    /// The value, wanted or not.
    pub fn value(&self) -> &T {
        match self {
            Self::Of(value) | Self::Not(value) => value,
        }
    }

    /// The same choice of another value.
    pub fn try_map<U, E>(self, change: impl FnOnce(T) -> Result<U, E>) -> Result<Choice<U>, E> {
        match self {
            Self::Of(value) => change(value).map(Choice::Of),
            Self::Not(value) => change(value).map(Choice::Not),
        }
    }

    /// The same choice of another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Choice<U> {
        match self {
            Self::Of(value) => Choice::Of(change(value)),
            Self::Not(value) => Choice::Not(change(value)),
        }
    }
}

impl<T: FromStr> FromStr for Choice<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        match text.trim_start().strip_prefix('!') {
            Some(value) => value.parse().map(Self::Not),
            None => text.parse().map(Self::Of),
        }
    }
}

impl<T: fmt::Display> fmt::Display for Choice<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of(value) => value.fmt(f),
            Self::Not(value) => write!(f, "!{value}"),
        }
    }
}

/// All values of a filter. Those that are wanted are ORed, and without any everything is wanted; the others take
/// away from that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choices<T> {
    wanted: Vec<T>,
    unwanted: Vec<T>,
}

impl<T> Choices<T> {
    /// Whether there is no value, so that everything passes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty() && self.unwanted.is_empty()
    }

    /// Whether a value takes away.
    #[must_use]
    pub fn excludes(&self) -> bool {
        !self.unwanted.is_empty()
    }

    /// The values that are wanted.
    #[must_use]
    pub fn wanted(&self) -> &[T] {
        &self.wanted
    }

    /// The values that take away.
    #[must_use]
    pub fn unwanted(&self) -> &[T] {
        &self.unwanted
    }

    /// Whether something passes; `is_one` tells whether a value stands for it.
    #[must_use]
    pub fn selects(&self, is_one: impl Fn(&T) -> bool) -> bool {
        (self.wanted.is_empty() || self.wanted.iter().any(&is_one)) && !self.unwanted.iter().any(is_one)
    }
}

impl<T> Default for Choices<T> {
    fn default() -> Self {
        Self { wanted: Vec::new(), unwanted: Vec::new() }
    }
}

impl<T> FromIterator<Choice<T>> for Choices<T> {
    fn from_iter<I: IntoIterator<Item = Choice<T>>>(choices: I) -> Self {
        let mut all = Self::default();
        for choice in choices {
            match choice {
                Choice::Of(value) => all.wanted.push(value),
                Choice::Not(value) => all.unwanted.push(value),
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unwanted_is_taken_from_what_is_wanted() {
        let passing = |texts: &[&str]| -> Vec<u8> {
            let choices: Choices<u8> = texts.iter().map(|text| text.parse().unwrap()).collect();
            (1..=4).filter(|number| choices.selects(|value| value == number)).collect()
        };
        assert_eq!(passing(&[]), [1, 2, 3, 4]);
        assert_eq!(passing(&["2", "3"]), [2, 3]);
        assert_eq!(passing(&["!2"]), [1, 3, 4]);
        assert_eq!(passing(&["2", "!3", "4", "!4"]), [2]);
        assert!("!".parse::<Choice<u8>>().is_err() && "!!1".parse::<Choice<u8>>().is_err());
    }
}
