//! The contents of a summary, ready to be written as text, or as JSON by serde. Field names are those in
//! JSON.

use std::fmt;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::{
    aggregate::{By, findings::Finding},
    tcp::state::State,
};

/// Digits of an identifier of a container, as `docker ps` shows it.
const SHORT_ID: usize = 12;

/// A report on a period.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The host that it is about, if there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The period that it covers.
    #[serde(flatten)]
    pub period: Period,
    /// Transitions that were lost in the period, and so are not counted; `None` if that is not known.
    pub lost: Option<u64>,
    /// The relative error of quantiles: 0.01 for 1 %.
    pub quantile_error: f64,
    /// Transitions that occurred.
    pub transitions: Vec<TransitionCount>,
    /// States that sockets were in.
    pub states: Vec<StateTimes>,
    /// Why connections ended; `None` if that was not counted.
    pub reasons: Option<Vec<ReasonCount>>,
    /// The rankings that were asked for.
    pub top: Vec<RankingTable>,
    /// What is wrong at the end of the period, the heaviest first; `None` if nobody has looked.
    pub findings: Option<Vec<Finding>>,
    /// Sockets that the kernel program dropped for lack of room: the durations of their stays are unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forgotten: Option<u64>,
}

/// A period of time.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Period {
    /// An interval, or the whole run.
    pub kind: PeriodKind,
    /// When it began.
    #[serde(serialize_with = "rfc3339")]
    pub from: Timestamp,
    /// When it ended.
    #[serde(serialize_with = "rfc3339")]
    pub to: Timestamp,
    /// Its duration in nanoseconds.
    #[serde(rename = "duration_us", serialize_with = "as_micros")]
    pub duration_ns: u64,
}

/// The kind of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PeriodKind {
    /// From the last report to this one.
    Interval,
    /// From the beginning to the end.
    Total,
}

/// How often a transition occurred.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct TransitionCount {
    /// State before.
    #[serde(serialize_with = "state_name")]
    pub old_state: State,
    /// State after.
    #[serde(serialize_with = "state_name")]
    pub new_state: State,
    /// How often it occurred.
    pub count: u64,
    /// How often per second.
    pub per_second: f64,
}

/// How long sockets stayed in a state. A stay lasts from entering the state to leaving it.
#[derive(Clone, Debug, Serialize)]
pub struct StateTimes {
    /// The state.
    #[serde(serialize_with = "state_name")]
    pub state: State,
    /// Sockets that are in it at the end of the period; `None` if that was not counted.
    pub now: Option<u64>,
    /// Stays of known duration that ended in the period.
    pub stays: u64,
    /// Stays of unknown duration, because their beginning was not seen.
    pub unknown: u64,
    /// Stays of known duration whose end was sampled, and so is not exact.
    pub sampled: u64,
    /// The largest error of these, in nanoseconds; `None` if there are none.
    #[serde(rename = "sampled_error_us", serialize_with = "as_maybe_micros")]
    pub sampled_error_ns: Option<u64>,
    /// How long they were.
    #[serde(flatten)]
    pub quantiles: Quantiles,
    /// Stays by duration.
    pub distribution: Vec<Bucket>,
}

/// Quantiles of durations, and the longest one, in nanoseconds. `None`: there are none, or it was not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quantiles {
    /// The median.
    #[serde(rename = "p50_us", serialize_with = "as_maybe_micros")]
    pub p50_ns: Option<u64>,
    /// The 90th percentile.
    #[serde(rename = "p90_us", serialize_with = "as_maybe_micros")]
    pub p90_ns: Option<u64>,
    /// The 99th percentile.
    #[serde(rename = "p99_us", serialize_with = "as_maybe_micros")]
    pub p99_ns: Option<u64>,
    /// The longest.
    #[serde(rename = "max_us", serialize_with = "as_maybe_micros")]
    pub max_ns: Option<u64>,
}

/// The stays in a range of durations.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Bucket {
    /// The shortest duration, in nanoseconds. All are shorter than twice this.
    #[serde(rename = "from_us", serialize_with = "as_micros")]
    pub from_ns: u64,
    /// How many stays there are.
    pub count: u64,
}

/// How many connections ended for a reason.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ReasonCount {
    /// The reason's name.
    pub reason: &'static str,
    /// How many connections ended for it.
    pub count: u64,
    /// Whether they closed in order.
    #[serde(skip)]
    pub is_orderly: bool,
}

/// A ranking.
#[derive(Clone, Debug, Serialize)]
pub struct RankingTable {
    /// What connections are ranked by.
    pub by: By,
    /// How many different keys there are; `None` if there were too many to count.
    pub keys: Option<usize>,
    /// How many transitions may be missing from each count. A key that is not in the ranking has no more
    /// than this.
    pub missing_at_most: u64,
    /// The rows with the most transitions, in descending order.
    pub rows: Vec<RankingRow>,
}

