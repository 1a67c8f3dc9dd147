//! Which part of recordings `--since` and `--until` mean.

use std::path::PathBuf;

use crate::{
    recording::header::Header,
    run::{error::Error, recording::contents::Contents},
    source,
    time::span::{RecordedTime, SpanSpec, TimeSpan},
};

/// The part of each host's recordings, from one start of the host to the next.
pub(super) struct HostSpans(Vec<BootSpan>);

/// The part of what was recorded in one run of a host.
struct BootSpan {
    header: Header,
    span: TimeSpan,
    /// Whether anything is in it.
    has_any: bool,
}

impl HostSpans {
    /// Finds it. The recordings are read to their ends, unless all of them is meant: only that tells when the end
    /// is, and how the wall clock was set meanwhile. The time of several hosts is from the first beginning to the last
    /// end.
    ///
    /// # Errors
    /// One cannot be read. Nothing is in that part.
    pub(super) fn of_files(paths: &[PathBuf], span: &SpanSpec) -> Result<Self, Error> {
        if span.is_open() {
            return Ok(Self(Vec::new()));
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
        let mut boots = Vec::<(Header, Vec<_>)>::new();
        for one in &contents {
            let header = one.header.clone().unwrap_or_default();
            match boots.iter_mut().find(|(boot, _)| boot.is_of_same_boot(&header)) {
                Some((_, times)) => times.extend(one.time()),
                None => boots.push((header, one.time().into_iter().collect())),
            }
        }
        let boots = boots.into_iter().filter_map(|(boot, times)| Some((boot, RecordedTime::of_all(times)?)));
        let boots: Vec<_> = boots.collect();
        let walls = boots.iter().map(|(_, recorded)| recorded.wall());
        let Some(wall) = walls.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1))) else {
            return Ok(Self(Vec::new()));
        };
        let spans = boots.into_iter().map(|(header, recorded)| {
            let mut span = span.at(wall, &recorded);
            let has_any = span.is_of(&recorded);
            // Nothing is known before the beginning.
            span.since_ns = span.since_ns.filter(|since_ns| *since_ns > recorded.begin.monotonic_ns);
            BootSpan { header, span, has_any }
        });
        let spans: Vec<_> = spans.collect();
        if !spans.iter().any(|boot| boot.has_any) {
            let names: Vec<_> = contents.into_iter().map(|contents| contents.file).collect();
            return Err(Error::NothingBetween(names.join(", "), wall.0, wall.1));
        }
        Ok(Self(spans))
    }

    /// That of this recording's host.
    pub(super) fn of(&self, header: Option<&Header>) -> TimeSpan {
        let unknown = Header::default();
        self.find(header.unwrap_or(&unknown)).map(|boot| boot.span).unwrap_or_default()
    }

    /// Whether anything is in that of this recording's host.
    pub(super) fn has_any(&self, header: &Header) -> bool {
        self.find(header).is_none_or(|boot| boot.has_any)
    }

    /// That of the only host.
    pub(super) fn alone(&self) -> TimeSpan {
        self.0.first().map(|boot| boot.span).unwrap_or_default()
    }

    fn find(&self, header: &Header) -> Option<&BootSpan> {
        self.0.iter().find(|boot| boot.header.is_of_same_boot(header))
    }
}
