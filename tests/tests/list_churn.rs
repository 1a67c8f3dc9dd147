//! `tracer list` while sockets come and go: no socket twice, and what differs from `ss` right before and
//! right after is what happened meanwhile, by the events of a tracer beside it.

use std::{
    collections::{BTreeSet, HashMap},
    net::{IpAddr, Ipv4Addr, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use jiff::Timestamp;
use socket2::SockRef;
use tests::{
    listed::{BySocket, Fields, bytes, fields, json, told, told_by_ss},
    patience::{Stops, until},
    place::Place,
    sockets::{pair, raise_descriptor_limit},
    story::{Line, by_socket, lines, number, text},
    tracer,
    traffic::{churn, listen, storm},
};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Connections that stay open all the time.
const STEADY: usize = 1_500;
/// Connections that are opened besides, so that not all descriptors are needed.
const MOST_OPENED: usize = 6_000;
/// How often the kernel has to tell `ss` a socket twice.
const DOUBLED: usize = 3;

/// Connections and both of their ends.
fn connections(count: usize) -> Vec<(TcpStream, TcpStream)> {
    let listener = listen(V4, 0);
    (0..count).map(|_| pair(&listener, V4)).collect()
}

/// The kernel goes through a table of hashes by counting, and lets go of it again and again. What is put in
/// front of a chain meanwhile moves the others on, and the last one that was told is told again. Here the
/// whole table is one chain.
#[test]
fn a_socket_that_the_kernel_tells_twice_is_listed_once() {
    raise_descriptor_limit();
    let parent = Place::new();
    // For the namespaces that are made in this one.
    parent.set("net.ipv4.tcp_child_ehash_entries=1");
    let place = parent.run(Place::new);
    let _steady = place.run(|| connections(STEADY));
    assert_eq!(cookies(&json(&place, "-tn")).len(), 2 * STEADY);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stops = Stops(&stop);
        scope.spawn(|| {
            place.run(|| {
                let listener = listen(V4, 0);
                let mut opened = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    opened.push(pair(&listener, V4));
                    // Resets leave nothing behind.
                    if opened.len() == MOST_OPENED {
                        for (client, _) in opened.drain(..) {
                            reset_on_close(&client);
                        }
                    }
                }
            });
        });
        let mut doubled = 0;
        until("sockets that ss has twice", || {
            let listed = json(&place, "-tn");
            let listed_once = cookies(&listed);
            assert_eq!(listed_once.len(), listed.len(), "sockets are listed twice");
            doubled += usize::from(has_twice(&bytes(&place, "ss", "-tneOH")));
            (doubled >= DOUBLED).then_some(())
        });
    });
}

fn reset_on_close(client: &TcpStream) {
    SockRef::from(client).set_linger(Some(Duration::ZERO)).unwrap();
}

fn cookies(lines: &[Line]) -> BTreeSet<u64> {
    lines.iter().map(|line| line["cookie"].as_u64().unwrap()).collect()
}

fn has_twice(ss: &[u8]) -> bool {
    let text = String::from_utf8_lossy(ss);
    let cookies: Vec<_> = text.split_whitespace().filter_map(|word| word.strip_prefix("sk:")).collect();
    cookies.iter().collect::<BTreeSet<_>>().len() < cookies.len()
}

/// How far the time of an event may be from when the socket enters or leaves the kernel's table: a task may
/// lose its processor in between.
const SLACK: Duration = Duration::from_millis(20);
/// Rounds, and connections of each kind that come and go in each.
const ROUNDS: u64 = 4;
const CHURNED: usize = 1_500;
const STORMS: usize = 60;
/// Fewer differences would prove nothing.
const DIFFERENCES: usize = 100;
const COLUMNS: &str =
    "time,event,cookie,old_state,new_state,state_error_us,local_addr,local_port,remote_addr,remote_port";

/// A list between two of `ss`. Each time is taken right before or after the program ran.
struct Between {
    before: BySocket,
    from: Timestamp,
    list: BySocket,
    to: Timestamp,
    after: BySocket,
}

impl Between {
    fn of(place: &Place) -> Self {
        // With `-u` the lines of `ss` begin with the protocol.
        let ss = || told_by_ss(&bytes(place, "ss", "-tuaneOH"));
        let before = ss();
        let from = Timestamp::now();
        let lines = json(place, "-tan");
        let to = Timestamp::now();
        let list = told(&lines);
        assert_eq!(list.len(), lines.len(), "sockets are listed twice");
        Self { before, from: from - SLACK, list, to: to + SLACK, after: ss() }
    }

    /// What the three lists say of a socket.
    fn said(&self, cookie: &str) -> [Option<&Fields>; 3] {
        [&self.before, &self.list, &self.after].map(|list| list.get(cookie))
    }

    /// Sockets of which the three lists do not say the same state.
    fn differing(&self) -> BTreeSet<&String> {
        let all = self.before.keys().chain(self.list.keys()).chain(self.after.keys());
        let is_same = |cookie: &&String| {
            let [before, list, after] = self.said(cookie).map(state);
            before == list && list == after
        };
        all.filter(|cookie| !is_same(cookie)).collect()
    }

