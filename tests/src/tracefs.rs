//! Traces resets and retransmissions with the kernel's own trace buffer, to compare tracer with it.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

use crate::place::Place;

const EVENTS: [&str; 4] =
    ["tcp_send_reset", "tcp_receive_reset", "tcp_retransmit_skb", "tcp_retransmit_synack"];

/// Buffer size per CPU, in KiB. It is large because the trace covers the whole host, which may be busy.
const ROOM: &str = "65536";

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A separate instance of the trace buffer. It is removed when this is dropped.
pub struct Instance {
    folder: PathBuf,
}

/// An instance in which resets and retransmissions are traced.
pub struct Trace(Instance);

/// A reset or retransmission in the trace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    /// The event, as [`what`](crate::incidents::what) names it: `reset sent`, `reset received`, `retransmit`,
    /// `retransmit-synack`.
    pub what: String,
    /// The local address and port.
    pub local: SocketAddr,
    /// The remote address and port.
    pub remote: SocketAddr,
    /// Why an RST was sent, as tracer spells it; empty for other events.
    pub reason: String,
}

impl Instance {
    /// Makes an instance without events.
    pub fn new(kind: &str) -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tracer-{kind}-{}-{number}", std::process::id());
        let folder = PathBuf::from("/sys/kernel/tracing/instances").join(name);
        fs::create_dir(&folder).expect("tracefs");
        Self { folder }
    }

    /// A regular file that waits for events when it is read.
    pub fn pipe(&self) -> PathBuf {
        self.folder.join("trace_pipe")
    }
}

impl Trace {
    /// Starts tracing.
    pub fn start() -> Self {
        let instance = Instance::new("trace");
        let folder = &instance.folder;
        fs::write(folder.join("buffer_size_kb"), ROOM).unwrap();
        for event in EVENTS {
            fs::write(folder.join("events/tcp").join(event).join("enable"), "1").unwrap();
        }
        Self(instance)
    }

    /// Stops tracing and returns the events at addresses that only these namespaces have, sorted.
    pub fn finish(self, places: &[&Place]) -> Vec<Told> {
        fs::write(self.0.folder.join("tracing_on"), "0").unwrap();
        self.check_whole();
        let trace = fs::read_to_string(self.0.folder.join("trace")).unwrap();
        let mut told: Vec<_> = trace.lines().filter_map(told).collect();
        told.retain(|told| places.iter().any(|place| place.owns(told.local.ip())));
        told.sort();
        told
    }

    /// Panics if the trace buffer has lost events.
    fn check_whole(&self) {
        for processor in fs::read_dir(self.0.folder.join("per_cpu")).unwrap() {
            let stats = fs::read_to_string(processor.unwrap().path().join("stats")).unwrap();
            for lost in ["overrun", "commit overrun", "dropped events"] {
                assert!(stats.lines().any(|line| line == format!("{lost}: 0")), "lost by the trace: {stats}");
            }
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // Tracefs removes the directory with all its files.
        let _ = fs::remove_dir(&self.folder);
    }
}

fn told(line: &str) -> Option<Told> {
    let (event, rest) =
        EVENTS.iter().find_map(|event| Some((*event, line.split_once(&format!(" {event}: "))?.1)))?;
    let value = |key: &str| rest.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    if event == "tcp_send_reset" {
        let end = |key| {
            let end: SocketAddr = value(key).unwrap().parse().unwrap();
            SocketAddr::new(end.ip().to_canonical(), end.port())
        };
        let reason = value("reason").unwrap().to_lowercase().replace('_', "-");
        return Some(Told { what: "reset sent".into(), local: end("src"), remote: end("dest"), reason });
    }
    if value("err").is_some_and(|error| error != "0") {
        // The SYN-ACK or segment could not be sent.
        return None;
    }
    let is_v4 = value("family") == Some("AF_INET");
    let end = |port: &str, v4: &str, v6: &str| {
        let address = value(if is_v4 { v4 } else { v6 }).unwrap().parse::<std::net::IpAddr>().unwrap();
        SocketAddr::new(address.to_canonical(), value(port).unwrap().parse().unwrap())
    };
    let what = match event {
        "tcp_receive_reset" => "reset received",
        "tcp_retransmit_skb" => "retransmit",
        _ => "retransmit-synack",
    };
    Some(Told {
        what: what.into(),
        local: end("sport", "saddr", "saddrv6"),
        remote: end("dport", "daddr", "daddrv6"),
        reason: String::new(),
    })
}
