//! The filter on cgroups. Events have ids, and users give names, which also stand for cgroups that are made later.

use std::{collections::HashMap, fmt::Display};

use crate::{
    facts::{
        names::{ContainerNames, FilterIds, Names, WorkloadChoices},
        process_cgroups::{ProcessCgroups, SocketOwner},
    },
    tcp::{cgroup::Cgroup, workload::Workload},
    text::{choice::Choices, escape::escaped, glob::Glob},
};

/// The options, in the order in which [`CgroupFilter::is_met`] answers for them.
const OPTIONS: [&str; 5] = ["--cgroup", "--container", "--pod", "--k8s-namespace", "--unit"];

/// Cgroups that are kept.
const MOST: usize = 65_536;

/// The cgroups that are asked for.
#[derive(Clone, Debug, Default)]
pub struct CgroupFilter {
    choices: Choices<Cgroup>,
    workloads: WorkloadChoices,
    /// What passes of each cgroup that has been looked up, by its id.
    known: HashMap<u64, Passing>,
    processes: ProcessCgroups,
    /// For each option, whether a cgroup was met that it asks for.
    is_met: [bool; OPTIONS.len()],
}

/// What passes of a cgroup.
#[derive(Clone, Copy, Debug)]
struct Passing {
    /// Sockets that were made in it (`--cgroup`).
    made: bool,
    /// Sockets that belong to those who run in it (the other options).
    owned: bool,
    /// Whether it is a container of which not all names are known. They may be found later: a recording has them where that was, and
    /// runtimes write some after the container has begun.
    may_get_names: bool,
}

impl CgroupFilter {
    /// A filter on these cgroups, of those that are there now.
    #[must_use]
    pub fn new(ids: FilterIds) -> Self {
        let FilterIds { cgroups, workloads, tree, containers, .. } = ids;
        let mut filter = Self { choices: cgroups, workloads, ..Self::default() };
        for (id, path) in &tree.paths {
            filter.learn(*id, path, containers.get(id));
        }
        // A recording has names where they are needed.
        filter.known.retain(|_, known| !known.may_get_names);
        filter
    }

    /// Takes the path of a cgroup, and the names of the container that it belongs to.
    pub fn learn(&mut self, id: u64, path: &str, names: Option<&ContainerNames>) {
        let workload = Workload::of(path);
        let names = names.cloned().unwrap_or_default();
        let container = [workload.container.as_deref(), names.container.as_deref()];
        let WorkloadChoices { containers, pods, k8s_namespaces, units } = &self.workloads;
        let answers = [
            answer(&self.choices, |cgroup| cgroup.contains(path)),
            // What has several names passes by any of them, and is taken away by any.
            answer_for(containers, &container),
            answer_for(pods, &[names.pod.as_deref()]),
            answer_for(k8s_namespaces, &[names.k8s_namespace.as_deref()]),
            answer_for(units, &[workload.unit.as_deref()]),
        ];
        for (is_met, (is_asked_for, _)) in self.is_met.iter_mut().zip(answers) {
            *is_met |= is_asked_for;
        }
        let [(_, made), owned @ ..] = answers;
        let may_get_names = self.workloads.need_names() && !names.are_all_of(&workload);
        let owned = owned.iter().all(|(_, passes)| *passes);
        // They are looked up again when they are needed.
        if self.known.len() >= MOST {
            self.known.clear();
        }
        self.known.insert(id, Passing { made, owned, may_get_names });
    }

    /// What is asked for and not there: the options, with their values.
    #[must_use]
    pub fn missing(&self) -> Vec<(&'static str, String)> {
        let WorkloadChoices { containers, pods, k8s_namespaces, units } = &self.workloads;
        let wanted = [
            list(self.choices.wanted()),
            list(containers.wanted()),
            list(pods.wanted()),
            list(k8s_namespaces.wanted()),
            list(units.wanted()),
        ];
        let asked = OPTIONS.into_iter().zip(wanted).zip(self.is_met);
        asked.filter(|((_, values), is_met)| !values.is_empty() && !is_met).map(|(asked, _)| asked).collect()
    }

