//! Compares, whenever the kernel's counters of connections have been read, how much they have grown with what events
//! tell.
//!
//! A reading lies between two moments at which the events are counted. The kernel's count must lie between theirs: what
//! happened from one to the other explains a difference, and no more than that.

use std::collections::HashMap;

use crate::{
    facts::{
        counts::{Bounds, KernelCounts, TcpCounts},
        gauges::NetnsGauges,
    },
    tcp::netns::NetnsId,
    track::tally::LEAD_NS,
};

/// Namespaces that are kept, though they may be gone.
const MOST: usize = 4096;

/// One that was not read for so long is gone, in nanoseconds.
const OLD_NS: u64 = 600_000_000_000;

/// Moments that are kept: a reading is older than this many seldom.
const MOMENTS: usize = 4;

/// The comparison.
#[derive(Clone, Debug, Default)]
pub struct Agreement {
    by_netns: HashMap<NetnsId, Compared>,
    /// What namespaces had grown and differed by that are gone.
    gone: CounterGrowth,
}

/// What the counters have grown by, and how far that is from what events tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CounterGrowth {
    /// The kernel's own growth.
    pub kernel: TcpCounts,
    /// By how much more or less events tell, beyond what is explained.
    pub difference: TcpCounts,
}

/// What is known of a namespace besides.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    /// What the kernel had counted when the capture began; `None` if the namespace was not found then.
    pub start: Option<KernelCounts>,
    /// What events have told since.
    pub since: Bounds,
}

/// A namespace.
#[derive(Clone, Debug)]
struct Compared {
    /// What the kernel had counted when it was first compared, and what events had told at most.
    start: KernelCounts,
    at_start: TcpCounts,
    /// When the last reading was made that is compared or waits.
    last_ns: u64,
    /// A reading that waits until all events before it are counted.
    waiting: Option<(KernelCounts, u64)>,
    /// What events had told at the last moments, the oldest first.
    moments: Vec<(u64, TcpCounts)>,
    growth: CounterGrowth,
}

impl Agreement {
    /// Takes what was read last. All events until `now_ns` are counted, and `told` returns what they tell of a namespace.
    pub fn read<'a>(
        &mut self,
        gauges: impl Iterator<Item = (&'a NetnsId, &'a NetnsGauges)>,
        now_ns: u64,
        told: impl Fn(NetnsId) -> Told,
    ) {
        for (id, NetnsGauges { counts, read_ns, .. }) in gauges {
            let Some(counts) = counts else { continue };
            let Told { start, since } = told(*id);
            let compared = self.by_netns.entry(*id);
            let compared = compared.or_insert_with(|| Compared::new(counts, start, since.most));
            compared.read(counts, *read_ns, now_ns, since);
        }
        self.forget_old(now_ns);
    }

    /// One that cannot be read may come back, and goes on then. When there are too many, those that were not read for
    /// long are taken together.
    fn forget_old(&mut self, now_ns: u64) {
        if self.by_netns.len() <= MOST {
            return;
        }
        let Self { by_netns, gone } = self;
        by_netns.retain(|_, compared| {
            let stays = now_ns.saturating_sub(compared.last_ns) < OLD_NS;
            if !stays {
                gone.add(&compared.growth);
            }
            stays
        });
    }

    /// The growth of all namespaces together.
    #[must_use]
    pub fn growth(&self) -> CounterGrowth {
        let mut all = self.gone;
        self.by_netns.values().for_each(|compared| all.add(&compared.growth));
        all
    }
}

impl Compared {
    /// Counters of a namespace that is younger than the capture have begun at zero. One of which events tell less is older,
    /// and was only not found, because nobody was in it.
    fn new(counts: &KernelCounts, start: Option<KernelCounts>, told: TcpCounts) -> Self {
        let is_younger = start.is_none() && !told.is_less_than(&counts.bounds().least);
        let (start, at_start) = match start {
            Some(start) => (start, TcpCounts::default()),
            None if is_younger => Default::default(),
            None => (*counts, told),
        };
        Self {
            start,
            at_start,
            last_ns: 0,
            waiting: None,
            moments: vec![(0, TcpCounts::default())],
            growth: CounterGrowth::default(),
        }
    }

