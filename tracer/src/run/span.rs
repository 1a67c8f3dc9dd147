//! Which part of recordings `--since` and `--until` mean.

use std::{collections::BTreeMap, path::PathBuf};

use crate::{
    recording::header::Header,
    run::{error::Error, recording::contents::Contents},
    source,
    time::span::{RecordedTime, SpanSpec, TimeSpan},
};

/// The part of each host's recordings.
pub(super) struct HostSpans(BTreeMap<(String, String), TimeSpan>);

impl HostSpans {
    /// Finds it. The recordings are read to their ends, unless all of them is meant: only that tells when the end
    /// is, and how the wall clock was set meanwhile. The time of several hosts is from the first beginning to the last
    /// end.
    ///
    /// # Errors
    /// One cannot be read. Nothing is in that part.
    pub(super) fn of_files(paths: &[PathBuf], span: &SpanSpec) -> Result<Self, Error> {
        if span.is_open() {
            return Ok(Self(BTreeMap::new()));
        }
        let mut contents = Vec::new();
        for path in paths {
            match Contents::of(path) {
                Ok(one) => contents.push(one),
                // The replay of the others names it.
                Err(unreadable) if unreadable.has_not_begun() && paths.len() > 1 => {}
                Err(unreadable) => return Err(source::Error::from(unreadable).into()),
            }
        }
        let mut hosts = BTreeMap::<_, Vec<_>>::new();
        for one in &contents {
            let host = one.header.as_ref().map(Header::host_key).unwrap_or_default();
            hosts.entry(host).or_default().extend(one.time());
        }
        let hosts = hosts.into_iter().filter_map(|(host, times)| Some((host, RecordedTime::of_all(times)?)));
        let hosts: Vec<_> = hosts.collect();
        let walls = hosts.iter().map(|(_, recorded)| recorded.wall());
        let Some(wall) = walls.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1))) else {
            return Ok(Self(BTreeMap::new()));
        };
        let found: Vec<_> =
            hosts.iter().map(|(host, recorded)| (host, recorded, span.at(wall, recorded))).collect();
        if !found.iter().any(|(_, recorded, found)| found.is_of(recorded)) {
            let names: Vec<_> = contents.into_iter().map(|contents| contents.file).collect();
            return Err(Error::NothingBetween(names.join(", "), wall.0, wall.1));
        }
        let found = found.into_iter().map(|(host, recorded, mut found)| {
            // Nothing is known before the beginning.
            found.since_ns = found.since_ns.filter(|since_ns| *since_ns > recorded.begin.monotonic_ns);
            (host.clone(), found)
        });
        Ok(Self(found.collect()))
    }

    /// That of this host.
    pub(super) fn of(&self, header: Option<&Header>) -> TimeSpan {
        let host = header.map(Header::host_key).unwrap_or_default();
        self.0.get(&host).copied().unwrap_or_default()
    }

    /// That of the only host.
    pub(super) fn alone(&self) -> TimeSpan {
        self.0.values().next().copied().unwrap_or_default()
    }
}
