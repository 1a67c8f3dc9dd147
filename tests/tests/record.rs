//! Recordings: what is shown of them is what was shown live.

// A panic is how a test says that it failed.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tests::{
    disk::Disk,
    patience::until,
    place::Place,
    program::{self, Ended, Program, close},
    story::{Line, lines, number, text},
    tracer,
    traffic::{churn, connect, listen, storm, wait_for_end},
};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A port where nobody listens.
const DISCARD: u16 = 9;

/// Tracer with these arguments, and paths behind them.
fn with_paths<P: AsRef<Path>>(arguments: &str, paths: &[P]) -> Command {
    let mut command = tracer::command(arguments);
    command.args(paths.iter().map(AsRef::as_ref));
    command
}

/// What tracer shows of recordings.
fn replay<P: AsRef<Path>>(arguments: &str, recordings: &[P]) -> Ended {
    Program::collect(&mut with_paths(&format!("{arguments} --from"), recordings)).wait()
}

/// The lines of the receipt.
fn receipt(ended: &Ended) -> Vec<&str> {
    let is_receipt = |line: &&str| {
        ["seen ", "connections ", "the kernel "]
            .iter()
            .any(|begin| line.strip_prefix("tracer: ").is_some_and(|line| line.starts_with(begin)))
    };
    ended.err.lines().filter(is_receipt).collect()
}

/// The files in a folder, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn parts(folder: &Path, name: &str) -> Vec<PathBuf> {
    let is_part = |path: &PathBuf| {
        path.file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    files(folder).into_iter().filter(is_part).collect()
}

/// Each view shows of its own recording, byte for byte, what it has shown live, and has the same receipt.
#[test]
fn a_replay_is_what_was_live() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let netns = place.inum();
    let views = [
        format!("log --netns {netns}"),
        format!("log -o json --netns {netns} --resets --retransmits"),
        "log -o csv --columns time,pid,comm,owner,cgroup_path,netns_name,state_us,reason".to_owned(),
        format!("log --netns {netns} --stuck CLOSE_WAIT=300ms --time utc"),
        format!("log --raw --netns {netns}"),
        format!("life -o json --netns {netns}"),
        "life".to_owned(),
        format!("summary -o json --interval 500ms --netns {netns}"),
        "summary --interval 1s --time utc".to_owned(),
    ];
    let live: Vec<_> = views
        .iter()
        .enumerate()
        .map(|(number, view)| {
            let path = folder.path().join(number.to_string());
            let command = &mut with_paths(&format!("{view} --record"), &[&path]);
            (path, tracer::started(Program::collect(command)))
        })
        .collect();
    churn(&place, 100);
    let listener = place.run(|| listen(V4, 0));
    let (client, server) = place.run(|| {
        let client = connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    });
    // One end waits in CLOSE_WAIT.
    close(client);
    churn(&place, 100);
    std::thread::sleep(Duration::from_secs(1));
    close(server);
    place.settle_to(1);
    for (view, (path, program)) in views.iter().zip(live) {
        let live = program.interrupt();
        let replayed = replay(view, &[&path]);
        assert_eq!((live.code(), replayed.code()), (0, 0), "{view}: {}", replayed.err);
        assert!(live.out.lines().count() > 2, "{view}: {}", live.out);
        assert!(live.out == replayed.out, "{view}: {}", first_difference(&live.out, &replayed.out));
        assert_eq!(receipt(&live), receipt(&replayed), "{view}");
        let slowly = replay(&format!("{view} --speed 1000x"), &[&path]);
        assert!(live.out == slowly.out, "{view}");
    }
}

