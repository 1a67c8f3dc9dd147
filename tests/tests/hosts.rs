//! Recordings of several hosts in one view.

// A panic is how a test says that it failed.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
};

use tests::{
    patience::until,
    place::Place,
    program::{self, Ended, Program, close},
    story::{lines, text},
    tracer,
    traffic::{connect, listen},
};

/// A command of tracer on a host of this name.
fn on_host(name: &str, arguments: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--uts", "sh", "-c", "hostname \"$0\" && exec \"$@\"", name]).arg(tracer::binary());
    command.args(arguments.split(' '));
    command
}

/// Two hosts: a client and a server, and what they record.
struct Recorded {
    folder: tempfile::TempDir,
    client: PathBuf,
    server: PathBuf,
}

/// Connections from one host to the other, which the server closes.
fn connections(client: &Place, listener: &TcpListener, count: usize) {
    let to = listener.local_addr().unwrap();
    for _ in 0..count {
        let stream = client.run(|| connect(to)).unwrap();
        close(listener.accept().unwrap().0);
        close(stream);
    }
}

fn listener(server: &Place) -> TcpListener {
    server.run(|| listen(IpAddr::V4(Ipv4Addr::new(10, 77, 0, 2)), 0))
}

/// Records on both hosts while one connects to the other.
fn recorded(count: usize) -> Recorded {
    let (client, server) = Place::pair();
    let folder = tempfile::tempdir().unwrap();
    let record = |name: &str, place: &Place| {
        let path = folder.path().join(name);
        let arguments = format!("record {} --netns {}", path.display(), place.inum());
        (path, tracer::started(Program::collect(&mut on_host(name, &arguments))))
    };
    let ((client_path, one), (server_path, other)) = (record("web1", &client), record("db1", &server));
    let listener = listener(&server);
    connections(&client, &listener, count);
    close(listener);
    client.settle();
    server.settle();
    // That a connection has come from FIN_WAIT2 to TIME_WAIT is found by looking, where no hook tells it.
    for path in [&client_path, &server_path] {
        until("all ends", || (replay("life -o csv", &[path]).out.lines().count() > count).then_some(()));
    }
    for program in [one, other] {
        assert_eq!(program.interrupt().code(), 0);
    }
    Recorded { client: client_path, server: server_path, folder }
}

/// What tracer shows of recordings.
fn replay(arguments: &str, recordings: &[&Path]) -> Ended {
    let mut command = tracer::command(&format!("{arguments} --from"));
    command.args(recordings);
    Program::collect(&mut command).wait()
}

fn shown(arguments: &str, recordings: &[&Path]) -> String {
    let ended = replay(arguments, recordings);
    assert_eq!(ended.code(), 0, "{arguments}: {}", ended.err);
    ended.out
}

/// The lines of both, by their times, which are the first column.
fn by_time(one: &str, other: &str) -> Vec<String> {
    let mut all: Vec<_> = one.lines().skip(1).chain(other.lines().skip(1)).map(str::to_owned).collect();
    // `sort_by` keeps lines of the same time in order.
    all.sort_by(|one, other| one.split(',').next().cmp(&other.split(',').next()));
    all
}

