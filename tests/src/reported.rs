//! Recordings of trouble, and the pages of `tracer report` about them.

// A panic is how a test says that it failed.
#![allow(clippy::unwrap_used)]

use std::{
    any::Any,
    ffi::OsStr,
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::Value;
use socket2::SockRef;
use tempfile::{TempDir, tempdir};

use crate::{
    browser::Seen,
    patience::until_or,
    place::Place,
    program::{Program, close},
    tracer,
    traffic::{
        SCENARIOS, churn, connect, knock, leak, leaky, listen, listen_with_backlog, play, wait_for_end,
    },
};

/// The address of services.
pub const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A recording.
pub struct Recorded {
    /// Its folder.
    pub folder: TempDir,
    /// Its file.
    pub path: PathBuf,
}

/// Records what happens in a namespace while `happen` runs. What it returns is kept until the end.
pub fn record(place: &Place, happen: impl FnOnce() -> Box<dyn Any>) -> Recorded {
    let command = &mut tracer::command(&format!("record --netns {}", place.name()));
    record_with(command, happen)
}

/// The same with this command.
pub fn record_with(command: &mut Command, happen: impl FnOnce() -> Box<dyn Any>) -> Recorded {
    let folder = tempdir().unwrap();
    let path = folder.path().join("host.rec");
    let tracer = tracer::started(Program::collect(command.arg(&path)));
    let kept = happen();
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    drop(kept);
    Recorded { folder, path }
}

impl Recorded {
    /// Makes a page with these options.
    pub fn report(&self, options: &str, name: &str) -> Page {
        self.report_with(options.split_whitespace(), name)
    }

    /// The same, of options that may have blanks.
    pub fn report_with(&self, options: impl IntoIterator<Item = impl AsRef<OsStr>>, name: &str) -> Page {
        let path = self.folder.path().join(name);
        let mut command = tracer::command("report");
        command.arg(&self.path).arg("--to").arg(&path).args(options);
        let ended = Program::collect(&mut command).wait();
        assert_eq!((ended.code(), &ended.out[..]), (0, ""), "{}", ended.err);
        Page::read(path)
    }

    /// Exports a row for each transition, or for each connection.
    pub fn export(&self, options: &str) -> PathBuf {
        let path = self.folder.path().join(format!("export{options}.parquet"));
        let mut command = tracer::command(&format!("export --format parquet {options} --to"));
        let ended = Program::collect(command.arg(&path).arg(&self.path)).wait();
        assert_eq!(ended.code(), 0, "{}", ended.err);
        path
    }
}

/// A page, and what its script draws.
pub struct Page {
    /// Its file.
    pub path: PathBuf,
    /// All of it.
    pub html: String,
    /// What its script draws.
    pub data: Value,
}

impl Page {
    /// Reads it.
    pub fn read(path: PathBuf) -> Self {
        let html = fs::read_to_string(&path).unwrap();
        let (_, rest) = html.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
        let data = serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap();
        Self { path, html, data }
    }

    /// The sentences about what is wrong.
    pub fn findings(&self) -> Vec<&str> {
        let parts = self.html.split("<h3><bdi>").skip(1);
        parts.map(|part| part.split_once("</bdi>").unwrap().0).collect()
    }

    /// A list in what `summary` says of all of the time.
    pub fn total(&self, key: &str) -> &Vec<Value> {
        self.data["total"][key].as_array().unwrap()
    }
}

/// Trouble of several kinds.
pub fn trouble(place: &Place) -> Box<dyn Any> {
    let (server, port) = leaky(place, "127.0.0.1");
    leak(place, "127.0.0.1", port, 7);
    for port in 1..=30 {
        place.run(|| connect((V4, 1 + port % 2).into())).unwrap_err();
    }
    place.run(resets);
    let (full, address) = listen_with_backlog(place, Ipv4Addr::LOCALHOST, 1);
    let waiting = knock(place, address, 6);
    place.run(|| SCENARIOS.into_iter().for_each(|scenario| play(scenario, place.own_v6().into())));
    churn(place, 200);
    until_or(
        "an overflow that is read twice",
        || {
            let counted = place.run(|| fs::read_to_string("/proc/thread-self/net/netstat").unwrap());
            // SYNs are sent again after a second and after three: counters are read each second.
            (overflows(&counted) > 8).then_some(())
        },
        || "the queue does not overflow".to_owned(),
    );
    Box::new((server, full, waiting))
}

/// Clients of one service abort.
fn resets() {
    let listener = listen(V4, 0);
    for _ in 0..20 {
        let client = connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
        close(client);
        wait_for_end(&mut server);
    }
}

fn overflows(netstat: &str) -> u64 {
    let mut lines = netstat.lines().filter_map(|line| line.strip_prefix("TcpExt: "));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let mut both = names.split(' ').zip(values.split(' '));
    both.find_map(|(name, value)| (name == "ListenOverflows").then(|| value.parse().unwrap())).unwrap()
}

/// Nobody is asked for anything, and nothing goes wrong.
pub fn assert_quiet(seen: &Seen, page: &Path) {
    assert!(seen.console.is_empty(), "{:?}", seen.console);
    assert_eq!(seen.requests, [format!("file://{}", page.display())]);
    assert!(seen.serious().is_empty(), "{:#?}", seen.serious());
    assert!(seen.opened_ms < 2_000.0, "{} ms", seen.opened_ms);
}

/// How wide the page is: as wide as its window.
pub const WIDTH: &str = "document.documentElement.scrollWidth";
