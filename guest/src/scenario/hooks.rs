//! Checks what only optional hooks report, which a kernel may not support: which process accepts a
//! connection, when timewait sockets change and end, and which connections are half open. Also checks
//! handshake times and retransmissions under delay and loss, and that functions which take no more programs
//! cost only their hooks.

mod full;
mod half_open;

use std::{
    fs,
    net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream},
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use guest::Found;
use tests::{
    forged,
    patience::until,
    place::Place,
    program::{Program, run},
    story::{self, Line, number, text},
    tracer,
    traffic::{Scenario, actor, connect, listen, play as go, wait_for_end},
};

use crate::scenario::{check::checked, time_wait::MINUTE, unless_lost};

/// The hooks, as `tracer check` names them.
const ACCEPT: &str = "inet_csk_accept";
pub(crate) const TIMEWAIT: &str = "inet_twsk_kill";

const HERE: &str = "10.77.0.1";
const THERE: &str = "10.77.0.2";
/// Connections that the worker accepts, one after the other.
const ASKED: usize = 5;
/// How long each segment from there is delayed.
const DELAY: Duration = Duration::from_millis(100);
/// Attempts to get a capture without lost events.
const TRIES: usize = 3;
/// `net.ipv4.tcp_fin_timeout`: how long an orphan may stay in FIN_WAIT2.
const FIN_TIMEOUT: Duration = Duration::from_secs(2);

struct Scene {
    here: Place,
    there: Place,
    tracer: Program,
    hooks: String,
}

/// Runs all checks, except those of hooks that this kernel does not have. The host knows which hooks it has
/// to have. A check may fail because an event was lost; then all of them run again.
pub(crate) fn play() -> Found {
    let found = (0..TRIES).find_map(|_| attempt()).expect("a capture without losses");
    full::try_it();
    found
}

fn attempt() -> Option<Found> {
    let hooks = checked().out.clone();
    let used = used(&hooks).map(str::to_owned).collect();
    let (here, there) = Place::pair();
    for place in [&here, &there] {
        for setting in
            ["net.ipv4.tcp_fin_timeout=2", "net.ipv4.tcp_synack_retries=1", "net.ipv4.tcp_syn_retries=1"]
        {
            let (name, value) = setting.split_once('=').expect("a setting");
            let file = format!("/proc/sys/{}", name.replace('.', "/"));
            place.run(|| fs::write(file, value).expect("a setting"));
        }
    }
    let stuck = format!("NEW_SYN_RECV={}ms", half_open::STUCK.as_millis());
    let tracer = tracer::start(&format!("-o json --resets --retransmits --stuck {stuck}"));
    let mut scene = Scene { here, there, tracer, hooks };
    let played = catch_unwind(AssertUnwindSafe(|| {
        scene.accept();
        scene.resets();
        scene.orphan();
        scene.no_timewait_socket();
        scene.reset_in_time_wait();
        scene.flood();
        scene.delay_and_loss();
    }));
    unless_lost(played, &scene.tracer.interrupt())?;
    Some(Found::Hooks { used })
}

/// What `tracer check` says of the hooks.
fn report(checked: &str) -> &str {
    let (_, hooks) = checked.split_once(" other hooks ").expect("hooks");
    hooks.lines().next().unwrap_or_default().trim()
}

/// The hooks in use, as `tracer check` lists them.
fn used(checked: &str) -> impl Iterator<Item = &str> {
    report(checked).split(';').next().unwrap_or_default().split(", ")
}

/// Whether a hook is in use.
pub(crate) fn is_used(checked: &str, hook: &str) -> bool {
    used(checked).any(|used| used == hook)
}

fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

impl Scene {
    fn has(&self, hook: &str) -> bool {
        is_used(&self.hooks, hook)
    }

    fn lines(&self) -> Vec<Line> {
        story::lines(story::whole(&self.tracer.out()))
    }

    /// Waits for a line that satisfies `is_it`, and returns it.
    fn line(&self, what: &str, is_it: impl Fn(&Line) -> bool) -> Line {
        until(what, || self.lines().into_iter().find(|line| is_it(line)))
    }