/// The same while events are lost, and while namespaces come and go. Parts show what a view beside them has shown live.
#[test]
fn a_replay_is_what_was_live_whatever_happened() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let start = |arguments: &str, name: &str| {
        let path = folder.path().join(name);
        let command = &mut with_paths(arguments, &[&path]);
        (path, tracer::started(Program::collect(command)))
    };
    let views = [
        "log -o json --resets",
        "log --time utc",
        "life -o json",
        "life",
        "summary -o json --interval 500ms",
        "summary --interval 1s --time utc",
    ];
    let live: Vec<_> = views
        .iter()
        .enumerate()
        .map(|(number, view)| start(&format!("{view} --buffer 1M --record"), &format!("view{number}")))
        .collect();
    let beside =
        format!("log -o json --netns {} --columns cookie,old_state,new_state,reason,closed_by", place.inum());
    let of_parts = tracer::start(&beside);
    let (_, recorder) = start(&format!("record --rotate 500ms --netns {}", place.inum()), "parts");
    for _ in 0..3 {
        let brief = Place::new();
        churn(&brief, 50);
        churn(&place, 50);
    }
    for (_, program) in &live {
        program.signal(Signal::STOP);
    }
    churn(&place, 2_000);
    for (_, program) in &live {
        program.signal(Signal::CONT);
    }
    // What comes then finds room again.
    until("another part", || {
        churn(&Place::new(), 20);
        churn(&place, 20);
        (parts(folder.path(), "parts").len() >= 4).then_some(())
    });
    place.settle();
    for (view, (path, program)) in views.iter().zip(live) {
        let live = program.interrupt();
        let replayed = replay(view, &[&path]);
        assert_eq!((live.code(), replayed.code()), (0, 0), "{view}: {}", replayed.err);
        assert!(tracer::lost(&live) > 0, "{view}: {}", live.err);
        assert!(live.out == replayed.out, "{view}: {}", first_difference(&live.out, &replayed.out));
        assert_eq!(receipt(&live), receipt(&replayed), "{view}");
    }
    let (live, recorded) = (of_parts.interrupt(), recorder.interrupt());
    assert_eq!((tracer::lost(&live), recorded.code()), (0, 0), "{}", live.err);
    let shown = replay(&beside, &parts(folder.path(), "parts"));
    // Each has its own clock: what happens at a time on two processors may come in another order.
    let sorted = |out: &str| {
        let mut lines: Vec<_> = out.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines.join("\n")
    };
    let (live, shown) = (sorted(&live.out), sorted(&shown.out));
    assert!(live == shown, "{}", first_difference(&live, &shown));
}

fn first_difference(one: &str, other: &str) -> String {
    let differs = one.lines().zip(other.lines()).find(|(one, other)| one != other);
    format!("{differs:?}, {} and {} lines", one.lines().count(), other.lines().count())
}

/// Filters are applied to a recording as they are to the host. One that asks for more than there is is refused.
#[test]
fn filters_may_be_chosen_later() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all");
    let tracer = Program::collect(&mut with_paths(&format!("record --netns {}", place.inum()), &[&path]));
    let tracer = tracer::started(tracer);
    storm(&[&place], 40, 7);
    place.settle();
    assert_eq!(tracer.interrupt().code(), 0);

    let all = lines(&replay("-o json", &[&path]).out);
    let some = |filter: &str, keeps: fn(&Line) -> bool| {
        let shown = replay(&format!("-o json {filter}"), &[&path]);
        let expected = all.iter().filter(|line| keeps(line)).count();
        assert_eq!((shown.code(), lines(&shown.out).len()), (0, expected), "{filter}: {}", shown.err);
        assert!(expected > 0 && expected < all.len(), "{filter}: {expected} of {}", all.len());
    };
    some("--state CLOSE_WAIT", |line| {
        [text(line, "old_state"), text(line, "new_state")].contains(&"CLOSE_WAIT")
    });
    some("--transition SYN_SENT:ESTABLISHED", |line| {
        (text(line, "old_state"), text(line, "new_state")) == ("SYN_SENT", "ESTABLISHED")
    });
    some("-6", |line| text(line, "family") == "ipv6");
    let port = all.iter().find_map(|line| number(line, "remote_port")).unwrap();
    let of_port = replay(&format!("-o json --remote-port {port}"), &[&path]);
    let has_port = |line: &&Line| number(line, "remote_port") == Some(port);
    assert_eq!(lines(&of_port.out).len(), all.iter().filter(has_port).count());

    for (filter, says) in
        [("--netns 1", "--netns asks for more"), ("--netns pid:1", "of the host that is running")]
    {
        let refused = replay(filter, &[&path]);
        assert_eq!(refused.code(), 2, "{filter}: {}", refused.err);
        assert!(refused.err.contains(says), "{filter}: {}", refused.err);
    }
    let refused = Program::collect(&mut with_paths("record --state CLOSE_WAIT", &[&path])).wait();
    assert_eq!((refused.code(), refused.err.contains("--from")), (2, true), "{}", refused.err);
    let occupied = Program::collect(&mut with_paths("record", &[&path])).wait();
    assert_eq!(
        (occupied.code(), occupied.err.contains("which is a recording")),
        (1, true),
        "{}",
        occupied.err
    );
}

