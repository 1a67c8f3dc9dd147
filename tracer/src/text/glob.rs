//! Patterns for names, as filters give them.

use std::{fmt, str::FromStr};

use wildmatch::WildMatch;

use crate::text::escape::escaped;

/// A pattern for a name, in which `*` and `?` are wildcards. It matches names as they are, and as output shows them.
///
/// ```
/// use tracer::text::glob::Glob;
///
/// let glob: Glob = "web-*".parse()?;
/// assert!(glob.matches("web-1") && !glob.matches("db-1"));
/// # Ok::<(), tracer::text::glob::EmptyGlob>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Glob {
    text: String,
    /// As it was given, and as output shows it: escaped.
    patterns: [WildMatch; 2],
}

impl Eq for Glob {}

impl Glob {
    /// Whether a name, escaped, matches.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(name))
    }
}

/// The text is empty.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("empty pattern: give a name, or a pattern such as 'web-*'")]
pub struct EmptyGlob;

impl FromStr for Glob {
    type Err = EmptyGlob;

    fn from_str(text: &str) -> Result<Self, EmptyGlob> {
        if text.is_empty() {
            return Err(EmptyGlob);
        }
        let patterns = [WildMatch::new(text), WildMatch::new(&escaped(text.as_bytes()))];
        Ok(Self { text: text.to_owned(), patterns })
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escaped(self.text.as_bytes()))
    }
}
