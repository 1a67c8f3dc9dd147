//! A recording beside metrics.

// A panic is how a test says that it failed.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use tests::{
    disk::Disk,
    patience::until,
    place::Place,
    program::{Ended, Program},
    served::{metrics, serve},
    story::{lines, text},
    tracer,
    traffic::{churn, connect},
};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A port where nobody listens.
const DISCARD: u16 = 9;

/// What tracer shows of recordings.
fn replay(arguments: &str, files: &[PathBuf]) -> Ended {
    let mut command = tracer::command(&format!("{arguments} --from"));
    Program::collect(command.args(files)).wait()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn wait_for(address: SocketAddr, what: &str, is_so: impl Fn(f64) -> bool) {
    until(what, || metrics(address).get(what).is_some_and(|value| is_so(*value)).then_some(()));
}

/// What is in the recording is what the metrics say, and the ring is kept when its time has come.
#[test]
fn a_flight_recorder_runs_beside_the_metrics() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("host.rec");
    let options = "--ring 60s --on-reason refused=5/10s";
    let (mut tracer, address) =
        serve(&format!("--record {} {options} --netns {}", path.display(), place.inum()));
    churn(&place, 20);
    tracer.wait_for_err("refusals", |err| {
        place.run(|| connect((V4, DISCARD).into()).expect_err("nobody listens"));
        err.contains("-refused.*")
    });
    wait_for(address, "tracer_recording_parts", |parts| parts >= 2.0);
    let metrics = metrics(address);
    assert!(metrics["tracer_recording_events_total"] >= 200.0, "{metrics:?}");
    assert!(metrics["tracer_recording_written_bytes_total"] > 1000.0, "{metrics:?}");
    for none in ["errors_total", "missed_events_total", "left_out_total", "failed"] {
        assert!(metrics[&format!("tracer_recording_{none}")].abs() < 1e-9, "{none}: {metrics:?}");
    }
    assert!(metrics["tracer_tcp_ends_total{reason=\"refused\",closed_by=\"remote\"}"] >= 5.0, "{metrics:?}");
    assert_eq!(tracer.interrupt().code(), 0);
    let kept: Vec<_> = files(folder.path())
        .into_iter()
        .filter(|path| path.to_str().unwrap().contains("-refused."))
        .collect();
    let shown = lines(&replay("life -o json", &kept).out);
    assert!(shown.iter().filter(|line| text(line, "reason") == "refused").count() >= 5, "{shown:?}");
}

/// A full disk is said and counted, and the metrics go on. Without parts the recording ends there.
#[test]
fn the_metrics_go_on_where_the_disk_is_full() {
    let place = Place::new();
    let disk = Disk::new("size=512k");
    let path = disk.path().join("full");
    let (mut tracer, address) = serve(&format!("--record {} --netns {}", path.display(), place.inum()));
    tracer.wait_for_err("an error", |err| {
        churn(&place, 50);
        err.contains("No space left")
    });
    let begun = "tracer_tcp_connections_begun_total";
    let before = metrics(address)[begun];
    churn(&place, 50);
    wait_for(address, begun, |begun| begun >= before + 100.0);
    wait_for(address, "tracer_recording_failed", |failed| failed > 0.0);
    wait_for(address, "tracer_recording_missed_events_total", |missed| missed >= 300.0);
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert!(ended.err.contains("the recording ends here"), "{}", ended.err);
    assert!(ended.err.contains("events are not in it, because it could not be written"), "{}", ended.err);
    let shown = replay("-o json", &[path]);
    assert!(shown.code() == 0 && lines(&shown.out).len() > 100, "{}", shown.err);
}

/// Where there are parts, the recording goes on as soon as there is room. It knows how much is missing.
#[test]
fn a_recording_goes_on_when_there_is_room() {
    goes_on("size=512k", "--rotate 1h", "size=64m", 1);
}

/// What was written before is no loss, and what is missed is counted once, however often it is tried again.
#[test]
fn a_recording_goes_on_when_a_part_can_be_made() {
    // The folder itself is one.
    goes_on("size=64m,nr_inodes=3", "--rotate 50K", "nr_inodes=1000", 2);
}

/// A recording on a disk that has room for so many parts, until it is mounted anew.
fn goes_on(disk: &str, rotation: &str, remount: &str, count: usize) {
    let place = Place::new();
    let disk = Disk::new(disk);
    let path = disk.path().join("full");
    let (mut tracer, address) =
        serve(&format!("--record {} {rotation} --netns {}", path.display(), place.inum()));
    tracer.wait_for_err("an error", |err| {
        churn(&place, 50);
        err.contains("No space left")
    });
    wait_for(address, "tracer_recording_failed", |failed| failed > 0.0);
    churn(&place, 50);
    // What cannot be begun leaves nothing behind.
    wait_for(address, "tracer_recording_errors_total", |errors| errors >= 2.0);
    assert_eq!(files(disk.path()).len(), count);
    churn(&place, 100);
    wait_for(address, "tracer_recording_errors_total", |errors| errors >= 3.0);
    disk.remount(remount);
    wait_for(address, "tracer_recording_failed", |failed| failed < 1.0);
    let missed = metrics(address)["tracer_recording_missed_events_total"];
    assert!(missed >= 300.0, "{missed}");
    churn(&place, 10);
    place.settle();
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert!(ended.err.contains("the recording goes on"), "{}", ended.err);
    let parts = files(disk.path());
    assert_eq!(parts.len(), count + 1, "{parts:?}");
    let shown = replay("life -o json", &parts);
    // Those behind the gap are there, and the gap is told to the event.
    assert!(lines(&shown.out).len() > 20, "{}", shown.err);
    assert!(shown.err.contains(&format!("{missed} events")), "{missed}: {}", shown.err);
    assert_eq!(replay("life -o json --strict", &parts).code(), 3);
}

#[test]
fn options_of_a_recording_need_one() {
    for options in ["--rotate 1h", "--ring 1m --on-signal"] {
        let ended = tracer::run(&format!("serve {options}"));
        assert!(ended.code() == 2 && ended.err.contains("--record FILE"), "{}", ended.err);
    }
}
