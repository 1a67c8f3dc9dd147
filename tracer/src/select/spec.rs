//! The filters as the user asked for them: the same for every source.

use wildmatch::WildMatch;

use crate::{
    facts::names::{FilterNames, Names, UnknownName},
    filter::{Filter, within::Wider},
    select::{
        cgroups::{CgroupFilter, list},
        story::StoryFilter,
    },
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
            constant: Filter { netns: ids.netns.clone(), ..constant },
            story: StoryFilter { cgroups: CgroupFilter::new(ids), ..story },
        })
    }
}

impl Filters {
    /// The same within what another filter lets pass.
    ///
    /// # Errors
    /// It asks for more.
    pub fn narrowed(self, outer: &Filter) -> Result<Self, Wider> {
        Ok(Self { constant: self.constant.within(outer)?, ..self })
    }

    /// What is asked for, and is not there now: a message for each filter.
    pub fn absent(&self, names: &mut dyn Names) -> Vec<String> {
        let StoryFilter { pids, comms, cgroups, .. } = &self.story;
        let mut absent = Vec::new();
        if !(pids.wanted().is_empty() && comms.wanted().is_empty())
            && let Some(processes) = names.processes()
        {
            let is_named = |comm: &WildMatch| {
                processes.values().any(|name| comm.matches(&String::from_utf8_lossy(name)))
            };
            if is_missing(pids.wanted(), |pid| processes.contains_key(pid)) {
                let is_port = pids.wanted().iter().all(|pid| u16::try_from(*pid).is_ok());
                let pids = list(pids.wanted());
                let hint = if is_port { format!(" (ports: --port {pids})") } else { String::new() };
                absent.push(format!("--pid {pids}: no such process now; waiting{hint}"));
            }
            if is_missing(comms.wanted(), is_named) {
                absent.push(format!("--comm {}: no such process now; waiting", list(comms.wanted())));
            }
        }
        for (option, values) in cgroups.missing() {
            absent.push(format!("{option} {values}: no such {} now; waiting", what(option)));
        }
        absent
    }
}

/// Whether there are values, and none of them is there.
fn is_missing<T>(values: &[T], is_there: impl Fn(&T) -> bool) -> bool {
    !values.is_empty() && !values.iter().any(is_there)
}

/// What an option is about.
fn what(option: &str) -> &str {
    match option.trim_start_matches('-') {
        "k8s-namespace" => "namespace of Kubernetes",
        what => what,
    }
}