    /// Whether every cgroup passes.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.choices.is_empty() && self.workloads.is_empty()
    }

    /// Whether cgroups are taken away.
    #[must_use]
    pub fn excludes(&self) -> bool {
        self.choices.excludes() || self.globs().any(Choices::excludes)
    }

    /// Looks up what is needed to judge a socket.
    pub fn learn_of(&mut self, owner: SocketOwner, names: &mut dyn Names) {
        if !self.workloads.is_empty() {
            self.processes.learn(owner.pid, owner.at_ns, names);
        }
        for id in [Some(owner.cgroup).filter(|id| *id != 0), self.processes.of(owner)].into_iter().flatten() {
            if self.known.get(&id).is_none_or(|known| known.may_get_names)
                && let Some(path) = names.cgroup_path(id)
            {
                self.learn(id, &path, names.container_names(id).as_ref());
            }
        }
    }

    /// Whether all is known that decides about a socket.
    #[must_use]
    pub fn knows(&self, owner: SocketOwner) -> bool {
        let is_known = |id: Option<u64>| id.is_some_and(|id| self.known.contains_key(&id));
        (self.choices.is_empty() || is_known(Some(owner.cgroup)))
            && (self.workloads.is_empty() || is_known(self.processes.of(owner)))
    }

    /// Whether a socket passes.
    #[must_use]
    pub fn selects(&self, owner: SocketOwner) -> bool {
        let known = |id: Option<u64>| self.known.get(&id?).copied();
        // What is not known is not asked for, and not taken away either.
        let made = known(Some(owner.cgroup)).map_or(self.choices.wanted().is_empty(), |known| known.made);
        made && known(self.processes.of(owner))
            .map_or_else(|| self.globs().all(|globs| globs.wanted().is_empty()), |known| known.owned)
    }

    fn globs(&self) -> impl Iterator<Item = &Choices<Glob>> {
        let WorkloadChoices { containers, pods, k8s_namespaces, units } = &self.workloads;
        [containers, pods, k8s_namespaces, units].into_iter()
    }
}

/// Whether something is asked for, and whether it passes.
fn answer<T>(choices: &Choices<T>, is_one: impl Fn(&T) -> bool) -> (bool, bool) {
    (choices.wanted().iter().any(&is_one), choices.selects(is_one))
}

/// The same for something with these names.
fn answer_for(choices: &Choices<Glob>, names: &[Option<&str>]) -> (bool, bool) {
    answer(choices, |glob| names.iter().flatten().any(|name| glob.matches(name)))
}