/// From one moment to another, the lines are those of the whole whose time is between them; a copy of that part has the same.
#[test]
fn a_part_of_it_can_be_shown() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all");
    let tracer = Program::collect(&mut with_paths(&format!("record --netns {}", place.inum()), &[&path]));
    let tracer = tracer::started(tracer);
    churn(&place, 30);
    storm(&[&place], 20, 3);
    churn(&place, 30);
    place.settle();
    assert_eq!(tracer.interrupt().code(), 0);
    for (view, key) in
        [("log -o json --state all", "time"), ("log -o json --retransmits", "time"), ("life -o json", "end")]
    {
        let whole = replay(view, &[&path]).out;
        let times: Vec<_> = lines(&whole).iter().map(|line| text(line, key).to_owned()).collect();
        for (since, until) in [(1, 1), (times.len() / 4, times.len() / 2), (times.len() / 3, times.len() - 2)]
        {
            let (since, until) = (&times[since], &times[until]);
            let span = format!("--since {since} --until {until}");
            let shown = replay(&format!("{view} {span}"), &[&path]);
            let has = |time: &&str| since.as_str() <= *time && *time <= until.as_str();
            let expected: Vec<_> = whole
                .lines()
                .zip(&times)
                .filter(|(_, time)| has(&time.as_str()))
                .map(|(line, _)| line)
                .collect();
            assert_eq!(shown.code(), 0, "{}", shown.err);
            assert!(!expected.is_empty());
            let is_same = shown.out.lines().eq(expected.iter().copied());
            assert!(is_same, "{view} {span}: {}", first_difference(&shown.out, &expected.join("\n")));
            if key == "time" {
                let part = folder.path().join("part");
                let cut = format!("recording cut {} {span} --to", path.display());
                assert_eq!(Program::collect(&mut with_paths(&cut, &[&part])).wait().code(), 0);
                // A copy ends with what was known at its end: what is found out later of its last connections, such as
                // their ports and that their sockets were in TIME_WAIT, is not in it.
                let copy = replay(view, &[&part]).out;
                let whole: BTreeSet<_> = shown.out.lines().collect();
                assert!(
                    copy.lines().count() * 2 > whole.len(),
                    "{} of {}",
                    copy.lines().count(),
                    whole.len()
                );
                let others: Vec<_> = copy.lines().filter(|line| !whole.contains(line)).collect();
                assert!(others.len() <= 2, "{span}: {others:#?}");
                fs::remove_file(&part).unwrap();
            }
        }
    }
}

