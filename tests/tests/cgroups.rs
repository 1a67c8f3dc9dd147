//! Filters on cgroups: by path, name and pattern, with those that are made later.

use std::{ffi::OsStr, process::Command, thread};

use tests::{
    attack::cgroup::Cgroup,
    patience::until,
    place::Place,
    program::run,
    story, tracer,
    traffic::{actor, listen},
};

const ADDRESS: [u8; 4] = [127, 77, 61, 1];

/// Connects from this cgroup to the port, or from the test's own.
fn call(place: &Place, cgroup: Option<&Cgroup>, port: u16) {
    place.run(|| {
        let listener = listen(ADDRESS.into(), port);
        thread::scope(|scope| {
            scope.spawn(|| listener.accept().unwrap());
            let mut command = Command::new(actor());
            command.args(["call", "127.77.61.1", &port.to_string()]);
            if let Some(cgroup) = cgroup {
                cgroup.hold(&mut command);
            }
            run(&mut command);
        });
    });
}

/// The remote ports of the clients that were shown.
fn clients(out: &str) -> Vec<u64> {
    let lines = story::lines(out);
    let begins = lines.iter().filter(|line| line["new_state"] == "SYN_SENT");
    begins.map(|line| line["remote_port"].as_u64().unwrap()).collect()
}

#[test]
fn cgroups_have_paths_names_and_patterns() {
    let place = Place::new();
    let cgroup = Cgroup::named(OsStr::new("tracer-named"));
    let name = cgroup.path().file_name().unwrap().to_str().unwrap();
    let start = |filter: String| tracer::start(&format!("-o json --netns {} {filter}", place.name()));
    let (inside, outside) = (vec![7601], vec![7602]);
    let tracers = [
        (format!("--cgroup {}", cgroup.path().display()), &inside),
        (format!("--cgroup /{name}"), &inside),
        (format!("--cgroup {name}"), &inside),
        (format!("--cgroup racer-*,?{}*", &name[1..]), &inside),
        (format!("--cgroup !{name}"), &outside),
        (format!("--cgroup /,!{}*", &name[..name.len() - 1]), &outside),
    ]
    .map(|(filter, expected)| (filter.clone(), start(filter), expected));
    let all = start(String::new());
    call(&place, Some(&cgroup), 7601);
    call(&place, None, 7602);
    let has_ended = |out: &str, port: u64| {
        let ended = story::lines(out);
        ended.iter().any(|line| line["remote_port"] == port && !line["reason"].is_null())
    };
    until("both ends", || (has_ended(&all.out(), 7601) && has_ended(&all.out(), 7602)).then_some(()));
    for (filter, tracer, expected) in tracers {
        until(&filter, || has_ended(&tracer.out(), expected[0]).then_some(()));
        assert_eq!(&clients(&tracer.interrupt().out), expected, "{filter}");
    }
}

#[test]
fn a_cgroup_that_is_made_later_counts() {
    let place = Place::new();
    let pattern = format!("tracer-later-{}-*", std::process::id());
    let mut tracer = tracer::start(&format!("-o json --netns {} --cgroup {pattern}", place.name()));
    let waiting = format!("tracer: --cgroup {pattern}: no such cgroup now; waiting\n");
    tracer.wait_for_err("that it waits", |err| err.matches(&waiting).count() == 1);
    let cgroup = Cgroup::named(OsStr::new("tracer-later"));
    // The first may come before the hierarchy is looked at again.
    until("one that is shown", || {
        call(&place, None, 7612);
        call(&place, Some(&cgroup), 7611);
        tracer.out().contains("7611").then_some(())
    });
    let clients = clients(&tracer.interrupt().out);
    assert!(!clients.is_empty() && clients.iter().all(|port| *port == 7611), "{clients:?}");
}
