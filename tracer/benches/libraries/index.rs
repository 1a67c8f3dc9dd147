//! Looks up the records of random cookies.
//!
//! As in `Tracker::prefetch`, the index is prefetched one group of events ahead, and the record just before
//! its use. Between two lookups there is as much work as a line of output takes; otherwise the processor
//! would wait for many lookups at once.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use fastrand::Rng;
use hashbrown::HashTable;
use tracer::track::table::{
    cookie::{hash, spread},
    index::Index,
};

/// Cookies in a group: as many as `track` has events in a group.
const GROUP: usize = 16;

/// Groups in a round.
const GROUPS: usize = 100;

/// Steps of work after each lookup. Each needs the result of the previous one.
const WORK: usize = 128;

/// A record, nearly as large as a connection's.
#[derive(Clone)]
#[repr(align(64))]
struct Record {
    cookie: u64,
    rest: [u64; 23],
}

pub(crate) fn all(criterion: &mut Criterion) {
    for live in [1_000, 1_000_000] {
        let records: Vec<_> = (1..=live).map(|cookie| Record { cookie, rest: [cookie; 23] }).collect();
        let (mut index, mut table) = (Index::default(), HashTable::new());
        for (slot, record) in (0_u32..).zip(&records) {
            if index.is_full() {
                index.grow((0..slot).map(|slot| (records[slot as usize].cookie, slot)));
            }
            index.insert(record.cookie, slot);
            table.insert_unique(hash(record.cookie), slot, |slot| hash(records[*slot as usize].cookie));
        }
        let is_it = |cookie, slot: u32| records[slot as usize].cookie == cookie;
        let rest = |slot: u32| records[slot as usize].rest[22];
        let mut random = Rng::with_seed(7);
        let mut group = criterion.benchmark_group(format!("index of {live}"));
        group.throughput(Throughput::Elements((GROUPS * GROUP) as u64));

        group.bench_function("the work alone", |bencher| {
            bencher.iter(|| look(&mut random, live, |_| {}, |_| {}, Some));
        });
        group.bench_function("tracer", |bencher| {
            let ahead = |cookie| index.prefetch(cookie);
            let near = |cookie| _ = index.likely_slot(cookie).map(|slot| black_box(rest(slot)));
            let find = |cookie| index.find(cookie, |slot| is_it(cookie, slot)).map(rest);
            bencher.iter(|| look(&mut random, live, ahead, near, find));
        });
        let find = |cookie| table.find(hash(cookie), |slot| is_it(cookie, *slot)).map(|slot| rest(*slot));
        group.bench_function("hashbrown", |bencher| {
            bencher.iter(|| look(&mut random, live, |_| {}, |_| {}, find));
        });
        // hashbrown cannot prefetch. But reading ahead for a whole group makes the processor wait for several
        // reads at once.
        group.bench_function("hashbrown, read ahead", |bencher| {
            let guess = |cookie| table.iter_hash(hash(cookie)).next().copied();
            let ahead = |cookie| _ = black_box(guess(cookie));
            let near = |cookie| _ = guess(cookie).map(|slot| black_box(rest(slot)));
            bencher.iter(|| look(&mut random, live, ahead, near, find));
        });
    }
}

/// Looks up one group of cookies after the other.
fn look(
    random: &mut Rng,
    live: u64,
    ahead: impl Fn(u64),
    near: impl Fn(u64),
    find: impl Fn(u64) -> Option<u64>,
) -> u64 {
    let mut some = || [0; GROUP].map(|_| random.u64(1..=live));
    let mut next = some();
    let mut sum = 0;
    for _ in 0..GROUPS {
        let group = std::mem::replace(&mut next, some());
        for cookie in next {
            ahead(cookie);
        }
        for cookie in group {
            near(cookie);
        }
        for cookie in group {
            sum = (0..WORK).fold(sum ^ find(cookie).unwrap(), |value, _| spread(value));
        }
    }
    sum
}