    fn read(&mut self, counts: &KernelCounts, read_ns: u64, now_ns: u64, now: Bounds) {
        let is_older = |read_ns: u64| read_ns.saturating_add(LEAD_NS) <= now_ns;
        if read_ns > self.last_ns && self.waiting.is_none() {
            self.last_ns = read_ns;
            self.waiting = Some((*counts, read_ns));
        }
        if let Some((counts, read_ns)) = self.waiting.take_if(|(_, read_ns)| is_older(*read_ns)) {
            self.compare(&counts, read_ns, now.most);
        }
        if self.moments.len() == MOMENTS {
            self.moments.remove(0);
        }
        self.moments.push((now_ns, now.least));
    }

    fn compare(&mut self, counts: &KernelCounts, read_ns: u64, most: TcpCounts) {
        let before = self.moments.iter().rev().find(|(at_ns, _)| at_ns.saturating_add(LEAD_NS) <= read_ns);
        let (Some((_, least)), Some(since)) = (before, counts.since(&self.start)) else {
            return;
        };
        let told = Bounds { least: least.without(&self.at_start), most };
        let possible = since.bounds();
        let kernel = possible.nearest(&told.least);
        let here = told.nearest(&kernel);
        let mut difference = here.without(&kernel);
        difference += kernel.without(&here);
        self.growth = CounterGrowth { kernel: since.tcp, difference };
    }
}

impl CounterGrowth {
    fn add(&mut self, other: &Self) {
        self.kernel += other.kernel;
        self.difference += other.difference;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: NetnsId = NetnsId { inum: 1, cookie: 1 };
    const S: u64 = 1_000_000_000;

    fn opened(opened: u64) -> TcpCounts {
        TcpCounts { opened, ..TcpCounts::default() }
    }

    /// What differs when the kernel had these counts half a second before each second, and events told of these until
    /// then.
    fn difference(start: Option<u64>, kernel: &[u64], events: &[u64]) -> u64 {
        let start = start.map(|start| KernelCounts { tcp: opened(start), ..KernelCounts::default() });
        let mut agreement = Agreement::default();
        for ((kernel, events), now_ns) in kernel.iter().zip(events).zip((1..).map(|second| second * S)) {
            let counts = Some(KernelCounts { tcp: opened(*kernel), ..KernelCounts::default() });
            let gauges = NetnsGauges { counts, read_ns: now_ns - S / 2, ..NetnsGauges::default() };
            agreement.read([(&ID, &gauges)].into_iter(), now_ns, |_| Told {
                start,
                since: Bounds { least: opened(*events), most: opened(*events) },
            });
        }
        agreement.growth().difference.opened
    }

    #[test]
    fn what_happened_around_a_reading_explains_a_difference() {
        let start = Some(1_000);
        assert_eq!(difference(start, &[1_000, 1_050, 1_150, 1_200], &[0, 100, 200, 200]), 0);
        // What is not told of is missing as soon as the host is quiet, and stays so.
        assert_eq!(difference(start, &[1_000, 1_060, 1_160, 1_160, 1_160], &[0, 50, 100, 100, 100]), 60);
        // So is what never was.
        assert_eq!(difference(start, &[1_000, 1_010, 1_010, 1_010], &[0, 50, 50, 50]), 40);
    }

    #[test]
    fn a_namespace_that_was_not_found_at_the_start_is_younger_or_older() {
        assert_eq!(difference(None, &[50, 150, 150, 150], &[60, 100, 100, 100]), 50);
        assert_eq!(difference(None, &[5_000, 5_100, 5_150, 5_150], &[60, 200, 210, 210]), 0);
        assert_eq!(difference(None, &[5_000, 5_100, 5_250, 5_250], &[60, 200, 210, 210]), 40);
    }

    #[test]
    fn a_namespace_that_goes_takes_nothing_back() {
        let mut agreement = Agreement::default();
        for (kernel, now_ns) in [(5, S), (5, 2 * S), (9, 3 * S)] {
            let counts = Some(KernelCounts { tcp: opened(kernel), ..KernelCounts::default() });
            let gauges = NetnsGauges { counts, read_ns: now_ns - S / 2, ..NetnsGauges::default() };
            agreement.read([(&ID, &gauges)].into_iter(), now_ns, |_| Told::default());
        }
        let before = agreement.growth();
        assert_eq!((before.kernel.opened, before.difference.opened), (4, 4));
        agreement.read(std::iter::empty(), 4 * S, |_| Told::default());
        assert_eq!(agreement.growth(), before);
    }
}
