//! Many tracers at once.

use std::{thread, time::Duration};

use crate::attack::{
    case::{Case, Verdict},
    run::{Run, When},
    sink::Sink,
};

/// Tracers at once.
const TRACERS: usize = 50;

/// The same view many times, and different views.
pub fn cases(_: u64) -> Vec<Case> {
    let views: [(&str, &[&str]); 6] = [
        ("logs", &["log -o json"]),
        ("lives", &["life -o csv"]),
        ("summaries", &["summary"]),
        ("summaries in the kernel", &["summary --in-kernel"]),
        ("screens", &["top"]),
        (
            "of each",
            &["log --raw", "log --resets --retransmits", "life", "summary", "summary --in-kernel", "top"],
        ),
    ];
    views.map(|(name, views)| Case::new(format!("{TRACERS} {name}"), move || together(views))).into()
}

/// All of them are ready at the same time before they are ended.
fn together(views: &[&str]) -> Verdict {
    let runs = (0..TRACERS).map(|number| {
        let view = views[number % views.len()];
        // Small buffers, as whoever runs so many would choose; in the kernel there are none.
        let buffer: &[&str] = if view.contains("--in-kernel") { &[] } else { &["--buffer", "1M"] };
        let run = Run::of(view).words(buffer).deadline(Duration::from_secs(120));
        // The last one is ready long before the first one ends.
        let run = run.act(When::Ready(Duration::from_secs(20)), libc::SIGTERM);
        if view == "top" {
            run.out(Sink::Terminal).act(When::Started(Duration::from_secs(40)), libc::SIGTERM)
        } else {
            run
        }
    });
    let faults: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = runs.map(|run| scope.spawn(move || one(&run))).collect();
        threads.into_iter().filter_map(|thread| thread.join().unwrap().err()).collect()
    });
    if faults.is_empty() {
        return Ok(());
    }
    Err(format!("{} of {TRACERS} failed; the first: {}", faults.len(), faults[0]))
}

fn one(run: &Run) -> Verdict {
    let ended = run.ended()?;
    let said = [&*ended.err, &*ended.out].concat();
    let ready = b"tracer: ready";
    if said.windows(ready.len()).any(|window| window == ready) {
        return Ok(());
    }
    Err(format!("never ready\n{}", ended.shown()))
}
