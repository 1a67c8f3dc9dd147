//! The filter on cgroups. Events have ids, and users give names, which also stand for cgroups that are made later.

use std::collections::HashMap;

use crate::{facts::names::CgroupTree, tcp::cgroup::Cgroup, text::choice::Choices};

/// The cgroups that are asked for.
#[derive(Clone, Debug, Default)]
pub struct CgroupFilter {
    choices: Choices<Cgroup>,
    /// Whether each cgroup passes that has been looked up, by its id.
    known: HashMap<u64, bool>,
}

impl CgroupFilter {
    /// A filter on these cgroups, of those that are there now.
    #[must_use]
    pub fn new(choices: Choices<Cgroup>, tree: &CgroupTree) -> Self {
        let mut filter = Self { choices, known: HashMap::new() };
        for (id, path) in &tree.paths {
            filter.learn(*id, path);
        }
        filter
    }

    /// Takes the path of a cgroup.
    pub fn learn(&mut self, id: u64, path: &str) {
        self.known.insert(id, self.choices.selects(|cgroup| cgroup.contains(path)));
    }

    /// The cgroups that are asked for, if none of them is known.
    #[must_use]
    pub fn missing(&self) -> Option<&[Cgroup]> {
        let is_there = self.known.values().any(|passes| *passes);
        (!self.choices.wanted().is_empty() && !is_there).then(|| self.choices.wanted())
    }

    /// Whether every cgroup passes.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.choices.is_empty()
    }

    /// Whether cgroups are taken away.
    #[must_use]
    pub fn excludes(&self) -> bool {
        self.choices.excludes()
    }

    /// Whether it is known if this cgroup passes.
    #[must_use]
    pub fn knows(&self, id: u64) -> bool {
        self.known.contains_key(&id)
    }

    /// Whether a cgroup passes; `None` for a socket whose cgroup is not known.
    #[must_use]
    pub fn selects(&self, id: Option<u64>) -> bool {
        // What is not known is not asked for, and not taken away either.
        let known = id.and_then(|id| self.known.get(&id).copied());
        known.unwrap_or_else(|| self.choices.wanted().is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::choice::Choice;

    fn filter(choices: &[&str]) -> CgroupFilter {
        let choices = choices.iter().map(|text| text.parse::<Choice<Cgroup>>().unwrap()).collect();
        let paths = [(1, "/a".to_owned()), (2, "/a/b".to_owned())].into();
        CgroupFilter::new(choices, &CgroupTree { root: "/".into(), paths })
    }

    #[test]
    fn cgroups_that_are_made_later_count() {
        let mut wanted = filter(&["a/*", "!c"]);
        assert_eq!([1, 2, 3].map(|id| wanted.selects(Some(id))), [false, true, false]);
        assert!(wanted.knows(2) && !wanted.knows(3) && !wanted.selects(None));
        wanted.learn(3, "/a/later");
        wanted.learn(4, "/a/c");
        assert_eq!([3, 4].map(|id| wanted.selects(Some(id))), [true, false]);
        let unwanted = filter(&["!/a/b"]);
        assert_eq!([1, 2, 3].map(|id| unwanted.selects(Some(id))), [true, false, true]);
        assert!(unwanted.selects(None) && unwanted.excludes());
    }
}