/// The sockets of a moment, as `ss` listed them then: address, port, state of each.
#[test]
fn the_sockets_of_a_moment_are_those_of_ss() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all");
    let listener = place.run(|| listen(V4, 0));
    let pair = || {
        place.run(|| {
            let client = connect(listener.local_addr().unwrap()).unwrap();
            (client, listener.accept().unwrap().0)
        })
    };
    // One is older than the recording.
    let old = pair();
    let tracer = Program::collect(&mut with_paths(&format!("record --netns {}", place.inum()), &[&path]));
    let tracer = tracer::started(tracer);
    let ss = || {
        let out = program::run(place.command("ss").args(["-tanH"]));
        let socket = |line: &str| {
            let words: Vec<_> = line.split_whitespace().collect();
            let state = match words[0] {
                "ESTAB" => "ESTABLISHED".to_owned(),
                state => state.replace("WAIT-", "WAIT").replace('-', "_"),
            };
            [state, words[3].to_owned(), words[4].to_owned()]
        };
        out.lines().map(socket).collect::<BTreeSet<_>>()
    };
    let mut moments = Vec::new();
    let mut moment = || {
        moments.push(until("a moment at which nothing happens", || {
            let before = ss();
            let at = jiff::Timestamp::now();
            std::thread::sleep(Duration::from_millis(20));
            (before == ss()).then_some((at, before))
        }));
    };
    moment();
    let (client, server) = pair();
    let other = pair();
    moment();
    close(client);
    moment();
    churn(&place, 10);
    moment();
    close(server);
    close(old);
    moment();
    close(other);
    place.settle_to(1);
    assert_eq!(tracer.interrupt().code(), 0);
    let states: BTreeSet<_> =
        moments.iter().flat_map(|(_, sockets)| sockets).map(|[state, ..]| &state[..]).collect();
    for state in ["LISTEN", "ESTABLISHED", "CLOSE_WAIT", "FIN_WAIT2", "TIME_WAIT"] {
        assert!(states.contains(state), "{state}: {states:?}");
    }
    let own = std::process::id().to_string();
    for (at, sockets) in &moments {
        let listed = replay(&format!("list -tanp -o json --at {at}"), &[&path]);
        assert_eq!(listed.code(), 0, "{}", listed.err);
        let listed = lines(&listed.out);
        let end = |line: &Line, side: &str| {
            let word = |key: &str| line[&format!("{side}_{key}")].as_str().map(str::to_owned);
            let port = number(line, &format!("{side}_port")).map_or("*".to_owned(), |port| port.to_string());
            format!("{}:{port}", word("addr").unwrap_or_else(|| "0.0.0.0".to_owned()))
        };
        let found = listed
            .iter()
            .map(|line| [text(line, "state").to_owned(), end(line, "local"), end(line, "remote")]);
        // A closed socket goes from FIN_WAIT2 to TIME_WAIT without an event: the next poll finds that.
        let found: BTreeSet<_> = found
            .map(|[state, local, remote]| {
                let waits = ["TIME_WAIT".to_owned(), local.clone(), remote.clone()];
                if state == "FIN_WAIT2" && sockets.contains(&waits) { waits } else { [state, local, remote] }
            })
            .collect();
        assert_eq!(&found, sockets, "at {at}");
        let open = listed.iter().filter(|line| ["ESTABLISHED", "CLOSE_WAIT"].contains(&text(line, "state")));
        // Who has accepted a moment ago may not be known yet.
        let owners: BTreeSet<_> = open.map(|line| line["pid"].to_string()).collect();
        assert!(owners.contains(&own) && owners.iter().all(|pid| *pid == own || pid == "null"), "{owners:?}");
    }
}

/// The parts of a recording show the same together as each one alone: owners, times in states, reasons, TIME_WAIT.
#[test]
fn each_part_stands_alone() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("host.rec");
    let rotating = format!("record --rotate 500ms --netns {}", place.inum());
    let mut tracer = tracer::started(Program::collect(&mut with_paths(&rotating, &[&path])));
    let listener = place.run(|| listen(V4, 0));
    let long = place.run(|| {
        let client = connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    });
    tracer.wait_for_err("parts", |_| {
        churn(&place, 20);
        parts(folder.path(), "host.rec").len() >= 6
    });
    close(long);
    place.settle_to(1);
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(tracer.interrupt().code(), 0);

    let parts = parts(folder.path(), "host.rec");
    for view in ["-o json", "life -o json"] {
        let whole = replay(view, &parts);
        assert_eq!(whole.code(), 0, "{}", whole.err);
        let mut rest = &whole.out[..];
        for part in &parts {
            let alone = replay(view, &[part]);
            assert!(
                rest.starts_with(&alone.out),
                "{}: {}",
                part.display(),
                first_difference(&alone.out, rest)
            );
            rest = &rest[alone.out.len()..];
        }
        assert_eq!(rest, "", "{view}");
    }
    let ended = lines(&replay("life -o json", &parts).out);
    let longest = ended.iter().filter_map(|line| number(line, "duration_us").or(number(line, "state_us")));
    assert!(longest.fold(0.0, f64::max) > 500_000.0, "one was there in several parts");

    // One that is missing is said, and what is behind it is as it was.
    let mut gap = parts.clone();
    gap.remove(2);
    let gap = replay("-o json", &gap);
    assert!(gap.err.contains("a part is missing before it"), "{}", gap.err);
}

