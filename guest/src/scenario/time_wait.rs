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
    check::{checked, follows_time_wait},
    hooks::{TIMEWAIT, is_used},
};

/// `TCP_TIMEWAIT_LEN`
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
/// The kernel's timers are late by up to an eighth of their time.
const LATE: f64 = 1.13;
const ADDRESS: [u8; 4] = [127, 77, 60, 1];

/// A connection can end early: on a slow machine the kernel sends a FIN twice, and the answer to the second one
/// is an RST (RFC 1337).
const CONNECTIONS: usize = 4;

/// Connections in TIME_WAIT, and the tracer that follows them.
pub(crate) struct Minute {
    tracer: Program,
    begun: Instant,
    place: Place,
}

/// Starts tracer and closes connections. `None` if tracer cannot follow TIME_WAIT on this kernel.
pub(crate) fn begin() -> Option<Minute> {
    if !follows_time_wait() {
        return None;
    }
    let place = Place::new();
    let tracer = tracer::start(&format!("-o json --netns {}", place.name()));
    place.run(|| {
        let listener = listen(ADDRESS.into(), 0);
        for _ in 0..CONNECTIONS {
            let client = connect(listener.local_addr().expect("an address")).expect("a listener");
            let (mut server, _) = listener.accept().expect("a client");
            drop(client);
            wait_for_end(&mut server);
        }
    });
    Some(Minute { tracer, begun: Instant::now(), place })
}

impl Minute {
    /// Waits for the end of TIME_WAIT and returns how long it lasted. `None` if events were lost.
    pub(crate) fn end(self) -> Option<Length> {
        let is_end =
            |line: &Line| text(line, "old_state") == "TIME_WAIT" && text(line, "new_state") == "CLOSE";
        let ends = || {
            let mut lines = story::lines(story::whole(&self.tracer.out()));
            lines.retain(is_end);
            (lines.len() == CONNECTIONS).then_some(lines)
        };
        thread::sleep(MINUTE.saturating_sub(self.begun.elapsed()));
        let lines = until("the ends of TIME_WAIT", ends);
        let ended = self.tracer.interrupt();
        assert_eq!(ended.code(), 0, "{}", ended.err);
        let mut lengths = Vec::new();
        for line in &lines {
            assert!(line["reason"].is_null(), "the reason belongs to the transition into TIME_WAIT: {line}");
            let Some((state_us, error_us)) = number(line, "state_us").zip(number(line, "state_error_us"))
            else {
                assert!(
                    tracer::receipt(&ended, "lost") > 0,
                    "no events were lost, so the time is known: {line}"
                );
                return None;
            };
            lengths.push(Length { state_us, error_us });
        }
        if is_used(&checked().out, TIMEWAIT) {
            assert!(lengths.iter().all(|length| length.error_us == 0.0), "{lines:#?}");
        }
        let minute_us = MINUTE.as_secs_f64() * 1e6;
        let (whole, early): (Vec<_>, Vec<_>) =
            lengths.into_iter().partition(|length| length.state_us >= minute_us * 0.999);
        assert!(early.len() as u64 <= self.place.tcp_counter("OutRsts"), "{lines:#?}");
        assert!(
            whole.iter().all(|length| length.state_us - length.error_us <= minute_us * LATE),
            "{lines:#?}"
        );
        Some(whole.into_iter().next().expect("one that no RST has ended"))
    }
}