#[test]
fn lines_of_hosts_are_those_of_each_by_time() {
    let Recorded { client, server, folder } = recorded(200);
    for view in ["log", "life", "log --raw"] {
        let first = if view == "life" { "end" } else { "time" };
        let columns = format!("{view} -o csv --columns {first},host,pid,local_port,remote_port,reason");
        let columns =
            if view.ends_with("--raw") { columns.replace(",reason", ",new_state") } else { columns };
        // Those of the same time come in the order of the names.
        let expected = by_time(&shown(&columns, &[&server]), &shown(&columns, &[&client]));
        assert!(expected.len() >= 400, "{view}: {}", expected.len());
        let together = shown(&columns, &[&client, &server]);
        assert!(together.starts_with(&format!("{first},host,")), "{together}");
        assert_eq!(together.lines().skip(1).collect::<Vec<_>>(), expected, "{view}");
        let some = shown(&format!("{columns} --count 7"), &[&client, &server]);
        assert_eq!(some.lines().skip(1).collect::<Vec<_>>(), expected[..7], "{view}");
    }
    let count = |out: &str, word: &str| out.lines().filter(|line| line.contains(word)).count();
    // Columns that do not grow: with one that does the titles come again.
    let table = shown("log --columns time,host,local_port,new_state", &[&client, &server]);
    assert_eq!(count(&table, "HOST"), 1, "{table}");
    assert!(count(&table, " web1 ") > 200 && count(&table, " db1 ") > 200, "{table}");
    let life = lines(&shown("life -o json", &[&client, &server]));
    let hosts: Vec<_> = life.iter().map(|line| text(line, "host")).collect();
    assert_eq!((hosts.iter().filter(|host| **host == "web1").count(), hosts.len()), (200, 400));
    drop(folder);
}

#[test]
fn each_host_has_its_receipt() {
    let Recorded { client, server, folder } = recorded(20);
    let path = folder.path().join("receipt.json");
    let ended = replay(&format!("log --strict --receipt {}", path.display()), &[&client, &server]);
    assert_eq!(ended.code(), 0, "{}", ended.err);
    for (host, recording) in [("web1", &client), ("db1", &server)] {
        let alone = replay("log", &[recording]);
        let lines = alone.err.lines().filter_map(|line| line.strip_prefix("tracer: "));
        for line in lines.filter(|line| line.starts_with("seen ") || line.starts_with("connections ")) {
            assert!(ended.err.contains(&format!("tracer: {host}: {line}\n")), "no {line}: {}", ended.err);
        }
    }
    let receipt: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let [one, other] = [0, 1].map(|host| receipt["hosts"][host]["shown"].as_u64().unwrap());
    assert!(one > 20 && other > 20, "{receipt}");
    assert_eq!(receipt["shown"].as_u64(), Some(one + other));

    // One of them is not whole.
    let bytes = fs::read(&server).unwrap();
    fs::write(&server, &bytes[..bytes.len() - 1]).unwrap();
    let ended = replay("log --strict", &[&client, &server]);
    assert_eq!(ended.code(), 3, "{}", ended.err);
    assert!(ended.err.contains("tracer: db1: seen") && ended.err.contains("has no end"), "{}", ended.err);
}

#[test]
fn other_views_tell_hosts_apart_or_refuse_them() {
    let Recorded { client, server, folder } = recorded(20);
    let both = [&*client, &*server];
    let reports = lines(&shown("summary -o json --interval 1h", &both));
    let mut hosts: Vec<_> = reports.iter().map(|report| text(report, "host")).collect();
    hosts.sort_unstable();
    hosts.dedup();
    assert_eq!(hosts, ["db1", "web1"]);
    let table = shown("summary", &both);
    assert!(table.contains("web1  TOTAL") && table.contains("db1  TOTAL"), "{table}");

    let export = |to: &str, format: &str| {
        let mut command = tracer::command(&format!("export --format {format} --to {to}"));
        Program::collect(command.args(both)).wait()
    };
    let to = folder.path().join("both.csv");
    assert_eq!(export(to.to_str().unwrap(), "csv").code(), 0);
    let exported = fs::read_to_string(to).unwrap();
    let hosts = |name: &str| exported.lines().filter(|line| line.contains(name)).count();
    assert!(hosts("web1") > 20 && hosts("db1") > 20, "{exported}");

    let refused = |ended: &Ended| {
        assert!(ended.code() == 1 && ended.err.contains("are recordings of two hosts"), "{}", ended.err);
    };
    refused(&export("-", "parquet"));
    refused(&export(folder.path().to_str().unwrap(), "csv"));
    refused(&replay("list", &both));
    let page = folder.path().join("page.html");
    let mut report = tracer::command("report --to");
    let ended = Program::collect(report.arg(&page).args(both)).wait();
    refused(&ended);
    assert!(ended.err.contains("give those of one of them") && !page.exists(), "{}", ended.err);
    // As the other side of a comparison they are taken together.
    let mut report = tracer::command("report --to");
    let against = ["--against".as_ref(), both[0], "--against".as_ref(), both[1]];
    let ended = Program::collect(report.arg(&page).arg(both[0]).args(against)).wait();
    assert!(ended.code() == 0 && page.exists(), "{}", ended.err);
    let mut merge = tracer::command("recording merge --to");
    refused(&Program::collect(merge.arg(folder.path().join("merged.rec")).args(both)).wait());
}