/// A row of a ranking.
#[derive(Clone, Debug, Serialize)]
pub struct RankingRow {
    /// What is counted in this row.
    #[serde(flatten)]
    pub key: RankedName,
    /// Its transitions.
    pub transitions: u64,
    /// Connections that began.
    pub begun: u64,
    /// Connections that ended for their processes; `None` if that was not counted.
    pub ended: Option<u64>,
    /// Those of them that did not close in order.
    pub failed: Option<u64>,
    /// How long its connections were established, if that was counted by row.
    #[serde(flatten)]
    pub established: Option<Established>,
}

/// How long connections were established.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Established {
    /// The median, in nanoseconds.
    #[serde(rename = "established_p50_us", serialize_with = "as_maybe_micros")]
    pub p50_ns: Option<u64>,
    /// The 99th percentile.
    #[serde(rename = "established_p99_us", serialize_with = "as_maybe_micros")]
    pub p99_ns: Option<u64>,
}

/// The key of a row.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum RankedName {
    /// A service.
    Port {
        /// The side that serves it: `local`, `remote`, or null if that is not known.
        side: Option<&'static str>,
        /// Its port.
        port: Option<u16>,
    },
    /// A peer.
    Peer {
        /// The remote address; `None` for listeners.
        remote_addr: Option<String>,
    },
    /// A process.
    Process {
        /// Its name, escaped; `None` if the owner is not known.
        comm: Option<String>,
        /// Its process id, if all connections have the same one.
        pid: Option<u32>,
    },
    /// A cgroup.
    Cgroup {
        /// Its id; `None` if the kernel does not report it.
        cgroup: Option<u64>,
        /// Its path below the root of the v2 hierarchy, escaped; `None` if it is gone.
        path: Option<String>,
    },
    /// A container.
    Container {
        /// Its name, escaped; its identifier if that is not found; `None` outside of containers.
        container: Option<String>,
        /// Its identifier.
        container_id: Option<String>,
        /// The name of its pod in Kubernetes, escaped.
        pod: Option<String>,
        /// The pod's namespace there, escaped.
        k8s_namespace: Option<String>,
        /// Whether it is known to be outside of containers.
        #[serde(skip)]
        is_outside: bool,
    },
    /// A network namespace.
    Netns {
        /// Its inode number.
        netns: u32,
        /// The name that `ip netns` knows it by, escaped; `None` if it has none.
        #[serde(rename = "netns_name")]
        name: Option<String>,
    },
    /// A state.
    State {
        /// The state.
        #[serde(serialize_with = "state_name")]
        state: State,
    },
}

impl fmt::Display for RankedName {
    /// For people, in a column.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port { side, port } => match (side, port) {
                (Some("local"), Some(port)) => write!(f, "local port {port}"),
                (Some(_), Some(port)) => write!(f, "to port {port}"),
                _ => f.write_str("(beginning not seen)"),
            },
            Self::Peer { remote_addr } => f.write_str(remote_addr.as_deref().unwrap_or("(listeners)")),
            Self::Process { comm, pid } => {
                f.write_str(comm.as_deref().unwrap_or("(not known)"))?;
                pid.map_or(Ok(()), |pid| write!(f, " ({pid})"))
            }
            Self::Cgroup { cgroup, path } => match (path, cgroup) {
                (Some(path), _) => f.write_str(path),
                (None, Some(id)) => write!(f, "{id} (gone)"),
                (None, None) => f.write_str("(not known)"),
            },
            Self::Container { container, container_id, pod, k8s_namespace, is_outside } => {
                match (container, container_id) {
                    (Some(name), Some(id)) if name == id => f.write_str(id.get(..SHORT_ID).unwrap_or(id)),
                    (Some(name), _) => f.write_str(name),
                    (None, _) if *is_outside => f.write_str("(no container)"),
                    (None, _) => f.write_str("(not known)"),
                }?;
                let Some(pod) = pod else { return Ok(()) };
                write!(
                    f,
                    " ({}{pod})",
                    k8s_namespace.as_ref().map_or_else(String::new, |ns| format!("{ns}/"))
                )
            }
            Self::Netns { netns, name } => match name {
                Some(name) => write!(f, "{name} ({netns})"),
                None => netns.fmt(f),
            },
            Self::State { state } => state.fmt(f),
        }
    }
}

pub(super) fn rfc3339<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.9}"))
}

// serde passes references, here and below.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn state_name<S: Serializer>(state: &State, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(state)
}

#[allow(clippy::trivially_copy_pass_by_ref)]
pub(super) fn as_micros<S: Serializer>(ns: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(micros(*ns))
}

#[allow(clippy::ref_option, clippy::trivially_copy_pass_by_ref)]
pub(super) fn as_maybe_micros<S: Serializer>(ns: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    ns.map(micros).serialize(serializer)
}

/// Microseconds, with nanoseconds as the fraction.
fn micros(ns: u64) -> f64 {
    // This is exact up to 104 days. Beyond that single nanoseconds do not matter.
    #[allow(clippy::cast_precision_loss)]
    let micros = ns as f64 / 1000.0;
    micros
}
