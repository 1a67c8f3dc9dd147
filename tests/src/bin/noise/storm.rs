//! As many connections as one processor can make, and no TIME_WAIT.

use std::net::Ipv4Addr;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tests::traffic::listen;

use crate::{
    deed::Deed,
    ordinary::{abort, pair},
};

pub(crate) fn blow(deed: &Deed<'_>) {
    stay_on_one_processor();
    let listener = listen(Ipv4Addr::new(127, 1, 0, 4).into(), 0);
    while !deed.is_over() {
        let (client, _server) = pair(&listener);
        abort(&client);
        drop(client);
        deed.done();
    }
}

fn stay_on_one_processor() {
    let allowed = sched_getaffinity(None).unwrap();
    let last = (0..CpuSet::MAX_CPU).rev().find(|processor| allowed.is_set(*processor)).unwrap();
    let mut only = CpuSet::new();
    only.set(last);
    sched_setaffinity(None, &only).unwrap();
}
