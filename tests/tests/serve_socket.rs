//! Others on the same host ask a running `serve`.

// A panic is how a test says that it failed.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    fs::{self, Permissions},
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr},
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, symlink},
        net::{UnixListener, UnixStream},
    },
    path::Path,
    time::{Duration, Instant},
};

use tests::{
    patience::until,
    place::Place,
    program::{Program, close},
    served::{metrics, serve},
    story::{lines, number, text},
    tracer,
    traffic::{churn, connect, listen},
};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What `list` says of the namespace, asking this socket.
fn list(place: &Place, socket: &Path, options: &str) -> (String, Vec<serde_json::Value>) {
    let arguments =
        format!("list -ta -o json --netns {} --socket {} {options}", place.inum(), socket.display());
    let ended = tracer::run(&arguments);
    assert_eq!(ended.code(), 0, "{}", ended.err);
    (ended.err, lines(&ended.out))
}

#[test]
fn a_list_knows_exact_ages() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("tracer.sock");
    let (tracer, address) = serve(&format!("--socket {} --netns {}", socket.display(), place.inum()));
    let found = fs::metadata(&socket).unwrap();
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    let listener = place.run(|| listen(V4, 0));
    let before = Instant::now();
    let (client, server) = place.run(|| {
        let client = connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    });
    let after = Instant::now();
    let port = client.local_addr().unwrap().port();
    until("the connection", || {
        (metrics(address)["tracer_tcp_sockets{state=\"ESTABLISHED\"}"] >= 2.0).then_some(())
    });
    let of_client = |sockets: &[serde_json::Value]| {
        sockets
            .iter()
            .find(|one| one["local_port"] == port && text(one, "state") == "ESTABLISHED")
            .unwrap()
            .clone()
    };
    let least = after.elapsed();
    let (said, sockets) = list(&place, &socket, "-v");
    let most = before.elapsed();
    let one = of_client(&sockets);
    let age = Duration::from_secs_f64(number(&one, "age_us").unwrap() / 1e6);
    assert!((least..=most).contains(&age), "{age:?} is not between {least:?} and {most:?}: {one}");
    assert!(said.contains("knows since when"), "{said}");
    // Nobody is there: what the kernel tells, and no word about it unless that is asked for.
    let nowhere = folder.path().join("nowhere");
    let (said, sockets) = list(&place, &nowhere, "");
    assert!(number(&of_client(&sockets), "age_us").is_none() && said.is_empty(), "{said}");
    assert!(list(&place, &nowhere, "-v").0.contains("ages are what the kernel tells"));
    assert!(metrics(address)["tracer_socket_clients_served_total"] >= 1.0);
    close((client, server));
    assert_eq!(tracer.interrupt().code(), 0);
    assert!(!socket.exists());
}

/// `top` and others show what is known and what happens then, without a second tracer.
#[test]
fn a_stream_begins_with_what_is_known() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("tracer.sock");
    let path = folder.path().join("host.rec");
    let (tracer, _) =
        serve(&format!("--socket {} --netns {} --record {}", socket.display(), place.inum(), path.display()));
    let listener = place.run(|| listen(V4, 0));
    let (client, server) = place.run(|| {
        let client = connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    });
    let port = client.local_addr().unwrap().port();
    let mut life = tracer::started(Program::collect(&mut tracer::command(&format!(
        "life -o json --from {}",
        socket.display()
    ))));
    churn(&place, 50);
    close((client, server));
    life.wait_for_out("all connections", |out| out.lines().count() >= 102);
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    let life = life.wait();
    let all = lines(&life.out);
    let older = all.iter().find(|line| line["local_port"] == port && text(line, "role") == "client").unwrap();
    // It began before the stream did.
    assert!(number(older, "duration_us").is_some_and(|us| us > 0.0), "{older}");
    // The recording beside it has the same.
    let recorded = tracer::run(&format!("life -o json --from {}", path.display()));
    assert_eq!(lines(&recorded.out).len(), all.len(), "{}", recorded.err);
}

