//! A tracer that reports resets and retransmissions. Their number is compared with the kernel's counters.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use crate::{
    patience::until_or,
    place::Place,
    program::{Program, run},
    remote::{HERE, Remote},
    story::{self, Line, text},
    tracer,
    traffic::{connect, listen},
};

/// The address at which servers listen.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 77, 21, 1);

/// A network namespace, and a tracer that sees only this namespace.
pub struct Scene {
    /// The namespace.
    pub place: Place,
    /// The tracer.
    pub tracer: Program,
    before: Counted,
}

/// The kernel's counters of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counted {
    resets: u64,
    retransmits: u64,
}

impl Scene {
    /// Makes a namespace and starts a tracer with these options.
    pub fn new(options: &str) -> Self {
        Self::at(Place::new(), options)
    }

    /// Starts a tracer with these options in an existing namespace.
    pub fn at(place: Place, options: &str) -> Self {
        let tracer = tracer::start(&format!("-o json {options} --netns {}", place.name()));
        let before = counted(&place);
        Self { place, tracer, before }
    }

    /// Also makes a listener, and a remote host that sends to its port.
    pub fn listening(options: &str) -> (Self, Remote, TcpListener) {
        let place = Place::new();
        let mut far = Remote::new(&place, 7000);
        let listener = place.run(|| listen(HERE.into(), 0));
        far.peer = listener.local_addr().unwrap().port();
        (Self::at(place, options), far, listener)
    }

    /// Makes a connection. Returns the listener, the client and the server.
    pub fn connected(&self) -> (TcpListener, TcpStream, TcpStream) {
        self.place.run(|| {
            let listener = listen(ADDRESS.into(), 0);
            let client = connect(listener.local_addr().unwrap()).unwrap();
            let (server, _) = listener.accept().unwrap();
            (listener, client, server)
        })
    }

    /// From now on drops all TCP segments that arrive.
    pub fn cut(&self) {
        let rules =
            "table ip cut { chain input { type filter hook input priority 0; meta l4proto tcp drop; }; }";
        run(self.place.command("nft").arg(rules));
    }

    /// Waits until `count` lines have this event, and returns all lines so far.
    pub fn wait_for(&self, event: &str, count: usize) -> Vec<Line> {
        let probe = || {
            let lines = self.lines();
            (of(&lines, event).len() >= count).then_some(lines)
        };
        until_or(&format!("{count} of {event}"), probe, || self.tracer.out() + &self.tracer.err())
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<Line> {
        let out = self.tracer.out();
        story::lines(story::whole(&out))
    }

    /// Ends the tracer and returns all its lines. Panics unless it reported as many resets and
    /// retransmissions as the kernel has counted.
    pub fn finish(self) -> Vec<Line> {
        let after = counted(&self.place);
        let ended = self.tracer.interrupt();
        assert_eq!(ended.code(), 0, "{}", ended.err);
        assert_eq!(tracer::lost(&ended), 0, "{}", ended.err);
        let lines = story::lines(&ended.out);
        let sent = lines.iter().filter(|line| what(line) == "reset sent").count();
        let again = of(&lines, "retransmit").len() + of(&lines, "retransmit-synack").len();
        let told = Counted { resets: sent as u64, retransmits: again as u64 };
        let counted = Counted {
            resets: after.resets - self.before.resets,
            retransmits: after.retransmits - self.before.retransmits,
        };
        assert_eq!(told, counted, "{lines:#?}");
        let transitions = of(&lines, "transition").len() as u64;
        assert_eq!(tracer::passed(&ended), transitions, "{}{}", ended.out, ended.err);
        lines
    }
}

fn counted(place: &Place) -> Counted {
    Counted { resets: place.tcp_counter("OutRsts"), retransmits: place.tcp_counter("RetransSegs") }
}

/// The lines with this event.
pub fn of<'a>(lines: &'a [Line], event: &str) -> Vec<&'a Line> {
    lines.iter().filter(|line| text(line, "event") == event).collect()
}

/// What a line reports: `reset sent`, `reset received`, or the name of another event.
pub fn what(line: &Line) -> String {
    match text(line, "event") {
        "reset" => format!("reset {}", text(line, "reset")),
        event => event.to_owned(),
    }
}

/// The local address and port.
pub fn local(line: &Line) -> SocketAddr {
    end(line, "local")
}

/// The remote address and port.
pub fn remote(line: &Line) -> SocketAddr {
    end(line, "remote")
}

fn end(line: &Line, side: &str) -> SocketAddr {
    let address: IpAddr = text(line, &format!("{side}_addr")).parse().unwrap();
    SocketAddr::new(address, u16::try_from(line[format!("{side}_port")].as_u64().unwrap()).unwrap())
}

/// The line that reports `kind` at this local address and port. Panics unless there is exactly one.
pub fn only<'a>(lines: &'a [Line], kind: &str, at: SocketAddr) -> &'a Line {
    let found: Vec<_> = lines.iter().filter(|line| what(line) == kind && local(line) == at).collect();
    assert!(found.len() == 1, "{} of {kind} at {at}: {lines:#?}", found.len());
    found[0]
}

/// The line that ends the connection with this local address and port.
pub fn end_of(lines: &[Line], at: SocketAddr) -> &Line {
    let is_end = |line: &&Line| !line["reason"].is_null() && local(line) == at;
    lines.iter().find(is_end).unwrap_or_else(|| panic!("no end of {at}: {lines:#?}"))
}

/// Whether the line names the test's own process as the owner.
pub fn is_own(line: &Line) -> bool {
    line["pid"].as_u64() == Some(u64::from(std::process::id()))
}