    /// A prefork server: one process listens, another one accepts.
    fn accept(&mut self) {
        let mut server = Program::collect(self.there.command(actor()).args(["prefork", THERE]));
        server.wait_for_out("port and worker", |out| out.lines().count() == 2);
        let out = server.out();
        let mut words = out.lines().map(|line| line.parse::<u64>().expect("a number"));
        let (port, worker) = (words.next().expect("a port"), words.next().expect("a process"));
        let words = ["ask", "asker", THERE, &port.to_string(), &ASKED.to_string()].map(str::to_owned);
        assert!(Program::collect(self.here.command(actor()).args(words)).wait().status.success());
        let fins = until("the peers' FINs", || {
            let mut lines = self.lines();
            lines.retain(|line| {
                text(line, "new_state") == "CLOSE_WAIT" && line["local_port"].as_u64() == Some(port)
            });
            (lines.len() == ASKED).then_some(lines)
        });
        if self.has(ACCEPT) {
            assert!(fins.iter().all(|line| line["pid"].as_u64() == Some(worker)), "{fins:#?}");
            // Not all: if the worker is using its socket when the FIN arrives, the owner is `own`.
            assert!(fins.iter().any(|line| text(line, "owner") == "accept"), "{fins:#?}");
        }
    }

    /// `SO_LINGER` 0 aborts a connection: one side sends an RST, the other receives it.
    fn resets(&self) {
        let address: IpAddr = "127.77.62.1".parse().expect("an address");
        self.there.run(|| go(Scenario::Reset, address));
        let at = address.to_string();
        let [sent, _] = [("sent", "remote_addr"), ("received", "local_addr")].map(|(way, end)| {
            self.line("an RST", |line| {
                text(line, "event") == "reset" && text(line, "reset") == way && text(line, end) == at
            })
        });
        // A kernel that reports reasons also reports RSTs that belong to no connection.
        if !sent["reset_reason"].is_null() {
            self.there.run(|| go(Scenario::Refused, address));
            self.line("an RST of no connection", |line| text(line, "reset_reason") == "no-socket");
        }
    }

    /// One side closes, and its peer closes later or never: the orphan waits in FIN_WAIT2.
    fn orphan(&mut self) {
        if !self.has(TIMEWAIT) {
            return;
        }
        // Without delay the ACK may arrive during the close, so that a full socket waits. With delay a
        // timewait socket does.
        for (closes, delay) in [(true, "0ms"), (false, "0ms"), (false, "20ms")] {
            tc(&self.there, &format!("delay {delay}"));
            let listener = self.there.run(|| listen(THERE.parse().expect("an address"), 0));
            let to = listener.local_addr().expect("an address");
            let client = self.here.run(|| connect(to).expect("a listener"));
            let (server, _) = listener.accept().expect("a client");
            drop(client);
            let is_its = |line: &Line| {
                line["remote_port"].as_u64() == Some(u64::from(to.port())) && text(line, "role") == "client"
            };
            self.line("its FIN_WAIT2", |line| is_its(line) && text(line, "new_state") == "FIN_WAIT2");
            if closes {
                drop(server);
                let line =
                    self.line("TIME_WAIT", |line| is_its(line) && text(line, "new_state") == "TIME_WAIT");
                assert_eq!(text(&line, "old_state"), "FIN_WAIT2", "{line}");
                assert_eq!(number(&line, "state_error_us"), Some(0.0), "{line}");
            } else {
                let line = self.line("its end", |line| is_its(line) && !line["reason"].is_null());
                assert_eq!(text(&line, "old_state"), "FIN_WAIT2", "{line}");
                assert_eq!(text(&line, "reason"), "timeout-close", "{line}");
                assert_eq!(number(&line, "state_error_us"), Some(0.0), "{line}");
                let lasted = number(&line, "state_us").expect("known");
                // The kernel's timers are late by up to an eighth.
                assert!(
                    lasted >= us(FIN_TIMEOUT) * 0.99 && lasted < us(FIN_TIMEOUT) * 1.5,
                    "{lasted} us: {line}"
                );
            }
            no_tc(&self.there);
        }
    }

    /// There are too many timewait sockets, so the kernel makes none: the connection is never in TIME_WAIT.
    fn no_timewait_socket(&self) {
        if !self.has("inet_twsk_alloc") {
            return;
        }
        let setting = "/proc/sys/net/ipv4/tcp_max_tw_buckets";
        let (default, end) = self.there.run(|| {
            let default = fs::read_to_string(setting).expect("a setting");
            fs::write(setting, "0").expect("a setting");
            let listener = listen("127.77.62.2".parse().expect("an address"), 0);
            let to = listener.local_addr().expect("an address");
            let client = connect(to).expect("a listener");
            let (mut server, _) = listener.accept().expect("a client");
            // The client is no orphan yet when the server's FIN comes.
            client.shutdown(Shutdown::Write).expect("connected");
            wait_for_end(&mut server);
            drop(server);
            wait_for_end(&mut { client });
            (default, to.port())
        });
        let is_its = |line: &Line| {
            line["remote_port"].as_u64() == Some(u64::from(end)) && text(line, "role") == "client"
        };
        let line = self.line("its end", |line| is_its(line) && !line["reason"].is_null());
        let told = ["old_state", "new_state", "reason"].map(|key| text(&line, key));
        assert_eq!(told, ["FIN_WAIT2", "CLOSE", "fin-local"], "{line}");
        self.there.run(|| fs::write(setting, default.trim()).expect("a setting"));
    }

