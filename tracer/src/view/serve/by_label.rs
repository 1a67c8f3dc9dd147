//! Connections by the labels that were asked for (`--label`).

use std::collections::BTreeMap;

use tracer_common::aggregate::Side;

use crate::{
    aggregate::{By, growing::SeriesKey, totals::RankingKey},
    facts::names::ContainerNames,
    tcp::state::State,
    text::escape::{escaped, name},
    view::serve::{
        Serve,
        families::{Labels, MetricFamily, OTHER, UNKNOWN, counters, labels},
    },
};

/// What stands for what is outside of containers.
const NO_CONTAINER: &str = "none";

impl Serve {
    /// A family for each label.
    pub(super) fn by_labels(&self) -> Vec<MetricFamily> {
        let mut families = Vec::new();
        for (by, keys) in &self.counts.by {
            let (name, label, help) = family(*by);
            let named = keys.iter().map(|(key, counts)| (key_labels(label, key), counts));
            let mut lines = BTreeMap::<Labels, u64>::new();
            for (of, counts) in named.chain([(labels([(label, OTHER)]), keys.others())]) {
                for (event, count) in
                    [("begun", counts.begun), ("ended", counts.ended), ("failed", counts.failed)]
                {
                    let of = of.iter().cloned().chain(labels([("event", event)])).collect();
                    *lines.entry(of).or_default() += count;
                }
            }
            families.push(counters(name, help, lines));
        }
        families
    }
}

/// What is counted by a label: the family's name, the label, and the help.
fn family(by: By) -> (&'static str, &'static str, &'static str) {
    match by {
        By::Service => (
            "tracer_tcp_service_connections",
            "service",
            "Connections by service: the server's port, and whether it is here",
        ),
        By::Process => {
            ("tracer_tcp_process_connections", "process", "Connections by the name of their process")
        }
        By::Pid => ("tracer_tcp_pid_connections", "pid", "Connections by the id of their process"),
        By::Peer => ("tracer_tcp_peer_connections", "peer", "Connections by remote address"),
        By::Cgroup => ("tracer_tcp_cgroup_connections", "cgroup", "Connections by cgroup"),
        By::Container => (
            "tracer_tcp_container_connections",
            "container",
            "Connections by container, with its pod and Kubernetes namespace if it has them",
        ),
        By::Netns => ("tracer_tcp_netns_connections", "netns", "Connections by network namespace"),
        By::State => ("tracer_tcp_state_connections", "state", "Connections by state"),
    }
}

/// The labels of a key. A container has its pod, too.
fn key_labels(label: &'static str, key: &SeriesKey) -> Labels {
    let known = match key {
        SeriesKey::Key(key) => word(*key),
        SeriesKey::Cgroup(path) => path.as_deref().map(str::to_owned),
        SeriesKey::NoContainer => Some(NO_CONTAINER.to_owned()),
        SeriesKey::Container(None) => None,
        SeriesKey::Container(Some(names)) => {
            let ContainerNames { container, pod, k8s_namespace } = &**names;
            let mut of = labels([(label, container.as_deref().unwrap_or(UNKNOWN))]);
            of.extend(pod.iter().flat_map(|pod| labels([("pod", pod)])));
            of.extend(k8s_namespace.iter().flat_map(|ns| labels([("k8s_namespace", ns)])));
            return of;
        }
    };
    labels([(label, known.as_deref().unwrap_or(UNKNOWN))])
}

/// What is its own name; `None` if it is not known.
fn word(key: RankingKey) -> Option<String> {
    match key {
        RankingKey::Service(side, port) => port.map(|port| match side {
            Side::Local => format!("here:{port}"),
            _ => format!("remote:{port}"),
        }),
        RankingKey::Peer(addr) => addr.map(|addr| addr.to_string()),
        RankingKey::Process(comm) => comm.map(|comm| escaped(name(&comm))),
        RankingKey::Pid(pid) => pid.map(|pid| pid.to_string()),
        RankingKey::Netns(inum) => Some(inum.to_string()),
        RankingKey::State(state) => Some(State::from_kernel(state).to_string()),
        // These have names, and are counted by them.
        RankingKey::Cgroup(_) | RankingKey::Container(_) => None,
    }
}
