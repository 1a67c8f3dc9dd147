//! Where threads run.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Keeps this thread, and all that it starts from now on, on the last processor that it may use.
pub fn stay_on_one() {
    let allowed = sched_getaffinity(None).unwrap();
    let last = (0..CpuSet::MAX_CPU).rev().find(|processor| allowed.is_set(*processor)).unwrap();
    let mut only = CpuSet::new();
    only.set(last);
    sched_setaffinity(None, &only).unwrap();
}