    /// An old segment of the server comes again when the server has forgotten the connection: the client's answer
    /// is answered with an RST, which ends TIME_WAIT (RFC 1337).
    fn reset_in_time_wait(&self) {
        if !self.has(TIMEWAIT) {
            return;
        }
        let (server_end, client_end) = self.there.run(|| {
            let listener = listen("127.77.62.3".parse().expect("an address"), 0);
            let client = connect(listener.local_addr().expect("an address")).expect("a listener");
            let client_end = client.local_addr().expect("an address");
            let (mut server, _) = listener.accept().expect("a client");
            let server_end = server.local_addr().expect("an address");
            drop(client);
            wait_for_end(&mut server);
            (server_end, client_end)
        });
        let (SocketAddr::V4(server), SocketAddr::V4(client)) = (server_end, client_end) else {
            panic!("IPv6: {server_end}, {client_end}");
        };
        let is_its = |line: &Line| line["local_port"].as_u64() == Some(u64::from(client.port()));
        self.line("TIME_WAIT", |line| is_its(line) && text(line, "new_state") == "TIME_WAIT");
        self.there.run(|| forged::old_ack(server, client));
        let line = self.line("its end", |line| is_its(line) && text(line, "old_state") == "TIME_WAIT");
        assert_eq!(number(&line, "state_error_us"), Some(0.0), "{line}");
        assert!(number(&line, "state_us").expect("known") < us(MINUTE), "{line}");
    }

    /// A handshake takes as long as its segments do, and lost data is retransmitted.
    fn delay_and_loss(&mut self) {
        let listener = self.there.run(|| listen(THERE.parse().expect("an address"), 0));
        tc(&self.there, &format!("delay {}ms", DELAY.as_millis()));
        let (client, mut server) = (0..TRIES)
            .find_map(|_| self.measured_handshake(&listener))
            .expect("a handshake that the kernel has measured");
        let port = u64::from(server.local_addr().expect("an address").port());
        let other = u64::from(client.local_addr().expect("an address").port());
        tc(&self.there, "loss 100%");
        std::io::Write::write_all(&mut server, b"lost").expect("room");
        self.line("a retransmission", |line| {
            line["local_port"].as_u64() == Some(port)
                && line["remote_port"].as_u64() == Some(other)
                && text(line, "event") == "retransmit"
        });
        no_tc(&self.there);
        drop(client);
        drop(server);
    }

    /// The ends of a connection, after a check of how long its handshake took. `None` if the server's is not
    /// known: it is null if the kernel sent a second SYN-ACK, as it does where the guest is slow, and if it is
    /// a whole number of milliseconds.
    fn measured_handshake(&self, listener: &TcpListener) -> Option<(TcpStream, TcpStream)> {
        let to = listener.local_addr().expect("an address");
        let client = self.here.run(|| connect(to).expect("a listener"));
        let (server, _) = listener.accept().expect("a client");
        let port = u64::from(client.local_addr().expect("an address").port());
        let took = [("client", "local_port"), ("server", "remote_port")].map(|(end, key)| {
            let line = self.line("a handshake", |line| {
                line[key].as_u64() == Some(port)
                    && text(line, "role") == end
                    && text(line, "new_state") == "ESTABLISHED"
            });
            let took = number(&line, "handshake_us");
            assert!(
                took.is_none_or(|took| took >= us(DELAY) && took < us(DELAY) * 20.0),
                "{took:?} us: {line}"
            );
            took
        });
        assert!(took[0].is_some(), "a client's is its time in SYN_SENT");
        took[1].is_some().then_some((client, server))
    }
}

/// Delays or drops what the namespace sends.
fn tc(place: &Place, how: &str) {
    run(place.command("tc").args("qdisc replace dev veth0 root netem".split(' ')).args(how.split(' ')));
}

fn no_tc(place: &Place) {
    run(place.command("tc").args("qdisc del dev veth0 root".split(' ')));
}