    /// The states that events tell of this socket while it was listed.
    fn told<'a>(&self, cookie: &str, events: &'a Events) -> BTreeSet<&'a str> {
        if let Some(steps) = events.by_cookie.get(cookie) {
            return states(steps, self.from, self.to);
        }
        // Who asks for a half-open connection's cookie while it becomes established gets one of its own.
        let said: Vec<_> = self.said(cookie).into_iter().flatten().collect();
        assert!(said.iter().all(|fields| state(Some(fields)) == "SYN_RECV"), "no events: {said:?}");
        let same_ends = events.by_ends.get(&ends(said[0])).into_iter().flatten();
        let mut told: BTreeSet<_> = same_ends.flat_map(|steps| states(steps, self.from, self.to)).collect();
        told.insert("CLOSE");
        told
    }
}

fn state(fields: Option<&Fields>) -> &str {
    fields.map_or("CLOSE", |fields| &fields["state"])
}

fn ends(fields: &Fields) -> String {
    let end = |end: &str| fields.get(end).cloned().unwrap_or_default();
    format!("{} {}", end("local"), end("remote"))
}

/// A transition of a socket.
#[derive(Clone, Debug)]
struct Step {
    /// When it happened at the earliest, and when it is told to have happened.
    earliest: Timestamp,
    time: Timestamp,
    old: String,
    new: String,
}

impl Step {
    fn of(line: &Line) -> Self {
        let [old, new] = ["old_state", "new_state"].map(|key| text(line, key).replace("NEW_SYN", "SYN"));
        // The kernel tells of a listener's child that it was one.
        let old = if (&*old, &*new) == ("LISTEN", "SYN_RECV") { "CLOSE".to_owned() } else { old };
        let time: Timestamp = text(line, "time").parse().unwrap();
        let error = Duration::from_secs_f64(number(line, "state_error_us").unwrap_or_default() / 1e6);
        Self { earliest: time - error, time, old, new }
    }
}

/// The transitions of each socket, in order.
#[derive(Default)]
struct Events {
    by_cookie: HashMap<String, Vec<Step>>,
    by_ends: HashMap<String, Vec<Vec<Step>>>,
}

impl Events {
    fn of(lines: &[Line]) -> Self {
        let mut events = Self::default();
        let transitions: Vec<_> =
            lines.iter().filter(|line| text(line, "event") == "transition").cloned().collect();
        for (cookie, lines) in by_socket(&transitions) {
            let steps: Vec<_> = lines.iter().map(|line| Step::of(line)).collect();
            let last = fields(lines[lines.len() - 1]);
            events.by_ends.entry(ends(&last)).or_default().push(steps.clone());
            events.by_cookie.insert(format!("{cookie:x}"), steps);
        }
        events
    }
}

/// The states that the socket had between these times; CLOSE if it was not there.
fn states(steps: &[Step], from: Timestamp, to: Timestamp) -> BTreeSet<&str> {
    let first_later = steps.partition_point(|step| step.time < from);
    let at_first = match first_later.checked_sub(1) {
        Some(last) => &steps[last].new,
        None => &steps[0].old,
    };
    let meanwhile = steps[first_later..].iter().take_while(|step| step.earliest <= to).map(|step| &step.new);
    meanwhile.chain([at_first]).map(String::as_str).collect()
}

/// Lists while connections of all kinds come and go.
fn lists(place: &Place) -> Vec<Between> {
    let mut lists = Vec::new();
    for seed in 0..ROUNDS {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let _stops = Stops(&done);
                thread::scope(|scope| {
                    scope.spawn(|| churn(place, CHURNED));
                    storm(&[place], STORMS, seed);
                });
            });
            while !done.load(Ordering::Relaxed) {
                lists.push(Between::of(place));
            }
        });
    }
    lists
}

#[test]
fn what_differs_from_ss_is_what_happened_meanwhile() {
    let place = Place::new();
    let _steady = place.run(|| connections(STEADY / 5));
    let tracer = tracer::start(&format!("-o json --columns {COLUMNS} --netns {}", place.name()));
    let lists = lists(&place);
    let ended = tracer.interrupt();
    assert_eq!((ended.code(), tracer::lost(&ended)), (0, 0), "{}", ended.err);
    let events = Events::of(&lines(&ended.out));
    let mut differing = 0;
    for between in &lists {
        for cookie in between.differing() {
            let [before, listed, after] = between.said(cookie).map(state);
            let told = between.told(cookie, &events);
            let steps = events.by_cookie.get(cookie);
            assert!(
                told.contains(listed),
                "{cookie}: {listed} between {before} and {after}, but {told:?}: {steps:#?}"
            );
            differing += 1;
        }
    }
    println!("{differing} differences in {} lists", lists.len());
    assert!(differing > DIFFERENCES, "{differing} in {} lists", lists.len());
}
