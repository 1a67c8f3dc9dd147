//! Checks that `--raw` shows exactly the events of the tracepoint, by comparison with the kernel's trace
//! buffer.

use std::process::Command;

use guest::Found;
use tests::{event, facts, place::Place, program::run, tracer, traffic};

use crate::oracle::Oracle;

const COUNT: usize = 120;
/// Differences that are reported at most; a few are enough to find the cause.
const SHOWN: usize = 20;

/// Makes traffic inside two namespaces and between them, and compares both traces.
pub(crate) fn play() -> Found {
    let (left, right) = Place::pair();
    // Packets between the namespaces are delayed, as between hosts.
    let delay = ["-n", left.name(), "qdisc", "add", "dev", "veth0", "root", "netem", "delay", "5ms"];
    run(Command::new("tc").args(delay));
    let oracle = Oracle::start();
    let tracer = tracer::start("--raw -o json");
    traffic::storm(&[&left, &right], COUNT, 1);
    for address in ["127.77.0.1", "fd77::1"] {
        left.run(|| traffic::with_itself(address.parse().expect("an address")));
    }
    oracle.wait_until_quiet();
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    let (ours, theirs) = (event::parse(&ended.out), oracle.finish());
    assert!(theirs.len() > 3 * COUNT, "too little happened: {} events", theirs.len());
    // A preemptible kernel may not run the program for a few events. Tracer has to report exactly how many.
    let lost = usize::try_from(tracer::receipt(&ended, "lost")).expect("a number");
    let mut differences = facts::unexplained(&facts::count(&ours), &facts::count(&theirs), lost);
    differences.truncate(SHOWN);
    Found::Oracle { tracer: ours.len(), lost, kernel: theirs.len(), differences }
}
