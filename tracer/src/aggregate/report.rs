//! What a summary tells, ready to be written: as text, or by serde as JSON. Names are those of JSON.

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::{aggregate::By, tcp::state::State};

/// A report on a period.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Over which time.
    #[serde(flatten)]
    pub period: Period,
    /// Transitions that were lost in it, and so are not counted; `None` if that is not known.
    pub lost: Option<u64>,
    /// How far quantiles may be off, as a part of themselves.
    pub quantile_error: f64,
    /// Transitions that happened.
    pub transitions: Vec<TransitionCount>,
    /// States that sockets were in.
    pub states: Vec<StateTimes>,
    /// Why connections ended; `None` where nobody looked.
    pub reasons: Option<Vec<ReasonCount>>,
    /// The heaviest, of each kind that was asked for.
    pub top: Vec<RankingTable>,
    /// Sockets that the kernel forgot for want of room: their stays are of unknown length.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forgotten: Option<u64>,
}

/// A period of time.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Period {
    /// An interval, or all of it.
    pub kind: PeriodKind,
    /// When it began.
    #[serde(serialize_with = "rfc3339")]
    pub from: Timestamp,
    /// When it ended.
    #[serde(serialize_with = "rfc3339")]
    pub to: Timestamp,
    /// How long it was, in nanoseconds.
    #[serde(rename = "duration_us", serialize_with = "as_micros")]
    pub duration_ns: u64,
}

/// What a period is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PeriodKind {
    /// From the last report to this one.
    Interval,
    /// From the beginning to the end.
    Total,
}

/// A transition.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct TransitionCount {
    /// State before.
    #[serde(serialize_with = "name")]
    pub old_state: State,
    /// State after.
    #[serde(serialize_with = "name")]
    pub new_state: State,
    /// How often.
    pub count: u64,
    /// How often a second.
    pub per_second: f64,
}

/// A state.
#[derive(Clone, Debug, Serialize)]
pub struct StateTimes {
    /// Which.
    #[serde(serialize_with = "name")]
    pub state: State,
    /// Sockets that are in it at the end of the period; `None` where nobody looked.
    pub now: Option<u64>,
    /// Stays of known length that ended in the period.
    pub stays: u64,
    /// Stays whose length is not known, because their beginning was not seen.
    pub unknown: u64,
    /// Of the known ones, those whose end was found by looking and is not exact.
    pub sampled: u64,
    /// How far these may be off at most, in nanoseconds; `None` without any.
    #[serde(rename = "sampled_error_us", serialize_with = "as_maybe_micros")]
    pub sampled_error_ns: Option<u64>,
    /// Half of the stays were no longer than this, in nanoseconds.
    #[serde(rename = "p50_us", serialize_with = "as_maybe_micros")]
    pub p50_ns: Option<u64>,
    /// Nine in ten.
    #[serde(rename = "p90_us", serialize_with = "as_maybe_micros")]
    pub p90_ns: Option<u64>,
    /// Ninety-nine in a hundred.
    #[serde(rename = "p99_us", serialize_with = "as_maybe_micros")]
    pub p99_ns: Option<u64>,
    /// The longest, in nanoseconds.
    #[serde(rename = "max_us", serialize_with = "as_maybe_micros")]
    pub max_ns: Option<u64>,
    /// How many stays had which length.
    pub distribution: Vec<Bucket>,
}

/// Stays of about the same length.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Bucket {
    /// This long or longer, in nanoseconds.
    #[serde(rename = "from_us", serialize_with = "as_micros")]
    pub from_ns: u64,
    /// How many; all shorter than twice that.
    pub count: u64,
}

/// A reason.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ReasonCount {
    /// Its word.
    pub reason: &'static str,
    /// How many connections ended for it.
    pub count: u64,
    /// Whether they closed in order.
    #[serde(skip)]
    pub is_orderly: bool,
}

/// The heaviest of one kind.
#[derive(Clone, Debug, Serialize)]
pub struct RankingTable {
    /// Of which kind.
    pub by: By,
    /// How many there are of the kind; `None` if there were too many to count.
    pub keys: Option<usize>,
    /// How many transitions may be missing from each count; a key that is not there has no more.
    pub missing_at_most: u64,
    /// The heaviest first.
    pub rows: Vec<RankingRow>,
}

/// One of the heaviest.
#[derive(Clone, Debug, Serialize)]
pub struct RankingRow {
    /// What it is.
    #[serde(flatten)]
    pub key: RankedName,
    /// Its transitions.
    pub transitions: u64,
    /// Connections that began.
    pub begun: u64,
    /// Connections that ended for their processes; `None` where nobody looked.
    pub ended: Option<u64>,
    /// Of those, the ones that did not close in order.
    pub failed: Option<u64>,
    /// How long they were established, where that was counted by row.
    #[serde(flatten)]
    pub established: Option<Established>,
}

/// How long connections were established.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Established {
    /// Half of them no longer than this, in nanoseconds.
    #[serde(rename = "established_p50_us", serialize_with = "as_maybe_micros")]
    pub p50_ns: Option<u64>,
    /// Ninety-nine in a hundred.
    #[serde(rename = "established_p99_us", serialize_with = "as_maybe_micros")]
    pub p99_ns: Option<u64>,
}

/// What a row is about.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum RankedName {
    /// A service.
    Port {
        /// At which end it is served: `local`, `remote`, or null if that is not known.
        side: Option<&'static str>,
        /// Its port.
        port: Option<u16>,
    },
    /// A remote address; none for listeners.
    Peer {
        /// The address.
        remote_addr: Option<String>,
    },
    /// A process.
    Process {
        /// Its name, escaped; none where no owner is known.
        comm: Option<String>,
        /// Its id, if all connections were of the same one.
        pid: Option<u32>,
    },
    /// A cgroup.
    Cgroup {
        /// Its id; none where the kernel does not tell.
        cgroup: Option<u64>,
        /// Its folder below the root of the v2 hierarchy, escaped; none if it is gone.
        path: Option<String>,
    },
    /// A network namespace.
    Netns {
        /// Its inode number.
        netns: u32,
    },
}

fn rfc3339<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.9}"))
}

// serde wants references, here and below.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn name<S: Serializer>(state: &State, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(state)
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn as_micros<S: Serializer>(ns: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(micros(*ns))
}

#[allow(clippy::ref_option, clippy::trivially_copy_pass_by_ref)]
fn as_maybe_micros<S: Serializer>(ns: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    ns.map(micros).serialize(serializer)
}

/// Microseconds with nanoseconds as fraction.
fn micros(ns: u64) -> f64 {
    // Exact up to 104 days; beyond that the last digits of nanoseconds do not matter.
    #[allow(clippy::cast_precision_loss)]
    let micros = ns as f64 / 1000.0;
    micros
}
