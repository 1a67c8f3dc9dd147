//! Measures a whole TIME_WAIT, which takes a minute. It starts before the other scenarios and ends after
//! them.

use std::{
    thread,
    time::{Duration, Instant},
};

use guest::Length;
use tests::{
    patience::until,
    place::Place,
    program::Program,
    story::{self, Line, number, text},
    tracer,
    traffic::{connect, listen, wait_for_end},
};

use crate::scenario::{
    check::checked,
    hooks::{TIMEWAIT, is_used},
};

/// `TCP_TIMEWAIT_LEN`
const MINUTE: Duration = Duration::from_secs(60);
/// The kernel's timers are late by up to an eighth of their time.
const LATE: f64 = 1.13;
const ADDRESS: [u8; 4] = [127, 77, 60, 1];

/// A connection in TIME_WAIT, and the tracer that follows it.
pub(crate) struct Minute {
    tracer: Program,
    begun: Instant,
    // Keeps the namespace until the end.
    _place: Place,
}

/// Starts tracer and closes a connection. `None` if tracer cannot follow TIME_WAIT on this kernel.
pub(crate) fn begin() -> Option<Minute> {
    if checked().out.contains("TIME_WAIT is not followed") {
        return None;
    }
    let place = Place::new();
    let tracer = tracer::start(&format!("-o json --netns {}", place.name()));
    place.run(|| {
        let listener = listen(ADDRESS.into(), 0);
        let client = connect(listener.local_addr().expect("an address")).expect("a listener");
        let (mut server, _) = listener.accept().expect("a client");
        drop(client);
        wait_for_end(&mut server);
    });
    Some(Minute { tracer, begun: Instant::now(), _place: place })
}

impl Minute {
    /// Waits for the end of TIME_WAIT and returns how long it lasted. `None` if events were lost.
    pub(crate) fn end(self) -> Option<Length> {
        let is_end =
            |line: &Line| text(line, "old_state") == "TIME_WAIT" && text(line, "new_state") == "CLOSE";
        let end = || {
            let out = self.tracer.out();
            story::lines(story::whole(&out)).into_iter().find(is_end)
        };
        thread::sleep(MINUTE.saturating_sub(self.begun.elapsed()));
        let line = until("the end of TIME_WAIT", end);
        let ended = self.tracer.interrupt();
        assert_eq!(ended.code(), 0, "{}", ended.err);
        assert!(line["reason"].is_null(), "the reason belongs to the transition into TIME_WAIT: {line}");
        let length = |(state_us, error_us)| Length { state_us, error_us };
        let length = number(&line, "state_us").zip(number(&line, "state_error_us")).map(length);
        let Some(Length { state_us, error_us }) = length else {
            assert!(tracer::receipt(&ended, "lost") > 0, "no events were lost, so the time is known: {line}");
            return None;
        };
        let minute_us = MINUTE.as_secs_f64() * 1e6;
        assert!(state_us >= minute_us * 0.999 && state_us - error_us <= minute_us * LATE, "{line}");
        if is_used(&checked().out, TIMEWAIT) {
            assert!(error_us == 0.0, "{line}");
        }
        length
    }
}
