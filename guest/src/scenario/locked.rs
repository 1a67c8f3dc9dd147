//! Checks the error message when too little memory may be locked (`RLIMIT_MEMLOCK`). Kernels before 5.11
//! count the memory of maps as locked.

use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    thread::{CapabilitySet, remove_capability_from_bounding_set},
};
use tests::tracer;

/// In bytes: enough for the programs and a small ring buffer, but not for a large one.
const LIMIT: u64 = 32 << 20;

/// Starts tracer without the right to raise the limit.
pub(crate) fn try_it() {
    let before = getrlimit(Resource::Memlock);
    let limit = Rlimit { current: Some(LIMIT), maximum: Some(LIMIT) };
    setrlimit(Resource::Memlock, limit).expect("a lower limit");
    // The bounding set belongs to the thread, so only its children lose the capability.
    let thread = std::thread::spawn(|| {
        remove_capability_from_bounding_set(CapabilitySet::SYS_RESOURCE).expect("the right to give it up");
        ["64MiB", "1MiB"].map(|buffer| tracer::run(&format!("--duration 1ms --buffer {buffer}")))
    });
    let [large, small] = thread.join().expect("both runs");
    setrlimit(Resource::Memlock, before).expect("the limit as it was");
    assert_eq!(small.code(), 0, "{}", small.err);
    if large.code() != 0 {
        let says = |word| large.err.contains(word);
        assert!(says("before Linux 5.11") && says("33554432 bytes") && says("--buffer"), "{}", large.err);
    }
}