/// Old parts are removed, also those of an earlier run.
#[test]
fn parts_do_not_fill_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("host.rec");
    fs::write(folder.path().join("host.rec.000007"), "").unwrap();
    fs::write(folder.path().join("host.rec.backup"), "").unwrap();
    let place = Place::new();
    let rotating = format!("record --rotate 500ms --keep 3 --netns {}", place.inum());
    let tracer = tracer::started(Program::collect(&mut with_paths(&rotating, &[&path])));
    let last = until("five parts", || {
        let parts = parts(folder.path(), "host.rec");
        assert!(parts.len() <= 5, "{parts:?}");
        parts.into_iter().find(|part| part.ends_with("host.rec.000012"))
    });
    assert_eq!(tracer.interrupt().code(), 0);
    let names = parts(folder.path(), "host.rec");
    assert!(names.contains(&last) && names.len() == 4 && names[3].ends_with("host.rec.backup"), "{names:?}");
}

/// A part is as large as asked, but for what comes until it is looked at. All parts are one recording of events alone.
#[test]
fn parts_have_the_size_that_is_asked() {
    const SIZE: u64 = 64 << 10;
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("host.rec");
    let rotating = format!("record --raw --rotate 64K --keep 1000 --netns {}", place.inum());
    let tracer = tracer::started(Program::collect(&mut with_paths(&rotating, &[&path])));
    until("three parts", || {
        churn(&place, 200);
        (parts(folder.path(), "host.rec").len() >= 3).then_some(())
    });
    assert_eq!(tracer.interrupt().code(), 0);
    let parts = parts(folder.path(), "host.rec");
    let sizes: Vec<_> = parts.iter().map(|part| fs::metadata(part).unwrap().len()).collect();
    assert!(sizes.iter().all(|size| *size < 2 * SIZE), "{sizes:?}");
    assert!(sizes[..sizes.len() - 1].iter().all(|size| *size > SIZE / 2), "{sizes:?}");
    let replayed = replay("--raw -o csv --strict", &parts);
    assert_eq!(replayed.code(), 0, "{}", replayed.err);
    assert!(replayed.out.lines().count() > 200, "{}", replayed.out);
}

/// What a recording's writer had seen a second before it was killed is there.
#[test]
fn a_killed_writer_leaves_what_is_older_than_a_second() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let path = folder.path().join(round.to_string());
        let command = &mut with_paths(&format!("record --netns {}", place.inum()), &[&path]);
        let mut tracer = tracer::started(Program::collect(command));
        let listener = place.run(|| listen(V4, 0));
        let mut ports = BTreeSet::new();
        for _ in 0..20 {
            let client = place.run(|| connect(listener.local_addr().unwrap()).unwrap());
            ports.insert(client.local_addr().unwrap().port());
            let mut server = place.run(|| listener.accept().unwrap().0);
            close(client);
            wait_for_end(&mut server);
            close(server);
        }
        std::thread::sleep(Duration::from_secs(1));
        churn(&place, 5 * round);
        tracer.end_with(Signal::KILL);
        let replayed = replay("life -o json --strict", &[&path]);
        assert_eq!(replayed.code(), 3, "{}", replayed.err);
        assert!(replayed.err.contains("it has no end"), "{}", replayed.err);
        let ended = lines(&replayed.out);
        let ended: BTreeSet<_> = ended
            .iter()
            .filter(|line| text(line, "role") == "client")
            .filter_map(|line| u16::try_from(line["local_port"].as_u64()?).ok())
            .collect();
        assert!(ports.is_subset(&ended), "{ports:?} {ended:?}");
    }
}

/// A full disk is said at once, also by parts. What is written stays readable.
#[test]
fn a_full_disk_is_said() {
    let place = Place::new();
    for options in ["", "--rotate 50ms"] {
        let disk = Disk::new("size=1m");
        let path = disk.path().join("full");
        let command = &mut with_paths(&format!("record {options} --netns {}", place.inum()), &[&path]);
        let ended = until_it_fails(&place, Program::collect(command), "No space left");
        assert!(ended.err.contains("make room there"), "{}", ended.err);
        let files = if options.is_empty() { vec![path] } else { parts(disk.path(), "full") };
        assert_readable(&files);
    }
}

/// Makes connections until this tracer ends with this error.
fn until_it_fails(place: &Place, tracer: Program, error: &str) -> Ended {
    let mut tracer = tracer::started(tracer);
    tracer.wait_for_err("an error", |err| {
        churn(place, 50);
        err.contains(error)
    });
    let ended = tracer.wait();
    assert_eq!(ended.code(), 1, "{}", ended.err);
    ended
}

