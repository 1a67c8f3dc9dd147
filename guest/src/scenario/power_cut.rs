//! A recording on a disk with a real file system: made until the host cuts the power, and replayed in the next guest.

use std::{
    fs,
    io::{Write as _, stdout},
    net::Ipv4Addr,
    thread,
    time::{Duration, Instant},
};

use guest::{Found, MADE};
use rustix::mount::{MountFlags, mount};
use tests::{
    place::Place,
    program::Program,
    story::{lines, text},
    tracer,
    traffic::{connect, listen, wait_for_end},
};

const DISK: &str = "/dev/vda";
const FOLDER: &str = "/disk";
const RECORDING: &str = "/disk/host.rec";

/// Longer than the host lets it run.
const LONGEST: Duration = Duration::from_secs(120);

fn mount_disk() {
    fs::create_dir_all(FOLDER).expect("a folder");
    mount(DISK, FOLDER, "ext4", MountFlags::empty(), None).expect("a file system on the disk");
}

/// Records connections, and tells the host of each one that has ended.
pub(crate) fn record() -> Found {
    mount_disk();
    let place = Place::new();
    let arguments = format!("record --netns {}", place.name());
    let _tracer = tracer::started(Program::collect(tracer::command(&arguments).arg(RECORDING)));
    place.run(|| {
        let begun = Instant::now();
        let listener = listen(Ipv4Addr::LOCALHOST.into(), 0);
        while begun.elapsed() < LONGEST {
            let client = connect(listener.local_addr().expect("an address")).expect("a listener");
            let port = client.local_addr().expect("an address").port();
            let (mut server, _) = listener.accept().expect("a client");
            drop(client);
            wait_for_end(&mut server);
            drop(server);
            writeln!(stdout(), "\n{MADE}{} {port}", begun.elapsed().as_millis()).expect("a console");
            thread::sleep(Duration::from_millis(20));
        }
    });
    panic!("nobody has cut the power");
}

/// Tells what is in the recording.
pub(crate) fn replay() -> Found {
    mount_disk();
    let verified = tracer::run(&format!("recording verify -o json {RECORDING}"));
    let [verdict] = &lines(&verified.out)[..] else { panic!("no recording: {}", verified.err) };
    let replayed = tracer::run(&format!("life -o json --from {RECORDING}"));
    assert_eq!(replayed.code(), 0, "{}", replayed.err);
    let ended = lines(&replayed.out);
    let clients = ended.iter().filter(|line| text(line, "role") == "client");
    let ports = clients.filter_map(|line| u16::try_from(line["local_port"].as_u64()?).ok()).collect();
    Found::AfterPowerCut { ports, verdict: text(verdict, "verdict").to_owned() }
}
