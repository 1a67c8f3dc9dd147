//! The filters as the user asked for them: the same for every source.

use crate::{
    facts::names::{FilterNames, Names, UnknownName},
    filter::Filter,
    select::story::StoryFilter,
};

/// All filters of a capture.
#[derive(Clone, Debug, Default)]
pub struct Filters {
    /// On facts that never change, such as addresses and ports.
    pub constant: Filter,
    /// On facts from connection tracking, such as owner, state and reason.
    pub story: StoryFilter,
}

/// Filters whose names are not resolved yet.
#[derive(Clone, Debug, Default)]
pub struct FilterSpec {
    /// The filters, without what `names` stand for.
    pub filters: Filters,
    /// Namespaces and cgroups.
    pub names: FilterNames,
}

impl FilterSpec {
    /// The filters for the host that a source's events come from.
    ///
    /// # Errors
    /// That host has no namespace or cgroup of this name, or other process ids.
    pub fn resolve(self, names: &mut dyn Names) -> Result<Filters, UnknownName> {
        let ids = self.names.resolve(names)?;
        let Filters { constant, story } = self.filters;
        if !story.pids.is_empty() {
            names.check_pids()?;
        }
        Ok(Filters {
            constant: Filter { netns: ids.netns, ..constant },
            story: StoryFilter { cgroups: ids.cgroups, ..story },
        })
    }
}