#[test]
fn moments_are_those_of_all_hosts() {
    let Recorded { client, server, folder } = recorded(20);
    let both = [&*client, &*server];
    let time = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
    let ended = |path: &Path| {
        let info = program::run(tracer::command("recording info -o json").arg(path));
        time(text(&serde_json::from_str(&info).unwrap(), "until"))
    };
    let all = lines(&shown("log -o json", &both));
    let middle = time(text(&all[all.len() / 2], "time"));
    let from_end = ended(&client).max(ended(&server)).duration_since(middle);
    let since = lines(&shown(&format!("log -o json --since -{}us", from_end.as_micros()), &both));
    let expected: Vec<_> = all.iter().filter(|line| time(text(line, "time")) > middle).collect();
    // A part of a microsecond is cut off.
    let shown_then: Vec<_> = since.iter().filter(|line| time(text(line, "time")) > middle).collect();
    assert_eq!(shown_then, expected);
    assert!(since.len() < expected.len() + 5, "{} {}", since.len(), expected.len());
    let out = shown("log -o csv", &both);
    let paced = shown("log -o csv --speed 50x", &both);
    assert_eq!(out, paced);
    drop(folder);
}

/// Each host has a pipe of its own, and lines come while both record.
#[test]
fn hosts_are_shown_together_live() {
    let (client, server) = Place::pair();
    let folder = tempfile::tempdir().unwrap();
    let pipes = ["web1", "db1", "idle"].map(|name| folder.path().join(name));
    let mut recorders = Vec::new();
    // Nothing happens on a third one, which holds nobody back.
    let idle = Place::new();
    for (pipe, place) in pipes.iter().zip([&client, &server, &idle]) {
        program::run(Command::new("mkfifo").arg(pipe));
        let host = pipe.file_name().unwrap().to_str().unwrap();
        let mut command = Command::new("sh");
        // The shell waits for the reader of the pipe.
        command.args(["-c", "exec \"$@\" >\"$0\""]).arg(pipe);
        let record = on_host(host, &format!("record - --netns {}", place.inum()));
        command.arg(record.get_program()).args(record.get_args());
        recorders.push(Program::collect(&mut command));
    }
    let mut command = tracer::command("-o json --from");
    let mut both = Program::collect(command.args(&pipes));
    both.wait_for_err("all hosts", |err| {
        ["web1", "db1", "idle"].iter().all(|host| err.contains(&format!("{host}: ready")))
    });
    let listener = listener(&server);
    for round in 1..4 {
        connections(&client, &listener, 5);
        let count = |out: &str, host: &str| {
            let shown = out.lines().filter(|line| line.contains(&format!("\"host\":\"{host}\"")));
            shown.filter(|line| line.contains("\"new_state\":\"ESTABLISHED\"")).count()
        };
        both.wait_for_out("what both have done", |out| {
            count(out, "web1") == 5 * round && count(out, "db1") == 5 * round
        });
    }
    for recorder in recorders {
        assert_eq!(recorder.interrupt().code(), 0);
    }
    let ended = both.wait();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    let times: Vec<_> = lines(&ended.out).iter().map(|line| text(line, "time").to_owned()).collect();
    assert!(times.is_sorted(), "{times:?}");
}

