//! bpftrace on the classic tracepoint: what tracer is held against.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    process::Command,
};

use crate::{event::Event, patience::until, program::Program};

/// bpftrace prints a line for each hit of the tracepoint.
pub struct Oracle {
    program: Program,
    marker: u8,
}

/// All that the tracepoint says of TCP, with the process that is on the CPU.
const LINES: &str = r#"
tracepoint:sock:inet_sock_set_state /args->protocol == 6/ {
  printf("%d %d %d %d %s %d %s %d\n", pid, args->oldstate, args->newstate, args->family,
    ntop(args->saddr_v6), args->sport, ntop(args->daddr_v6), args->dport);
}"#;

/// States by the kernel's numbers.
const STATES: [&str; 13] = [
    "",
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
    "NEW_SYN_RECV",
];

fn bpftrace(script: &str) -> Program {
    let mut command = Command::new("bpftrace");
    command.args(["-B", "line", "-e", script]).env("BPFTRACE_PERF_RB_PAGES", "4096");
    Program::collect(&mut command)
}

/// A connection that is refused, to an address that nobody else uses.
fn mark(number: u8) {
    let address = SocketAddr::from((Ipv4Addr::new(127, 78, 0, number), 9));
    TcpStream::connect(address).expect_err("nobody listens there");
}

impl Oracle {
    /// Starts it and waits until it sees.
    pub fn start() -> Self {
        let mut oracle = Self { program: bpftrace(LINES), marker: 0 };
        oracle.wait();
        oracle
    }

    /// Waits until it has printed all that has happened up to now.
    fn wait(&mut self) {
        self.marker += 1;
        let seen = format!("127.78.0.{} 9", self.marker);
        until("bpftrace to see a connection", || {
            mark(self.marker);
            self.program.out().contains(&seen).then_some(())
        });
    }

    /// What it saw, with only the fields of the tracepoint set.
    pub fn finish(mut self) -> Vec<Event> {
        self.wait();
        let ended = self.program.interrupt_until_it_ends();
        assert!(!ended.err.contains("Lost") && !ended.out.contains("Lost"), "bpftrace itself lost events");
        ended.out.lines().filter_map(line).collect()
    }
}

fn line(line: &str) -> Option<Event> {
    let words: Vec<_> = line.split(' ').collect();
    let [pid, old, new, family, local, local_port, remote, remote_port] = words[..] else {
        return None;
    };
    let number = |text: &str| text.parse::<u16>().expect("a number");
    // The tracepoint shows an IPv4 socket's addresses as v4-mapped; tracer shows them as IPv4.
    let address = |text: &str| {
        let address: Ipv6Addr = text.parse().expect("an address");
        match (family, address.to_ipv4_mapped()) {
            ("2", Some(v4)) => v4.to_string(),
            _ => address.to_string(),
        }
    };
    let port = |text| Some(number(text)).filter(|port| *port != 0);
    Some(Event {
        pid: Some(pid.parse().expect("a pid")),
        old_state: STATES[usize::from(number(old))].into(),
        new_state: STATES[usize::from(number(new))].into(),
        family: if family == "2" { "ipv4" } else { "ipv6" }.into(),
        local_addr: Some(address(local)),
        local_port: port(local_port),
        remote_addr: Some(address(remote)),
        remote_port: port(remote_port),
        ..Event::default()
    })
}

/// bpftrace only counts, in the kernel, where nothing is lost: transitions with an end in
/// 127.77.0.0/16.
pub struct Counter(Program);

const COUNT: &str = r#"
tracepoint:sock:inet_sock_set_state /args->protocol == 6 && args->saddr[0] == 127 && args->saddr[1] == 77/ { @ours = count(); }
tracepoint:sock:inet_sock_set_state /args->protocol == 6 && args->daddr[0] == 127 && args->daddr[1] == 77 &&
  !(args->saddr[0] == 127 && args->saddr[1] == 77)/ { @ours = count(); }
tracepoint:sock:inet_sock_set_state /args->daddr[0] == 127 && args->daddr[1] == 78/ { printf("marked\n"); }
"#;

impl Counter {
    /// Starts it and waits until it counts.
    pub fn start() -> Self {
        let program = bpftrace(COUNT);
        until("bpftrace to see a connection", || {
            mark(1);
            program.out().contains("marked").then_some(())
        });
        Self(program)
    }

    /// How many it counted.
    pub fn finish(self) -> u64 {
        let ended = self.0.interrupt_until_it_ends();
        let line = ended.out.lines().find_map(|line| line.strip_prefix("@ours: "));
        line.unwrap_or_else(|| panic!("no count: {} {}", ended.out, ended.err)).parse().unwrap()
    }
}
