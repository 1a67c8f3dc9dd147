//! Kernel functions that take no more programs: tracer leaves out their hooks, says why, and uses the others.

use std::{
    net::IpAddr,
    panic::{AssertUnwindSafe, catch_unwind},
};

use tests::{
    patience::until,
    place::Place,
    story::{self, Line, text},
    tracer,
    traffic::{Scenario, play},
};

use crate::{
    scenario::{
        check::checked,
        hooks::{ACCEPT, TRIES, half_open, report, used},
        unless_lost,
    },
    trampoline::fill,
};

/// Fills the functions of those hooks that this kernel allows, and runs tracer.
pub(super) fn try_it() {
    let (full, others): (Vec<_>, Vec<_>) =
        used(&checked().out).partition(|hook| [ACCEPT, half_open::HOOK].contains(hook));
    if full.is_empty() {
        return;
    }
    let links: Vec<_> = full.iter().map(|hook| fill(hook)).collect();
    let check = tracer::run("check --color never");
    assert_eq!(check.code(), 0, "{}{}", check.out, check.err);
    assert_eq!(used(&check.out).collect::<Vec<_>>(), others, "{}", check.out);
    for (hook, links) in full.iter().zip(&links) {
        let reason = format!("without {hook}: no room for another program at {hook} (");
        assert!(check.out.contains(&reason), "with {} programs at {hook}: {}", links.len(), check.out);
    }
    let err = (0..TRIES).find_map(|_| capture()).expect("a capture without losses");
    assert!(err.contains(&format!("other hooks: {}\n", report(&check.out))), "{err}");
    told_without_being_asked(&full);
    if full.contains(&half_open::HOOK) {
        let reason = format!(
            "--stuck NEW_SYN_RECV without the hook {0}: no room for another program at {0} (",
            half_open::HOOK
        );
        assert!(err.contains(&reason), "{err}");
    }
}

/// Captures a connection that is reset, which optional hooks report, and returns the messages.
fn capture() -> Option<String> {
    let place = Place::new();
    let tracer =
        tracer::start(&format!("-v -o json --resets --stuck NEW_SYN_RECV=1s --netns {}", place.name()));
    let played = catch_unwind(AssertUnwindSafe(|| {
        let address: IpAddr = "127.77.63.1".parse().expect("an address");
        place.run(|| play(Scenario::Reset, address));
        for way in ["sent", "received"] {
            let is_it = |line: &Line| text(line, "event") == "reset" && text(line, "reset") == way;
            until("an RST", || story::lines(story::whole(&tracer.out())).into_iter().find(is_it));
        }
    }));
    let ended = tracer.interrupt();
    unless_lost(played, &ended)?;
    Some(ended.err)
}

/// Without any option it says at the start what is missing, in one line, and the receipt says where there was no room.
fn told_without_being_asked(full: &[&str]) {
    let err = tracer::start("--netns 1").interrupt().err;
    let told: Vec<_> = err.lines().filter(|line| line.contains("no room for another program")).collect();
    assert!(told.len() == 1 && full.iter().all(|hook| told[0].contains(&format!("({hook})"))), "{err}");
    assert!(err.contains(&format!("; no room for a program at {}\n", full.join(", "))), "{err}");
}
