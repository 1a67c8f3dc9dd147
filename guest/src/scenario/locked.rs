//! Too little memory that may be locked, which kernels before 5.11 want for maps: said, with what to do.

use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    thread::{CapabilitySet, remove_capability_from_bounding_set},
};
use tests::tracer;

/// More than the programs take, less than the buffer.
const LIMIT: u64 = 32 << 20;

/// Starts tracer where it may not raise the limit.
pub(crate) fn try_it() {
    let before = getrlimit(Resource::Memlock);
    let limit = Rlimit { current: Some(LIMIT), maximum: Some(LIMIT) };
    setrlimit(Resource::Memlock, limit).expect("a lower limit");
    // What a thread's children may do is its own.
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
