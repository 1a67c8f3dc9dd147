//! Cgroups, as users name them. Which ids they have is known to the source.

use std::{fmt, path::Path, str::FromStr};

use wildmatch::WildMatch;

use crate::text::escape::escaped;

/// A cgroup with all below it: a path such as `/system.slice`, a name such as `nginx.service`, or a pattern of
/// either with `*` and `?`. A name is found at every depth.
#[derive(Clone, Debug)]
pub struct Cgroup {
    name: String,
    /// As it was given, and as output shows it: escaped.
    patterns: [WildMatch; 2],
}

impl Cgroup {
    fn new(name: &str) -> Self {
        let patterns = [WildMatch::new(name), WildMatch::new(&escaped(name.as_bytes()))];
        Self { name: name.to_owned(), patterns }
    }

    /// The same cgroup, if its path is given with the folder where the hierarchy is mounted.
    #[must_use]
    pub fn below(self, root: &Path) -> Self {
        match Path::new(&self.name).strip_prefix(root).ok().and_then(Path::to_str) {
            Some(path) => Self::new(&format!("/{path}")),
            None => self,
        }
    }

    /// Whether it may stand for cgroups that are not there yet.
    #[must_use]
    pub fn is_pattern(&self) -> bool {
        self.name.contains(['*', '?'])
    }

    /// Whether the cgroup at this path, escaped and below the root of the hierarchy, is this one or below it.
    #[must_use]
    pub fn contains(&self, path: &str) -> bool {
        let matches = |text: &str| self.patterns.iter().any(|pattern| pattern.matches(text));
        if self.name.contains('/') {
            let mut above = Path::new(path).ancestors().filter_map(Path::to_str);
            above.any(matches)
        } else {
            path.split('/').filter(|name| !name.is_empty()).any(matches)
        }
    }
}

impl PartialEq for Cgroup {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Cgroup {}

/// The text is empty.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("empty cgroup: give a path such as /system.slice, a name such as nginx.service, or a pattern")]
pub struct Empty;

impl FromStr for Cgroup {
    type Err = Empty;

    fn from_str(text: &str) -> Result<Self, Empty> {
        let path = text.trim_end_matches('/');
        match text {
            "" => Err(Empty),
            _ if path.is_empty() => Ok(Self::new("/")),
            _ if path.contains('/') => Ok(Self::new(&format!("/{}", path.trim_start_matches('/')))),
            _ => Ok(Self::new(path)),
        }
    }
}

impl fmt::Display for Cgroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escaped(self.name.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_names_and_patterns() {
        const PATHS: [&str; 5] = ["/", "/a.slice", "/a.slice/x.service", "/b/x.service/c", "/b/x-\\x2dy"];
        let found = |name: &str| -> Vec<usize> {
            let cgroup = name.parse::<Cgroup>().unwrap().below(Path::new("/sys/fs/cgroup/unified"));
            (0..PATHS.len()).filter(|index| cgroup.contains(PATHS[*index])).collect()
        };
        assert_eq!(found("/"), [0, 1, 2, 3, 4]);
        assert_eq!(found("/a.slice"), [1, 2]);
        assert_eq!(found("a.slice/"), [1, 2]);
        assert_eq!(found("a.slice/*"), [2]);
        assert_eq!(found("x.service"), [2, 3]);
        assert_eq!(found("b/x.service"), [3]);
        assert_eq!(found("/sys/fs/cgroup/unified/b"), [3, 4]);
        assert_eq!(found("/sys/fs/cgroup/unified"), [0, 1, 2, 3, 4]);
        assert_eq!(found("x*"), [2, 3, 4]);
        assert_eq!(found("x-\\x2dy"), [4]);
        assert!(
            found("a").is_empty() && found("/slice").is_empty() && found("/sys/fs/cgroup/systemd").is_empty()
        );
        assert!("".parse::<Cgroup>().is_err());
    }
}