/// Values as they were given, and escaped.
pub(super) fn list(values: &[impl Display]) -> String {
    let values: Vec<String> = values.iter().map(|value| escaped(value.to_string().as_bytes())).collect();
    values.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{facts::names::CgroupTree, source::script::Script, text::choice::Choice};

    fn of(cgroup: u64) -> SocketOwner {
        SocketOwner { cgroup, ..SocketOwner::UNKNOWN }
    }

    fn choices<T: std::str::FromStr>(choices: &[&str]) -> Choices<T> {
        choices.iter().filter_map(|text| text.parse::<Choice<T>>().ok()).collect()
    }

    fn filter(cgroups: &[&str]) -> CgroupFilter {
        let paths = [(1, "/a".to_owned()), (2, "/a/b".to_owned())].into();
        let tree = CgroupTree { root: "/".into(), paths };
        CgroupFilter::new(FilterIds { cgroups: choices(cgroups), tree, ..FilterIds::default() })
    }

    #[test]
    fn cgroups_that_are_made_later_count() {
        let mut wanted = filter(&["a/*", "!c"]);
        assert_eq!([1, 2, 3].map(|id| wanted.selects(of(id))), [false, true, false]);
        assert!(wanted.knows(of(2)) && !wanted.knows(of(3)) && !wanted.selects(of(0)));
        wanted.learn(3, "/a/later", None);
        wanted.learn(4, "/a/c", None);
        assert_eq!([3, 4].map(|id| wanted.selects(of(id))), [true, false]);
        let unwanted = filter(&["!/a/b"]);
        assert_eq!([1, 2, 3].map(|id| unwanted.selects(of(id))), [true, false, true]);
        assert!(unwanted.selects(of(0)) && unwanted.excludes());
    }

    fn names(container: &str, pod: &str) -> ContainerNames {
        let name = |name: &str| (!name.is_empty()).then(|| name.to_owned());
        ContainerNames { container: name(container), pod: name(pod), k8s_namespace: name("prod") }
    }

    #[test]
    fn containers_pods_and_units() {
        let id = "0123456789abcdef".repeat(4);
        let path = format!("/system.slice/docker-{id}.scope");
        let selects = |containers: &[&str], pods: &[&str], units: &[&str]| {
            let workloads = WorkloadChoices {
                containers: choices(containers),
                pods: choices(pods),
                units: choices(units),
                ..WorkloadChoices::default()
            };
            let mut filter = CgroupFilter::new(FilterIds { workloads, ..FilterIds::default() });
            filter.learn(1, &path, Some(&names("web", "shop-1")));
            filter.learn(2, "/system.slice/ssh.service", None);
            [1, 2, 3].map(|id| filter.selects(of(id)))
        };
        assert_eq!(selects(&["web"], &[], &[]), [true, false, false]);
        assert_eq!(selects(&["0123456789ab*"], &[], &[]), [true, false, false]);
        assert_eq!(selects(&["!w*"], &[], &[]), [false, true, true]);
        assert_eq!(selects(&["*"], &["shop-?"], &[]), [true, false, false]);
        assert_eq!(selects(&["*"], &["db-?"], &[]), [false, false, false]);
        assert_eq!(selects(&[], &[], &["ssh.service"]), [false, true, false]);
        assert_eq!(selects(&[], &["!shop-1"], &["*.service", "!ssh*"]), [false, false, false]);
    }

    /// A service that systemd has started by its socket has sockets that systemd has made.
    #[test]
    fn whose_process_it_is_decides_who_owns_it() {
        let id = "0123456789abcdef".repeat(4);
        let mut names = Script::default()
            .cgroup(1, "/init.scope")
            .cgroup(2, &format!("/system.slice/docker-{id}.scope"))
            .process(7, 2, 0);
        let mut selects = |cgroup: &[&str], units: &[&str], containers: &[&str]| {
            let workloads = WorkloadChoices {
                containers: choices(containers),
                units: choices(units),
                ..WorkloadChoices::default()
            };
            let ids = FilterIds { cgroups: choices(cgroup), workloads, ..FilterIds::default() };
            let mut filter = CgroupFilter::new(ids);
            let owner = SocketOwner { pid: 7, is_sure: true, ..of(1) };
            assert!(!filter.knows(owner));
            filter.learn_of(owner, &mut names);
            assert!(filter.knows(owner));
            filter.selects(owner)
        };
        assert!(selects(&["init.scope"], &[], &[]) && !selects(&["system.slice"], &[], &[]));
        assert!(selects(&[], &["docker*"], &[]) && !selects(&[], &["init.scope"], &[]));
        assert!(selects(&["init.scope"], &[], &["0123*"]) && !selects(&[], &[], &["!0123*"]));
    }

    #[test]
    fn what_is_missing_is_told_by_option() {
        let id = "0123456789abcdef".repeat(4);
        let paths = [(1, format!("/docker/{id}")), (2, "/ssh.service".to_owned())].into();
        let workloads = WorkloadChoices {
            containers: choices(&["web", "!db"]),
            units: choices(&["ssh.service"]),
            ..WorkloadChoices::default()
        };
        let tree = CgroupTree { root: "/".into(), paths };
        let mut filter = CgroupFilter::new(FilterIds { workloads, tree, ..FilterIds::default() });
        // Without its name it is not decided whether it passes.
        assert!(!filter.knows(of(1)) && filter.knows(of(2)));
        assert_eq!(filter.missing(), [("--container", "web".to_owned())]);
        filter.learn(1, &format!("/docker/{id}"), Some(&names("web", "")));
        assert!(filter.missing().is_empty());
    }
}
