//! Builds the filters from the arguments.

use std::collections::HashSet;

use tracer_common::filter::family;
use wildmatch::WildMatch;

use crate::{
    cli::{FilterArgs, StoryFilterArgs},
    config::Error,
    filter::{Filter, PerEnd, netns},
    select::story::StoryFilter,
    source::kernel::cgroups,
    text::escape::escaped,
};

pub(super) fn resolve_filter(args: FilterArgs, tells_stories: bool) -> Result<Filter, Error> {
    // Filters apply to what is shown: `--raw` shows a v4-mapped socket as IPv6.
    let (ipv4, ipv6) = if tells_stories {
        (family::IPV4 | family::MAPPED, family::IPV6)
    } else {
        (family::IPV4, family::IPV6 | family::MAPPED)
    };
    Ok(Filter {
        ports: PerEnd::new(args.port, args.local_port, args.remote_port),
        addrs: PerEnd::new(args.addr, args.local_addr, args.remote_addr),
        families: match (args.ipv4, args.ipv6) {
            (true, _) => ipv4,
            (_, true) => ipv6,
            _ => family::ANY,
        },
        netns: args.netns.iter().map(netns::Netns::resolve).collect::<Result<_, _>>()?,
        for_stories: tells_stories,
    })
}

pub(super) fn resolve_story(args: &StoryFilterArgs) -> Result<StoryFilter, Error> {
    let mut in_cgroups = HashSet::new();
    for path in &args.cgroup {
        in_cgroups.extend(cgroups::below(path).map_err(Error::Cgroup)?);
    }
    Ok(StoryFilter {
        pids: args.pid.iter().copied().collect(),
        comms: args.comm.iter().map(|pattern| WildMatch::new(pattern)).collect(),
        uids: args.uid.iter().map(|user| uid(user)).collect::<Result<_, _>>()?,
        cgroups: in_cgroups,
        states: args.state.clone(),
        transitions: args.transition.clone(),
        reasons: args.reason.clone(),
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