/// What was written to these files shows connections, and says that it is cut off.
fn assert_readable(files: &[PathBuf]) {
    let replayed = replay("-o json", files);
    assert!(replayed.code() == 0 && !lines(&replayed.out).is_empty(), "{}", replayed.err);
    assert!(replayed.err.contains("it has no end"), "{}", replayed.err);
    assert_eq!(replay("-o json --strict", files).code(), 3);
}

/// A limit on the size of files is said, and the signal that comes with it ends nothing.
#[test]
fn a_limit_on_file_sizes_is_said() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("limited");
    let script = r#"ulimit -f 2048; exec "$@""#;
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(tracer::binary());
    command.args(["record", "--netns", &place.inum().to_string()]).arg(&path);
    let ended = until_it_fails(&place, Program::collect(&mut command), "File too large");
    assert!(ended.err.contains("ulimit -f"), "{}", ended.err);
    assert_readable(&[path]);
}

/// The kernel goes on taking what is written to a file system that is unmounted while it is in use.
#[test]
fn a_file_system_that_goes_away_is_said() {
    let place = Place::new();
    for options in ["", "--rotate 10s"] {
        let disk = Disk::new("size=16m");
        let path = disk.path().join("gone");
        let command = &mut with_paths(&format!("record {options} --netns {}", place.inum()), &[&path]);
        let tracer = tracer::started(Program::collect(command));
        churn(&place, 50);
        let name = if options.is_empty() { path } else { parts(disk.path(), "gone").remove(0) };
        let opened = fs::File::open(&name).unwrap();
        disk.unmount();
        let ended = until_it_fails(&place, tracer, "its file system was unmounted");
        assert!(ended.err.contains(name.to_str().unwrap()), "{}", ended.err);
        // Who has it open can read what is written.
        let shown = Program::with_input(&mut tracer::command("-o json --from -"), opened.into()).wait();
        assert!(shown.code() == 0 && lines(&shown.out).len() > 50, "{}", shown.err);
    }
}

/// Through a pipe, another tracer shows what happens while it happens; so it does of a file that is being written.
#[test]
fn a_recording_can_be_shown_while_it_is_made() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let record = format!("record --netns {} -", place.inum());
    let (reader, writer) = std::io::pipe().unwrap();
    let recording = tracer::started(Program::start(tracer::command(&record).stdout(Stdio::from(writer))));
    let path = folder.path().join("file");
    let to_file = &mut with_paths(&format!("record --netns {}", place.inum()), &[&path]);
    let to_file = tracer::started(Program::collect(to_file));
    let mut piped = Program::with_input(&mut tracer::command("-o json --from -"), reader.into());
    let mut followed = Program::collect(&mut with_paths("-o json --follow --from", &[&path]));
    for _ in 0..3 {
        let before = [&piped, &followed].map(|program| program.out().lines().count());
        churn(&place, 1);
        piped.wait_for_out("more lines", |out| out.lines().count() > before[0]);
        followed.wait_for_out("more lines", |out| out.lines().count() > before[1]);
    }
    // The end of the one is the end of the other.
    assert_eq!(recording.interrupt().code(), 0);
    let ended = piped.wait();
    assert_eq!((ended.code(), ended.err.contains("no end")), (0, false), "{}", ended.err);
    assert_eq!(to_file.interrupt().code(), 0);
    assert_eq!(followed.interrupt().code(), 0);
}

/// No privileges are needed to show a recording, and what is none is refused.
#[test]
fn anybody_may_show_a_recording() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let command = &mut with_paths(&format!("record --netns {}", place.inum()), &[&path]);
    let tracer = tracer::started(Program::collect(command));
    churn(&place, 5);
    assert_eq!(tracer.interrupt().code(), 0);
    let (_public, binary) = tracer::public_binary();
    let mut nobody = Command::new("setpriv");
    nobody
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(binary)
        .args(["-o", "json", "--from", "-"]);
    let input = Stdio::from(fs::File::open(&path).unwrap());
    let shown = Program::with_input(&mut nobody, input).wait();
    assert_eq!((shown.code(), lines(&shown.out).is_empty()), (0, false), "{}", shown.err);

    let none = folder.path().join("none");
    fs::write(&none, [0xa5; 5000]).unwrap();
    let empty = folder.path().join("empty");
    fs::write(&empty, "").unwrap();
    for (path, says) in [
        (none.as_path(), "not a recording of tracer"),
        (empty.as_path(), "nothing has been written to it yet"),
        (Path::new("/nowhere"), "No such file"),
        (folder.path(), "directory"),
    ] {
        let refused = replay("life", &[path]);
        assert_eq!(
            (refused.code(), refused.err.contains(says)),
            (1, true),
            "{}: {}",
            path.display(),
            refused.err
        );
    }
}

