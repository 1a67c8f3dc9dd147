//! The configuration of `tracer list -i` and `-r`.

use crate::{
    cli::{FilterArgs, ListArgs, StoryFilterArgs},
    config::{
        Error,
        filters::filters,
        lines::{chosen_columns, use_colour},
    },
    facts::names::FilterNames,
    format::{
        Kind, Plan, columns::DefaultIn, links::Links, routes::Routes, subject::Subject, text::TextStyle,
    },
    tcp::endpoint::Family,
    text::charset::{self, Recoding},
};

/// The configuration of a list of interfaces or routes.
pub struct NetworkConfig {
    /// What is listed.
    pub what: NetworkList,
    /// Whether text has a header.
    pub has_header: bool,
    /// Network namespaces that the filters name.
    pub names: FilterNames,
    /// All network namespaces are listed, not only this process's own.
    pub all_netns: bool,
    /// How text is changed for the user's locale.
    pub recoding: Option<Recoding>,
}

/// What is listed, and how it is written.
pub enum NetworkList {
    /// Interfaces: those that are up, or `all`.
    Interfaces {
        /// Those that are down, too.
        all: bool,
        /// Columns and format.
        plan: Plan<Links>,
    },
    /// Routes of a family.
    Routes {
        /// The family.
        family: Family,
        /// Columns and format.
        plan: Plan<Routes>,
    },
}

pub(super) fn interfaces(args: ListArgs) -> Result<NetworkConfig, Error> {
    let plan = plan(&args, (DefaultIn::LINKS_TEXT, DefaultIn::LINKS_DATA))?;
    network(NetworkList::Interfaces { all: args.all, plan }, args)
}

pub(super) fn routes(args: ListArgs) -> Result<NetworkConfig, Error> {
    let (family, text) = match (args.filter.ipv6, args.extended) {
        (true, _) => (Family::Ipv6, DefaultIn::ROUTES6_TEXT),
        (false, true) => (Family::Ipv4, DefaultIn::MORE_ROUTES_TEXT),
        (false, false) => (Family::Ipv4, DefaultIn::ROUTES_TEXT),
    };
    let plan = plan(&args, (text, DefaultIn::ROUTES_DATA))?;
    network(NetworkList::Routes { family, plan }, args)
}

fn network(what: NetworkList, args: ListArgs) -> Result<NetworkConfig, Error> {
    if let Some(option) = only_of_sockets(&args) {
        return Err(Error::OnlyOfSockets(option));
    }
    if args.watch.is_some() {
        return Err(Error::NotWatched(match what {
            NetworkList::Interfaces { .. } => ("interfaces", "watch -d tracer list -i", "ip monitor link"),
            NetworkList::Routes { .. } => ("routes", "watch -d tracer list -r", "ip monitor route"),
        }));
    }
    let is_text = args.output.output == Kind::Text;
    Ok(NetworkConfig {
        what,
        has_header: !args.no_header,
        names: filters(args.filter, true)?.names,
        all_netns: args.all_netns,
        recoding: is_text.then(charset::recoding).flatten(),
    })
}

/// An option that is there, although it is about sockets.
fn only_of_sockets(args: &ListArgs) -> Option<&'static str> {
    let FilterArgs { port, local_port, remote_port, addr, local_addr, remote_addr, story, .. } = &args.filter;
    let StoryFilterArgs { pid, comm, uid, cgroup, container, pod, k8s_namespace, unit, .. } = story;
    let StoryFilterArgs { state, transition, reason, .. } = story;
    let there = [
        (!port.is_empty(), "--port"),
        (!local_port.is_empty(), "--local-port"),
        (!remote_port.is_empty(), "--remote-port"),
        (!addr.is_empty(), "--addr"),
        (!local_addr.is_empty(), "--local-addr"),
        (!remote_addr.is_empty(), "--remote-addr"),
        (!pid.is_empty(), "--pid"),
        (!comm.is_empty(), "--comm"),
        (!uid.is_empty(), "--uid"),
        (!cgroup.is_empty(), "--cgroup"),
        (!container.is_empty(), "--container"),
        (!pod.is_empty(), "--pod"),
        (!k8s_namespace.is_empty(), "--k8s-namespace"),
        (!unit.is_empty(), "--unit"),
        (!state.is_empty(), "--state"),
        (!transition.is_empty(), "--transition"),
        (!reason.is_empty(), "--reason"),
        (args.names.is_some(), "--names"),
        (args.sort.is_some(), "--sort"),
        (args.by.is_some(), "--by"),
    ];
    there.into_iter().find(|(is_there, _)| *is_there).map(|(_, option)| option)
}

fn plan<S: Subject>(args: &ListArgs, (text, data): (DefaultIn, DefaultIn)) -> Result<Plan<S>, Error> {
    let several = args.all_netns || !args.filter.netns.is_empty();
    let colour = args.output.output == Kind::Text && use_colour(args.output.color);
    Ok(Plan {
        kind: args.output.output,
        columns: args.output.columns.as_deref().map(chosen_columns).transpose()?,
        default_in: (if several { text.and(DefaultIn::NAMESPACES_TEXT) } else { text }, data),
        style: TextStyle { time: args.output.time, colour, precise: false },
    })
}
