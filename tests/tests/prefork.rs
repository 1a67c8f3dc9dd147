//! Owners of prefork servers. Their workers inherit a listener, so what a connection inherits from it is the
//! master's name. Four figures: lines with a wrong owner that is not marked, with none, with one that is sure, with
//! one that is marked. And of the connections that live on: whether `ss` names the same process.

use std::collections::HashSet;

use tests::{
    figures::Figures,
    nginx::{Nginx, keep, workers_by_ss},
    patience::until,
    place::Place,
    program::run,
    story::{self, Line, lines, text, whole},
    tracer,
    traffic::actor,
};

const AT: &str = "127.77.73.1:8080";

/// So many connections stay open.
const KEPT: usize = 24;

#[test]
fn workers_are_named_and_never_their_master_as_if_it_were_sure() {
    let place = Place::new();
    let nginx = Nginx::start(&place, AT, Some(4));
    let master = u64::from(nginx.process.pid());
    let options = format!("-o json --netns {} --stuck ESTABLISHED=2s", place.name());
    let tracer = tracer::start(&options);
    let kept: Vec<_> = (0..KEPT).map(|_| keep(&place, AT)).collect();
    // What it asks is no HTTP, so nginx closes each connection.
    assert_eq!(run(place.command(actor()).args(["ask", "client", "127.77.73.1", "8080", "400"])), "done\n");

    let is_kept = |line: &Line| !line["stuck_us"].is_null() && line["local_port"] == 8080;
    let told = until("all that stay open", || {
        let told: Vec<_> = lines(whole(&tracer.out())).into_iter().filter(is_kept).collect();
        (told.len() >= KEPT).then_some(told)
    });
    let by_ss = workers_by_ss(&place, 8080);
    let workers: HashSet<_> = by_ss.values().copied().collect();
    let wrong: Vec<_> = told
        .iter()
        .filter(|line| line["pid"].as_u64() != by_ss.get(&line["remote_port"].as_u64().unwrap()).copied())
        .collect();
    println!("{} live connections: {} wrong; {} workers", told.len(), wrong.len(), workers.len());
    assert!(!workers.is_empty() && !workers.contains(&master), "{workers:?}");
    assert_eq!(wrong, Vec::<&Line>::new());
    drop(kept);

    let ended = tracer.interrupt();
    assert_eq!(tracer::lost(&ended), 0, "{}", ended.err);
    let lines = lines(&ended.out);
    let sockets = story::by_socket(&lines);
    let servers = sockets.values().filter(|story| text(story[0], "role") == "server");
    // Who closed it knows best.
    let known = servers.filter_map(|story| {
        let last = story.last().filter(|line| line["owner"] == "own")?;
        Some(story.iter().map(|line| (*line, last["pid"].as_u64().unwrap())))
    });
    let figures = Figures::of(known.flatten());
    println!("{} lines of nginx: {figures}", figures.all());
    assert!(figures.all() > 500, "{figures:?}");
    assert_eq!((figures.wrong, figures.unknown), (0, 0));
}