/// When something happens, the last parts are kept under another name, and recording goes on without a gap.
#[test]
fn what_led_to_an_incident_is_kept() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("host.rec");
    let options =
        "record --ring 3s --on-stuck CLOSE_WAIT=300ms --on-reason refused=5/10s --on-signal --netns";
    let command = &mut with_paths(&format!("{options} {}", place.inum()), &[&path]);
    let mut tracer = tracer::started(Program::collect(command));
    let kept = |cause: &str| {
        let has_cause = |path: &PathBuf| path.to_str().unwrap().contains(&format!("-{cause}."));
        files(folder.path()).into_iter().filter(has_cause).collect::<Vec<_>>()
    };
    churn(&place, 10);
    let listener = place.run(|| listen(V4, 0));
    let (client, server) = place.run(|| {
        let client = connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    });
    close(client);
    tracer.wait_for_err("a leak", |err| err.contains("stuck-CLOSE_WAIT"));
    close(server);
    let of_leak = kept("stuck-CLOSE_WAIT");
    let shown = lines(&replay("-o json", &of_leak).out);
    assert!(shown.iter().any(|line| text(line, "new_state") == "CLOSE_WAIT"), "{shown:?}");
    // Nothing else is kept for as long as the ring is.
    let refused = || place.run(|| connect((V4, DISCARD).into()).expect_err("nobody listens"));
    tracer.wait_for_err("refusals", |err| {
        refused();
        err.contains("-refused")
    });
    until("a signal that is heeded", || {
        tracer.signal(Signal::USR1);
        (!kept("signal").is_empty()).then_some(())
    });
    churn(&place, 10);
    place.settle_to(1);
    assert_eq!(tracer.interrupt().code(), 0);
    let refused = lines(&replay("life -o json", &kept("refused")).out);
    assert!(refused.iter().filter(|line| text(line, "reason") == "refused").count() >= 5);
    let rest = parts(folder.path(), "host.rec");
    let last = lines(&replay("life -o json", &rest).out);
    assert!(last.len() >= 10, "{}", last.len());
}

/// What is kept is renamed at once, and no event is lost meanwhile: all of it together is one recording without a gap.
#[test]
fn keeping_takes_no_time_and_no_event() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("host.rec");
    let command =
        &mut with_paths(&format!("record --ring 1h --on-signal --netns {}", place.inum()), &[&path]);
    let tracer = tracer::started(Program::collect(command));
    let kept =
        || files(folder.path()).iter().filter(|path| path.to_str().unwrap().contains("-signal.")).count();
    let took: Vec<_> = (1..=5)
        .map(|time| {
            churn(&place, 100);
            let begun = Instant::now();
            tracer.signal(Signal::USR1);
            until("parts that are kept", || (kept() >= time).then_some(()));
            begun.elapsed()
        })
        .collect();
    churn(&place, 100);
    place.settle();
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    let mut all = files(folder.path());
    // Parts are numbered through, whatever they are called.
    all.sort_by_key(|path| path.extension().map(ToOwned::to_owned));
    let whole = replay("-o json", &all);
    assert_eq!((whole.code(), tracer::lost(&whole)), (0, 0), "{}", whole.err);
    assert!(!whole.err.contains("missing"), "{}", whole.err);
    let opened = lines(&whole.out).iter().filter(|line| text(line, "new_state") == "SYN_SENT").count();
    assert_eq!(opened, 600, "{}", whole.err);
    // The others may have waited for a processor.
    assert!(took.iter().min().unwrap() < &Duration::from_millis(100), "{took:?}");
}