/// Who does not read is cut off, who speaks is sent away, who is another user gets nothing; and all else goes on.
#[test]
fn hostile_clients_delay_nothing() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let socket = folder.path().join("tracer.sock");
    let (tracer, address) = serve(&format!("--socket {} --netns {}", socket.display(), place.inum()));
    let count = |name: &str| metrics(address)[&format!("tracer_socket_clients{name}")];
    // Somebody else, even where the mode lets him in.
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
    let (_binary, public) = tracer::public_binary();
    let mut nobody = std::process::Command::new("setpriv");
    nobody.args(["--reuid=65534", "--clear-groups"]).arg(public).args(["list", "-ta", "-v", "--socket"]);
    let got = Program::collect(nobody.arg(&socket)).wait();
    assert!(got.code() == 0 && got.err.contains("ages are what the kernel tells"), "{}", got.err);
    until("a refusal", || (count("_refused_total") >= 1.0).then_some(()));
    // Who sends something.
    let mut speaks = UnixStream::connect(&socket).unwrap();
    speaks.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut rest = Vec::new();
    // A reset may come instead of the end.
    let _ = speaks.read_to_end(&mut rest);
    // More than there is room for, none of whom reads.
    let silent: Vec<_> = (0..20).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    until("those beyond the limit are refused", || (count("_refused_total") >= 13.0).then_some(()));
    assert!(count("") <= 8.0);
    let begun = "tracer_tcp_connections_begun_total";
    until("the silent ones are cut off", || {
        churn(&place, 200);
        (count("_cut_off_total") >= 8.0).then_some(())
    });
    let before = metrics(address)[begun];
    churn(&place, 10);
    until("others", || (metrics(address)[begun] >= before + 20.0).then_some(()));
    drop(silent);
    until("all have gone", || (count("") < 1.0).then_some(()));
    let (said, _) = list(&place, &socket, "-v");
    assert!(said.contains("knows since when"), "{said}");
    let ended = tracer.interrupt();
    assert!(ended.code() == 0 && ended.err.contains("lost 0"), "{}", ended.err);
}

/// A server that is none, or says nothing, takes a list no time.
#[test]
fn a_list_does_not_wait_for_whoever_is_there() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let listener = place.run(|| listen(V4, 0));
    let silent = folder.path().join("silent");
    let _silent = UnixListener::bind(&silent).unwrap();
    let (said, sockets) = list(&place, &silent, "-v");
    assert!(said.contains("timed out") && sockets.len() == 1, "{said}");
    let nonsense = folder.path().join("nonsense");
    let server = UnixListener::bind(&nonsense).unwrap();
    let speaks = std::thread::spawn(move || {
        let (mut client, _) = server.accept().unwrap();
        // It may go before it has read all.
        let _ = client.write_all(&vec![b'x'; 1 << 20]);
    });
    let (said, sockets) = list(&place, &nonsense, "-v");
    assert!(said.contains("ages are what the kernel tells") && sockets.len() == 1, "{said}");
    speaks.join().unwrap();
    drop(listener);
}

/// Whom root's list believes: a user for whom root has made the folder, as systemd does for the service.
#[test]
fn a_list_of_root_believes_the_service() {
    const USER: u32 = 54_322;
    let place = Place::new();
    let (_binary, binary) = tracer::public_binary();
    for (parent, mode, is_believed) in [("/run", 0o755, true), ("/run", 0o777, false), ("/tmp", 0o755, false)]
    {
        let folder = tempfile::tempdir_in(parent).unwrap();
        std::os::unix::fs::chown(folder.path(), Some(USER), None).unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
        let socket = folder.path().join("tracer.sock");
        let mut service = std::process::Command::new("setpriv");
        service.args(["--reuid", &USER.to_string(), "--clear-groups"]);
        service.args(["--inh-caps", "+bpf,+perfmon", "--ambient-caps", "+bpf,+perfmon"]);
        service.arg(&binary).args(["serve", "--listen", "127.0.0.1:0", "--netns", &place.inum().to_string()]);
        service.arg("--socket").arg(&socket);
        let service = tracer::started(Program::collect(&mut service));
        let told = if is_believed {
            "knows since when"
        } else {
            "permission denied: ages are what the kernel tells"
        };
        let (said, _) = list(&place, &socket, "-v");
        assert!(said.contains(told), "{parent} {mode:o}: {said}");
        // Somebody else might have put a link there.
        let elsewhere = tempfile::tempdir_in("/run").unwrap();
        let link = elsewhere.path().join("link");
        symlink(folder.path(), &link).unwrap();
        assert!(list(&place, &link.join("tracer.sock"), "-v").0.contains("permission denied"));
        assert_eq!(service.interrupt().code(), 0);
    }
}

#[test]
fn what_is_in_the_way_is_said_or_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("tracer.sock");
    // Left behind by one that was killed.
    drop(UnixListener::bind(&socket).unwrap());
    let before = fs::metadata(&socket).unwrap().ino();
    let (tracer, _) = serve(&format!("--port 1 --socket {}", socket.display()));
    assert!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777 == 0o600, "{before}");
    let second = tracer::run(&format!("serve --listen 127.0.0.1:0 --socket {}", socket.display()));
    assert!(second.code() == 1 && second.err.contains("cannot listen on /"), "{}", second.err);
    assert!(socket.exists(), "it is the first one's");
    assert_eq!(tracer.interrupt().code(), 0);
    let file = folder.path().join("file");
    fs::write(&file, "something else").unwrap();
    let ended = tracer::run(&format!("serve --listen 127.0.0.1:0 --socket {}", file.display()));
    assert!(ended.code() == 1 && ended.err.contains("cannot listen on /"), "{}", ended.err);
    assert_eq!(fs::read_to_string(&file).unwrap(), "something else");
}
