//! Runs bpftrace on the tracepoint `sock:inet_sock_set_state`, to compare tracer with it. It sees only the
//! test's own namespaces, because a busy host may have more transitions than bpftrace can print.

use std::{
    net::{Ipv6Addr, SocketAddr, TcpStream},
    process::Command,
};

use crate::{event::Event, patience::until, place::Place, program::Program};

/// A bpftrace that prints a line for each hit of the tracepoint.
pub struct Oracle {
    program: Program,
    /// The namespace of marker connections. When bpftrace prints one, it has printed all that came before.
    place: Place,
    /// The last byte of the current marker's address.
    marker: u8,
}

/// Prints the tracepoint's arguments and the process on the CPU.
const LINES: &str = r#"{
  printf("%d %d %d %d %s %d %s %d\n", pid, args->oldstate, args->newstate, args->family,
    ntop(args->saddr_v6), args->sport, ntop(args->daddr_v6), args->dport);
}"#;

/// Names of the TCP states, indexed by the kernel's numbers.
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

/// Starts a bpftrace that runs an action for each transition in these namespaces.
fn bpftrace(places: &[&Place], action: &str) -> Program {
    let netns = "((struct sock *)args->skaddr)->__sk_common.skc_net.net->ns.inum";
    let is_there: Vec<_> = places.iter().map(|place| format!("{netns} == {}", place.inum())).collect();
    let script = format!(
        "tracepoint:sock:inet_sock_set_state /args->protocol == 6 && ({})/ {action}",
        is_there.join(" || ")
    );
    let mut command = Command::new("bpftrace");
    command.args(["-B", "line", "-e", &script]).env("BPFTRACE_PERF_RB_PAGES", "4096");
    Program::collect(&mut command)
}

/// Makes a marker: a connection that is refused, at an address of this namespace.
fn mark(place: &Place, number: u8) {
    let address = SocketAddr::from((place.own_v4(number), 9));
    place.run(|| TcpStream::connect(address)).expect_err("nobody listens there");
}

impl Oracle {
    /// Starts bpftrace and waits until it is attached.
    pub fn start(places: &[&Place]) -> Self {
        let place = Place::new();
        let program = bpftrace(&[places, &[&place]].concat(), LINES);
        let mut oracle = Self { program, place, marker: 0 };
        oracle.wait();
        oracle
    }

    /// Waits until bpftrace has printed everything that has happened so far.
    fn wait(&mut self) {
        self.marker += 1;
        let seen = format!("{} 9", self.place.own_v4(self.marker));
        until("bpftrace to see a connection", || {
            mark(&self.place, self.marker);
            self.program.out().contains(&seen).then_some(())
        });
    }

    /// Ends bpftrace and returns the events in the test's namespaces. Only the fields that the tracepoint has
    /// are set.
    pub fn finish(mut self) -> Vec<Event> {
        self.wait();
        let ended = self.program.interrupt_until_it_ends();
        assert!(!ended.err.contains("Lost") && !ended.out.contains("Lost"), "bpftrace itself lost events");
        let is_mark = |event: &Event| {
            let remote = event.remote_addr.as_ref().expect("an address");
            self.place.owns(remote.parse().expect("an address"))
        };
        ended.out.lines().filter_map(line).filter(|event| !is_mark(event)).collect()
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

/// A bpftrace that only counts transitions. It counts in the kernel, where nothing is lost.
pub struct Counter(Program);

impl Counter {
    /// Starts bpftrace and waits until it counts transitions in this namespace.
    pub fn start(place: &Place) -> Self {
        // Transitions of markers do not count.
        let action = r#"{ if (args->dport == 9) { printf("marked\n"); } else { @ours = count(); } }"#;
        let program = bpftrace(&[place], action);
        until("bpftrace to see a connection", || {
            mark(place, 1);
            program.out().contains("marked").then_some(())
        });
        Self(program)
    }

    /// Ends bpftrace and returns how many transitions it counted.
    pub fn finish(self) -> u64 {
        let ended = self.0.interrupt_until_it_ends();
        let line = ended.out.lines().find_map(|line| line.strip_prefix("@ours: "));
        line.unwrap_or_else(|| panic!("no count: {} {}", ended.out, ended.err)).parse().unwrap()
    }
}