/// A reader that takes nothing, a second signal, a full disk: what was not written is not counted as shown.
#[test]
fn what_nobody_got_was_not_shown() {
    let Recorded { client, server, folder } = recorded(200);
    let receipt = folder.path().join("receipt.json");
    let mut command = tracer::command(&format!("-o json --receipt {} --from", receipt.display()));
    command.args([&client, &server]).stdout(fs::File::options().write(true).open("/dev/full").unwrap());
    let ended = program::spawn(&mut command).unwrap().wait().unwrap();
    assert_eq!(ended.code(), Some(1));
    let receipt: serde_json::Value = serde_json::from_slice(&fs::read(receipt).unwrap()).unwrap();
    assert_eq!(receipt["shown"], 0, "{receipt}");
    assert!(receipt["hosts"][0]["unwritten"].as_u64().unwrap() > 0, "{receipt}");
    let torn = folder.path().join("torn");
    fs::write(&torn, &fs::read(&server).unwrap()[..20]).unwrap();
    let ended = replay("log", &[&client, &server, &torn]);
    assert!(ended.code() == 1 && ended.err.contains("which host it comes from"), "{}", ended.err);
    drop(folder);
}

/// The first stuck connection of all hosts is the last line.
#[test]
fn the_first_stuck_connection_ends_all() {
    let (client, server) = Place::pair();
    let folder = tempfile::tempdir().unwrap();
    let mut recorders = Vec::new();
    for (name, place) in [("web1", &client), ("db1", &server)] {
        let path = folder.path().join(name);
        let arguments = format!("record {} --netns {}", path.display(), place.inum());
        recorders.push((path, tracer::started(Program::collect(&mut on_host(name, &arguments)))));
    }
    let listener = listener(&server);
    let pairs: Vec<_> = (0..6)
        .map(|_| {
            let to = listener.local_addr().unwrap();
            let stream = client.run(|| connect(to)).unwrap();
            (stream, listener.accept().unwrap().0)
        })
        .collect();
    // Three wait in CLOSE_WAIT on each side.
    let mut kept = Vec::new();
    for (number, (one, other)) in pairs.into_iter().enumerate() {
        let (closed, left) = if number % 2 == 0 { (one, other) } else { (other, one) };
        close(closed);
        kept.push(left);
    }
    std::thread::sleep(std::time::Duration::from_millis(700));
    let paths: Vec<_> = recorders
        .into_iter()
        .map(|(path, recorder)| {
            assert_eq!(recorder.interrupt().code(), 0);
            path
        })
        .collect();
    close(kept);
    let both: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let ended = replay("-o json --stuck CLOSE_WAIT=300ms --exit-on-stuck", &both);
    assert_eq!(ended.code(), 4, "{}", ended.err);
    let shown = lines(&ended.out);
    let is_stuck = |line: &&tests::story::Line| text(line, "event") == "stuck";
    assert_eq!(shown.iter().filter(is_stuck).count(), 1, "{}", ended.out);
    assert!(is_stuck(&shown.last().unwrap()), "{}", ended.out);
    let stuck = lines(&replay("-o json --stuck CLOSE_WAIT=300ms --only-stuck --count 4", &both).out);
    assert_eq!(stuck.len(), 4);
}

/// A host that was started later than a recording begins is played when its time comes, and a signal ends the waiting.
#[test]
fn a_signal_ends_the_waiting_for_another_host() {
    let Recorded { client, server, folder } = recorded(2);
    let mut command = tracer::command("--speed 0.01x --from");
    let mut slow = Program::collect(command.args([&client, &server]));
    // The other one is to begin half a minute later.
    slow.wait_for_err("the first host", |err| err.contains("ready"));
    assert_eq!(slow.interrupt().code(), 0);
    drop(folder);
}
