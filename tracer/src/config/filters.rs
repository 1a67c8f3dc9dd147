//! Builds the filters from the arguments.

use std::num::NonZeroU32;

use tracer_common::filter::family;
use wildmatch::WildMatch;

use crate::{
    cli::{FilterArgs, StoryFilterArgs},
    config::Error,
    facts::names::{FilterNames, WorkloadChoices},
    filter::{Filter, PerEnd},
    select::{
        spec::{FilterSpec, Filters},
        story::StoryFilter,
    },
    text::escape::escaped,
};

/// Names of namespaces and cgroups are kept as they are: only the source can tell what they stand for.
pub(super) fn filters(args: FilterArgs, tells_stories: bool) -> Result<FilterSpec, Error> {
    // Filters apply to what is shown: `--raw` shows a v4-mapped socket as IPv6.
    let (ipv4, ipv6) = if tells_stories {
        (family::IPV4 | family::MAPPED, family::IPV6)
    } else {
        (family::IPV4, family::IPV6 | family::MAPPED)
    };
    let constant = Filter {
        ports: PerEnd::new(args.port, args.local_port, args.remote_port),
        addrs: PerEnd::new(args.addr, args.local_addr, args.remote_addr),
        families: match (args.ipv4, args.ipv6) {
            (true, _) => ipv4,
            (_, true) => ipv6,
            _ => family::ANY,
        },
        for_stories: tells_stories,
        ..Filter::default()
    };
    let StoryFilterArgs { pid, comm, uid: users, cgroup, container, pod, k8s_namespace, unit, .. } =
        args.story;
    let StoryFilterArgs { state, transition, reason, .. } = args.story;
    let workloads = WorkloadChoices {
        containers: container.into_iter().collect(),
        pods: pod.into_iter().collect(),
        k8s_namespaces: k8s_namespace.into_iter().collect(),
        units: unit.into_iter().collect(),
    };
    let story = StoryFilter {
        pids: pid.into_iter().map(|pid| pid.map(NonZeroU32::get)).collect(),
        comms: comm.into_iter().map(|comm| comm.map(|pattern| WildMatch::new(&pattern))).collect(),
        uids: users.into_iter().map(|user| user.try_map(|user| uid(&user))).collect::<Result<_, _>>()?,
        states: state.into_iter().collect(),
        transitions: transition,
        reasons: reason.into_iter().collect(),
        ..StoryFilter::default()
    };
    Ok(FilterSpec {
        filters: Filters { constant, story },
        names: FilterNames { netns: args.netns, cgroups: cgroup, workloads: Box::new(workloads) },
    })
}

fn uid(user: &str) -> Result<u32, Error> {
    let by_name = || uzers::get_user_by_name(user).map(|user| user.uid());
    user.parse().ok().or_else(by_name).ok_or_else(|| Error::User(escaped(user.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_by_name_and_number() {
        assert_eq!(uid("root").ok(), Some(0));
        assert_eq!(uid("4711").ok(), Some(4711));
        assert!(matches!(uid("no such\x1b"), Err(Error::User(user)) if user == "no such\\x1b"));
    }
}
