//! Transitions are the same with and without the optional hooks.

use std::net::SocketAddr;

use tests::{
    incidents::{ADDRESS, Scene},
    place::Place,
    story::{self, text},
    tracer,
    traffic::connect,
};

/// With `--hooks minimal` transitions and reasons stay the same, and what only other hooks report is null.
#[test]
fn minimal_hooks() {
    let scene = Scene::new("--hooks minimal");
    scene.place.run(|| connect(SocketAddr::from((ADDRESS, 9))).unwrap_err());
    let ended = scene.tracer.interrupt();
    let lines = story::lines(&ended.out);
    assert_eq!(story::path(&lines.iter().collect::<Vec<_>>()), ["CLOSE>SYN_SENT", "SYN_SENT>CLOSE"]);
    assert_eq!(text(&lines[1], "reason"), "refused");
    for key in ["reset", "reset_reason", "retransmitted"] {
        assert!(lines[1][key].is_null(), "{key}: {}", lines[1]);
    }
    assert!(lines[1].get("event").is_none(), "an event column although all lines are transitions");
    for option in ["--resets", "--retransmits"] {
        let wrong = tracer::run(&format!("{option} --hooks minimal"));
        assert_eq!(wrong.code(), 2);
        assert!(wrong.err.contains("--hooks minimal"), "{}", wrong.err);
    }
}

/// Without `--resets` RSTs have no lines, and do not count as events.
#[test]
fn transitions_stay_transitions() {
    let place = Place::new();
    let tracer = tracer::start(&format!("-o json --netns {}", place.name()));
    place.run(|| {
        for _ in 0..5 {
            connect(SocketAddr::from((ADDRESS, 9))).unwrap_err();
        }
    });
    let ended = tracer.interrupt();
    assert_eq!(story::lines(&ended.out).len(), 10);
    assert_eq!((tracer::passed(&ended), tracer::receipt(&ended, "shown")), (10, 10));
}
