//! Whole captures without a kernel: facts that are written down, through everything behind the source, to the
//! bytes on standard output and the receipt. `UPDATE_CAPTURES=1 cargo test` takes what they are now.

// A panic is how a test says that it failed.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    net::Ipv4Addr,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use clap::Parser as _;
use jiff::tz::TimeZone;
use serde_json::Value;
use tracer::{
    cli::{Cli, Command},
    config::{self, RunConfig},
    facts::{
        Batch, Fact,
        counts::{CountersByNetns, KernelCounts, Reading, TcpCounts},
        holders::Holders,
        kernel::KernelInfo,
        losses::{Losses, SourceTotals},
        snapshot::{Snapshot, TimewaitSample},
    },
    output::stdout::Output,
    run::{
        capture::{Outcome, capture},
        error::Error,
        receipt::Receipt,
        stop::{Signals, Stop},
    },
    source::script::Script,
    tcp::netns::NetnsId,
    view::Ending,
};
use tracer_common::{
    Event,
    event::{AF_INET, Holder, REST_UNKNOWN, TimewaitSocket, flag, kind},
    member::Member,
    state::{
        CLOSE, CLOSE_WAIT, ESTABLISHED, FIN_WAIT1, FIN_WAIT2, LAST_ACK, LISTEN, SYN_RECV, SYN_SENT, TIME_WAIT,
    },
};
use zerocopy::FromZeros as _;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1000 * MS;
/// When captures begin, on the kernel's clock; the wall clock is at 2026-01-01T00:00:00Z then.
const BEGIN: u64 = 500 * SECOND;
const WALL: i64 = 1_767_225_600_000_000_000;
const NETNS: u32 = 4_026_531_840;

const CLIENT: u64 = 11;
const SERVER: u64 = 12;
const REFUSED: u64 = 13;
const LISTENER: u64 = 10;

/// What happened to one socket, so long after the beginning.
#[derive(Clone, Copy)]
struct Step {
    at_ns: u64,
    cookie: u64,
    states: (u8, u8),
    flags: u16,
}

fn step(at_ns: u64, cookie: u64, old: u8, new: u8) -> Step {
    Step { at_ns, cookie, states: (old, new), flags: 0 }
}

fn own(at_ns: u64, cookie: u64, old: u8, new: u8) -> Step {
    Step { flags: flag::OWNED, ..step(at_ns, cookie, old, new) }
}

fn comm(name: &str) -> [u8; 16] {
    let mut comm = [0; 16];
    comm[..name.len()].copy_from_slice(name.as_bytes());
    comm
}

impl From<Step> for Event {
    fn from(step: Step) -> Self {
        let mut event = Self::new_zeroed();
        (event.time_ns, event.cookie) = (BEGIN + step.at_ns, step.cookie);
        (event.old_state, event.new_state) = step.states;
        (event.family, event.netns, event.flags) = (AF_INET, NETNS, step.flags);
        let address = |last| Ipv4Addr::new(10, 0, 0, last).to_ipv6_mapped().octets();
        let (client, server) = ((address(1), 40_000), (address(2), 443));
        let (local, remote) = match step.cookie {
            SERVER => (server, client),
            LISTENER => (server, (Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().octets(), 0)),
            REFUSED => ((address(1), 40_001), (address(2), 80)),
            _ => (client, server),
        };
        (event.local_addr, event.local_port) = local;
        (event.remote_addr, event.remote_port) = remote;
        let is_client = matches!(step.cookie, CLIENT | REFUSED);
        event.pid = if is_client { 700 } else { 800 };
        (event.tid, event.comm) = (event.pid, comm(if is_client { "curl" } else { "nginx" }));
        (event.uid, event.cgroup) = (1000, 42);
        event
    }
}

/// A client connects, both close in order, and a second connection is refused.
fn conversation() -> Vec<Event> {
    let mut events: Vec<Event> = [
        own(10 * MS, LISTENER, CLOSE, LISTEN),
        own(100 * MS, CLIENT, CLOSE, SYN_SENT),
        step(101 * MS, SERVER, LISTEN, SYN_RECV),
        step(101 * MS + 5, SERVER, SYN_RECV, ESTABLISHED),
        step(102 * MS, CLIENT, SYN_SENT, ESTABLISHED),
        own(900 * MS, CLIENT, ESTABLISHED, FIN_WAIT1),
        step(901 * MS, SERVER, ESTABLISHED, CLOSE_WAIT),
        step(902 * MS, CLIENT, FIN_WAIT1, FIN_WAIT2),
        own(3500 * MS, SERVER, CLOSE_WAIT, LAST_ACK),
        step(3501 * MS, CLIENT, FIN_WAIT2, CLOSE),
        step(3502 * MS, SERVER, LAST_ACK, CLOSE),
        own(3600 * MS, REFUSED, CLOSE, SYN_SENT),
        step(3600 * MS + 70_000, REFUSED, SYN_SENT, CLOSE),
    ]
    .map(Event::from)
    .into();
    for event in &mut events {
        if event.new_state == CLOSE {
            match event.cookie {
                REFUSED => event.error = 111,
                _ => event.flags |= flag::DONE,
            }
        }
        if (event.cookie, event.old_state) == (SERVER, ESTABLISHED) {
            event.recv_queue = 17;
        }
        event.srtt_us = 950;
        // A birth has received nothing.
        event.bytes_received = if event.old_state == LISTEN { 0 } else { 1234 };
    }
    events
}

fn counters(opened: u64, accepted: u64, failed: u64, at_ns: u64) -> CountersByNetns {
    let tcp = TcpCounts { opened, accepted, failed, reset: 0 };
    let counts = KernelCounts { tcp, ..KernelCounts::default() };
    let read = [(NETNS, Reading { counts, during_ns: at_ns..=at_ns, netns_cookie: 0 })].into();
    CountersByNetns { read, ..CountersByNetns::default() }
}

/// The conversation, in batches of which none ends when something is due.
fn script() -> Script {
    let kernel = KernelInfo { has_cookies: true, ..KernelInfo::default() };
    let mut script = Script::starting_at(BEGIN, WALL)
        .of(kernel)
        .cgroup(42, "/system.slice/web.service")
        .before_ready(Fact::CountersAtStart(counters(7, 5, 1, BEGIN)));
    for events in conversation().chunks(4) {
        script = script.events(events.iter().copied());
    }
    script.until(BEGIN + 5 * SECOND).fact(Fact::CountersAtEnd(counters(9, 6, 2, BEGIN + 5 * SECOND)))
}

fn config(words: &str) -> RunConfig {
    let cli = Cli::try_parse_from(format!("tracer {words}").split_whitespace()).unwrap();
    match cli.command {
        Some(Command::Log(args)) => config::log(*args),
        Some(Command::Life(args)) => config::life(*args),
        Some(Command::Summary(args)) => config::summary(*args),
        Some(Command::Report(args)) => config::report(*args),
        Some(Command::Top(args)) => config::top_in(*args, TimeZone::UTC),
        _ => panic!("no capture: {words}"),
    }
    .unwrap()
}

/// What `tracer WORDS` writes of these facts, and what it amounted to.
fn played(script: Script, words: &str) -> (String, Outcome) {
    let (out, outcome) = tried(script, words);
    (out, outcome.unwrap())
}

fn tried(script: Script, words: &str) -> (String, Result<Outcome, Error>) {
    let config = config(words).capture;
    let file = tempfile::NamedTempFile::new().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = runtime.block_on(async {
        let output = Output::to(file.reopen().unwrap()).unwrap();
        // There is no terminal: a screen is what is written to it.
        capture(script, config, output, None, &mut Stop::new(Signals::new().unwrap())).await
    });
    (std::fs::read_to_string(file.path()).unwrap(), outcome)
}

/// Holds the output, and the receipt below it, against what is kept.
fn compare(name: &str, script: Script, words: &str) -> Outcome {
    let (out, outcome) = played(script, words);
    assert!(outcome.result.is_ok(), "{:?}", outcome.result);
    // What moves a cursor begins a line of its own, so that people can read the file.
    let out = out.replace('\x1b', "\n\u{241b}");
    let receipt = outcome.receipt.to_string().replace('\n', "\ntracer: ");
    let shown = format!("$ tracer {words}\n{out}--\ntracer: {receipt}\n");
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/captures").join(name);
    if std::env::var_os("UPDATE_CAPTURES").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &shown).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(shown == expected, "{name} is now\n{shown}\nbut was\n{expected}");
    outcome
}

#[test]
fn log_as_text() {
    compare("log.txt", script(), "log --time utc");
}

#[test]
fn log_as_json() {
    compare("log.json", script(), "log -o json");
}

#[test]
fn log_as_csv() {
    compare("log.csv", script(), "log -o csv --columns time,local,remote,became,state_us,reason");
}

#[test]
fn log_raw() {
    compare("raw.txt", script(), "log --raw --time utc");
}

#[test]
fn life_as_text() {
    compare("life.txt", script(), "life --time utc");
}

#[test]
fn life_as_json() {
    compare("life.json", script(), "life -o json");
}

#[test]
fn summary_as_text() {
    compare("summary.txt", script(), "summary --interval 2s --time utc");
}

#[test]
fn summary_as_json() {
    compare("summary.json", script(), "summary --interval 2s -o json --by cgroup");
}

/// A page counts what `summary` counts, and its slots have it all.
#[test]
fn a_page_says_what_the_summary_says() {
    let (page, outcome) = played(script(), "report host.rec --finding connect-failures=1");
    assert!(outcome.result.is_ok(), "{:?}", outcome.result);
    let (_, data) = page.split_once("id=\"data\">").unwrap();
    let data: Value = serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap();
    let (reports, _) = played(script(), "summary --interval 2s -o json --by service,peer,process,container");
    let total: Value = serde_json::from_str(reports.lines().last().unwrap()).unwrap();
    for key in ["kind", "from", "to", "lost", "transitions", "states", "reasons", "top"] {
        assert_eq!(data["total"][key], total[key], "{key}");
    }
    let slots = data["slots"].as_array().unwrap();
    let sum = |key: &str, size: usize| -> u64 {
        let flat = slots.iter().flat_map(|slot| slot[key].as_array().unwrap().chunks(size));
        flat.map(|group| group[group.len() - 1].as_u64().unwrap()).sum()
    };
    assert_eq!((sum("t", 3), sum("e", 3)), (13, 3), "{slots:?}");
    let talks = data["talks"]["rows"].as_array().unwrap();
    let failed: Vec<_> = talks.iter().filter(|talk| talk["failed"] == 1).collect();
    assert_eq!((failed.len(), &failed[0]["comm"], &failed[0]["port"]), (1, &"curl".into(), &80.into()));
    let life = &data["longest"]["rows"][0]["life"];
    assert_eq!(life.as_array().map(Vec::len), Some(4), "{life}");
    assert!(page.contains("<h3><bdi>Connects to 10.0.0.2:80 fail</bdi></h3>"), "{page}");
    assert!(page.contains("tracer life --remote-addr 10.0.0.2 --remote-port 80 --from host.rec</code>"));
    let receipt = outcome.receipt.to_string();
    assert!(receipt.lines().all(|line| page.contains(&format!("<li>{line}</li>"))), "{receipt}");
}

/// However often reports are due, those of a batch stay within a write; what is missed is in the next one.
#[test]
fn reports_that_nobody_could_write_are_skipped() {
    let (out, outcome) = played(script(), "summary --interval 1ns -o json --by cgroup");
    assert!(outcome.result.is_ok());
    assert!(out.len() < 10 << 20, "{} bytes of five batches", out.len());
    let reports = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>();
    let (total, intervals) = reports.split_last().unwrap();
    assert_eq!(total["kind"], "total");
    assert!(intervals.windows(2).all(|pair| pair[0]["to"] == pair[1]["from"]));
}

/// Events between attaching and the beginning are in the first report, which begins with them.
#[test]
fn a_report_begins_with_its_first_event() {
    let early = Event { time_ns: BEGIN - 400 * MS, ..conversation()[1] };
    let script = Script::starting_at(BEGIN, WALL).events([early]).until(BEGIN + 5 * SECOND);
    let (out, _) = played(script, "summary --interval 2s -o json");
    let froms: Vec<_> =
        out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["from"].clone()).collect();
    assert_eq!(froms[0], "2025-12-31T23:59:59.600000000Z", "{out}");
    assert_eq!(froms.last(), froms.first(), "the total, too");
}

/// Drawings of the screen, with what a live socket counts in between.
#[test]
fn top_as_screens() {
    let mut script = Script::starting_at(BEGIN, WALL);
    let events = conversation();
    let (before, after) = events.split_at(8);
    let now = Event { old_state: CLOSE_WAIT, recv_queue: 4321, time_ns: BEGIN + 1500 * MS, ..events[6] };
    script = script.events(before.iter().copied()).until(BEGIN + 1500 * MS);
    script = script.fact(Fact::Refresh { sockets: vec![now], is_part: false }).events(after.iter().copied());
    compare("top.txt", script.until(BEGIN + 4 * SECOND), "top --refresh 1s --color never");
}

/// A connection is stuck when its time is over, not when a batch ends; the line has its queue.
#[test]
fn stuck_connections_are_told_in_their_time() {
    let words = "log -o json --only-stuck --stuck CLOSE_WAIT=1s";
    compare("stuck.json", script(), words);
    let (out, outcome) = played(script(), &format!("{words} --exit-on-stuck"));
    assert_eq!(outcome.ending, Some(Ending::Stuck));
    assert_eq!(out.lines().count(), 1, "{out}");
}

/// A group is told when it is there, and each time it has twice as many connections.
#[test]
fn a_group_that_grows_is_told_again() {
    let leaks = (0..5).map(|index| step((500 + 600 * index) * MS, 100 + index, ESTABLISHED, CLOSE_WAIT));
    let script = Script::starting_at(BEGIN, WALL).events(leaks.map(Event::from)).until(BEGIN + 6 * SECOND);
    let words = "log -o csv --only-stuck --group --stuck CLOSE_WAIT=1s --columns state,count,oldest_us,event";
    let (out, outcome) = played(script, words);
    let lines: Vec<_> = out.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>()).collect();
    let counts: Vec<_> = lines.iter().map(|line| line[1]).collect();
    assert_eq!(counts, ["1", "2", "4"], "{out}");
    assert!(lines.iter().all(|line| (line[0], line[3]) == ("CLOSE_WAIT", "stuck")), "{out}");
    assert_eq!((outcome.receipt.shown, outcome.receipt.stuck), (3, 3));
}

/// The line of a stuck connection waits for the answer who holds it, but not for ever, nor beyond the end.
#[test]
fn a_stuck_line_waits_for_its_holder() {
    let words = "log -o json --only-stuck --stuck CLOSE_WAIT=1s --columns pid,owner,holders,stuck_us";
    let kernel = KernelInfo { has_holders: true, has_cookies: true, ..KernelInfo::default() };
    let leak = |until_ns: u64| {
        let events = conversation().into_iter().filter(|event| event.time_ns < BEGIN + 2000 * MS);
        Script::starting_at(BEGIN, WALL).of(kernel.clone()).events(events).until(until_ns)
    };
    let holder = Holder { cookie: SERVER, pid: 900, comm: comm("worker"), ..Holder::default() };
    // The server's end is in CLOSE_WAIT from 901 ms on.
    let holders = Holders::new((BEGIN + 1950 * MS, BEGIN + 1951 * MS), vec![holder], true);
    let (out, _) =
        played(leak(BEGIN + 1920 * MS).fact(Fact::Holders(holders)).until(BEGIN + 2300 * MS), words);
    assert!(out.contains("\"pid\":900,\"owner\":\"holder\",\"holders\":1"), "{out}");
    for until_ns in [BEGIN + 2300 * MS, BEGIN + 9000 * MS] {
        let (out, outcome) = played(leak(until_ns), words);
        assert_eq!((out.lines().count(), outcome.receipt.shown), (1, 1), "{out}");
        assert!(out.contains("\"pid\":800,\"owner\":\"listener\",\"holders\":null"), "{out}");
    }
}

#[test]
fn a_count_ends_it_there_and_the_rest_is_counted() {
    let (out, outcome) = played(script(), "log -o json --count 3");
    assert_eq!((out.lines().count(), outcome.receipt.shown), (3, 3), "{out}");
    assert_eq!((outcome.receipt.seen, outcome.receipt.beyond), (4, 1), "the rest of the batch");
    let kernel = outcome.receipt.kernel.unwrap();
    assert!(kernel.counts.is_some() && kernel.agrees.is_none(), "counters of the end, and no comparison");
    // The kernel reports events until the program is detached.
    let (out, outcome) = played(script().stopping_in(SECOND), "log -o json --count 3");
    assert_eq!((out.lines().count(), outcome.receipt.seen, outcome.receipt.beyond), (3, 8, 5));
}

#[test]
fn filters_hide_no_beginning() {
    let (out, outcome) = played(script(), "log -o json --comm nginx --remote-port 40000");
    assert_eq!(out.lines().count(), 5, "{out}");
    assert_eq!(outcome.receipt.filtered, Some(8));
    assert!(outcome.receipt.kernel.unwrap().agrees.is_none());
}

/// A connection that is stuck ends the capture: its line is the last, and what happens meanwhile is counted.
#[test]
fn a_view_that_ends_it_shows_nothing_after() {
    let words = "log -o json --columns event --stuck CLOSE_WAIT=1s --exit-on-stuck";
    let (out, outcome) = played(script().stopping_in(2 * SECOND), words);
    assert_eq!(outcome.ending, Some(Ending::Stuck));
    assert!(out.lines().last().unwrap().contains("stuck"), "{out}");
    let Receipt { seen, shown, stuck, beyond, .. } = outcome.receipt;
    assert_eq!((shown, stuck, seen), (out.lines().count() as u64, 1, shown - 1 + beyond), "{out}");
    assert!(
        beyond > 0 && outcome.receipt.kernel.unwrap().counts.is_some(),
        "the counters of the end have been read"
    );
}

/// What happens at the end still belongs to the capture, and nothing after it.
#[test]
fn a_duration_ends_it_in_the_time_of_the_events() {
    let (out, outcome) = played(script(), "log -o json --columns cookie,new_state --duration 3501ms");
    assert_eq!(out.lines().last(), Some(r#"{"cookie":11,"new_state":"TIME_WAIT"}"#), "{out}");
    assert_eq!((outcome.receipt.seen, outcome.receipt.shown), (10, 10));
    let (out, _) = played(script(), "summary -o json --interval 2s --duration 3s");
    let whole = out.lines().last().unwrap();
    assert!(whole.contains("2026-01-01T00:00:03.000000000Z"), "{whole}");
}

/// Cgroups are those of the source, not of the host that runs this.
#[test]
fn cgroups_are_looked_up_in_the_source() {
    let mut events = conversation();
    events.iter_mut().filter(|event| event.cookie == SERVER).for_each(|event| event.cgroup = 43);
    let script = Script::starting_at(BEGIN, WALL)
        .cgroup(42, "/elsewhere.slice/client")
        .cgroup(43, "/elsewhere.slice/server/worker")
        .events(events);
    let (out, _) = played(script.clone(), "log -o json --columns cookie --cgroup /elsewhere.slice/server");
    assert_eq!(out, "{\"cookie\":12}\n".repeat(5));
    let (all, _) = played(script.clone(), "log -o json --cgroup /elsewhere.slice");
    assert_eq!(all.lines().count(), 13);
    let (out, outcome) = tried(script, "log -o json --cgroup /sys/fs/cgroup");
    assert!(out.is_empty() && outcome.unwrap_err().is_usage(), "{out}");
}

/// Across a loss no duration is known, and who is not in the snapshot after it has ended unseen.
#[test]
fn losses_are_told_and_nothing_is_invented_across_them() {
    let losses = Losses { no_room: Some(3), ..Losses::NONE };
    let mut events = conversation();
    let rest = events.split_off(8);
    let snapshot = Snapshot {
        during_ns: (BEGIN + 2 * SECOND, BEGIN + 2 * SECOND),
        netns: [NETNS].into(),
        sockets: vec![Event { old_state: CLOSE_WAIT, time_ns: BEGIN + 2 * SECOND, ..events[6] }],
        ..Snapshot::default()
    };
    let script = Script::starting_at(BEGIN, WALL)
        .events(events)
        .fact(Fact::Losses(losses, BEGIN + 2 * SECOND))
        .until(BEGIN + 2 * SECOND)
        .fact(Fact::Snapshot(snapshot))
        .events(rest)
        .ending_with(SourceTotals { losses, filtered: Some(0), ..SourceTotals::default() });
    let outcome = compare("losses.txt", script, "log --time utc");
    assert_eq!(outcome.receipt.connections.unwrap().ended_unseen, 2, "the client and the listener");
    assert!(!outcome.receipt.is_complete());
}

/// What is missing although no loss is known makes a capture incomplete, too.
/// Of a namespace whose counters were not read in time nothing is known. That its events are more than none is no
/// disagreement.
#[test]
fn what_there_was_no_time_to_read_is_not_compared() {
    let unread = CountersByNetns { unread: [NETNS].into(), ..CountersByNetns::default() };
    let start =
        || Script::starting_at(BEGIN, WALL).of(KernelInfo { has_cookies: true, ..KernelInfo::default() });
    let read = || counters(7, 5, 1, BEGIN);
    for (at_start, at_end) in [(unread.clone(), read()), (read(), unread)] {
        let script = start().before_ready(Fact::CountersAtStart(at_start)).events(conversation());
        let script = script.until(BEGIN + 5 * SECOND).fact(Fact::CountersAtEnd(at_end));
        let kernel = played(script, "log").1.receipt.kernel.unwrap();
        assert_eq!((kernel.agrees, &kernel.notes[0][..]), (None, "there was no time to read them"));
    }
}

/// A namespace that was not found at the start may be older: nobody was in it then.
#[test]
fn a_namespace_that_was_not_found_at_the_start_may_have_counted_before() {
    let start =
        Script::starting_at(BEGIN, WALL).of(KernelInfo { has_cookies: true, ..KernelInfo::default() });
    let script = start.before_ready(Fact::CountersAtStart(CountersByNetns::default())).events(conversation());
    let script =
        script.until(BEGIN + 5 * SECOND).fact(Fact::CountersAtEnd(counters(90, 60, 20, BEGIN + 5 * SECOND)));
    let kernel = played(script, "log").1.receipt.kernel.unwrap();
    assert_ne!(kernel.agrees, Some(false));
    assert!(
        kernel.notes[0].contains("1 network namespace not found at the start, not compared"),
        "{kernel:?}"
    );
}

#[test]
fn gaps_are_told() {
    let whole = conversation();
    let mut gapped = whole.clone();
    gapped.retain(|event| event.old_state != ESTABLISHED);
    for (events, gaps, remark) in [(whole, 0, ""), (gapped, 2, "; 2 do not follow on the one before")] {
        let (_, outcome) = played(Script::starting_at(BEGIN, WALL).events(events), "log -o json");
        assert_eq!((outcome.receipt.gaps, outcome.receipt.is_complete()), (gaps, gaps == 0));
        assert!(outcome.receipt.to_string().contains(remark), "{}", outcome.receipt);
    }
}

/// The end of TIME_WAIT is between the last sample that has it and the first that has not.
#[test]
fn samples_tell_when_time_wait_is_over() {
    let sample = |at_s: u64, sockets: Vec<TimewaitSocket>| TimewaitSample {
        from_ns: BEGIN + at_s * SECOND,
        sockets,
        netns: [NetnsId::new(NETNS, 0)].into(),
        ..TimewaitSample::default()
    };
    let there = TimewaitSocket { cookie: CLIENT, state: u32::from(TIME_WAIT), rest_jiffies: REST_UNKNOWN };
    let mut script = script();
    for (at_s, sockets) in [(62, vec![there]), (63, vec![there]), (64, vec![])] {
        script = script.until(BEGIN + at_s * SECOND).fact(Fact::TimewaitSample(sample(at_s, sockets)));
    }
    let words =
        "log --time utc --transition TIME_WAIT:CLOSE --columns time,cookie,lasted,became,state_error_us";
    compare("timewait.txt", script, words);
}

/// What the kernel does not tell is null.
#[test]
fn what_a_kernel_lacks_is_null() {
    let kernel = KernelInfo { absent: vec![Member::Srtt], has_cookies: true, ..KernelInfo::default() };
    let (out, _) = played(script().of(kernel), "log -o json --columns srtt_us,uid");
    assert!(out.lines().all(|line| line == r#"{"srtt_us":null,"uid":1000}"#), "{out}");
}

/// Sockets that were there before have owners, and no age.
#[test]
fn older_connections_have_an_owner_and_no_age() {
    let events = conversation();
    let established = Event { old_state: ESTABLISHED, new_state: ESTABLISHED, flags: 0, ..events[4] };
    let found = Event { pid: 0, tid: 0, comm: [0; 16], time_ns: BEGIN, ..established };
    let snapshot = Snapshot {
        during_ns: (BEGIN - 10, BEGIN),
        sockets: vec![found],
        holders: vec![Event { time_ns: BEGIN, ..established }],
        netns: [NETNS].into(),
        ..Snapshot::default()
    };
    let script = Script::starting_at(BEGIN, WALL).before_ready(Fact::Snapshot(snapshot)).events([events[5]]);
    let (out, _) = played(script, "log -o json --columns pid,owner,state_us,old_state");
    assert_eq!(out, "{\"pid\":700,\"owner\":\"own\",\"state_us\":null,\"old_state\":\"ESTABLISHED\"}\n");
}

#[test]
fn resets_are_lines_of_their_own() {
    let mut reset = conversation()[5];
    (reset.kind, reset.new_state) = (kind::RESET_RECEIVED, ESTABLISHED);
    let script =
        Script::starting_at(BEGIN, WALL).events(conversation()[1..3].iter().copied()).events([reset]);
    let (out, outcome) = played(script, "log -o json --resets --columns event,old_state,reset");
    let last = r#"{"event":"reset","old_state":"ESTABLISHED","reset":"received"}"#;
    assert_eq!(out.lines().last(), Some(last), "{out}");
    assert_eq!((outcome.receipt.seen, outcome.receipt.incidents), (2, 1));
}

/// Batches are an accident of reading: whatever they are, and however fast facts come, the bytes are the same.
#[test]
fn the_same_facts_make_the_same_bytes_at_any_speed_and_in_any_batches() {
    let views = [
        "log --time utc --stuck CLOSE_WAIT=300ms,FIN_WAIT2=1s",
        "log -o csv --stuck CLOSE_WAIT=600ms --columns time,event,cookie,became,state_us,state_error_us,recv_queue",
        "log -o json --stuck CLOSE_WAIT=300ms,FIN_WAIT2=1s,SYN_SENT=1s",
        "life -o json",
        "summary -o json --interval 300ms",
        "summary --interval 1s --time utc",
        "top --refresh 250ms --color always",
    ];
    // An end between two events, and one at an event.
    let ends = [
        ("log -o json --stuck CLOSE_WAIT=300ms --duration 2050ms", 2050),
        ("life -o json --duration 3501ms", 3501),
        ("summary -o json --interval 300ms --duration 1s", 1000),
        ("top --refresh 250ms --duration 901ms", 901),
    ];
    let views = views.map(|words| (words, 4000)).into_iter().chain(ends);
    thread::scope(|scope| {
        views.for_each(|(words, end_ms)| _ = scope.spawn(move || plays_the_same(words, end_ms)));
    });
}

/// The conversation with everything else that a source may tell: what live sockets count, a loss with the
/// snapshot after it, and samples between which TIME_WAIT ends.
fn every_fact() -> Vec<Fact> {
    let events = conversation();
    let batch = |events: &[Event], at_ns: u64| {
        Fact::Events(Batch { events: events.to_vec(), until_ns: BEGIN + at_ns })
    };
    let live =
        |at_ns: u64| Event { old_state: CLOSE_WAIT, recv_queue: 4321, time_ns: BEGIN + at_ns, ..events[6] };
    let snapshot = Snapshot {
        during_ns: (BEGIN + 2500 * MS, BEGIN + 2501 * MS),
        netns: [NETNS].into(),
        sockets: vec![live(2500 * MS), Event { old_state: FIN_WAIT2, ..events[7] }],
        ..Snapshot::default()
    };
    let sample = |at_ns: u64, sockets: Vec<TimewaitSocket>| {
        Fact::TimewaitSample(TimewaitSample {
            from_ns: BEGIN + at_ns,
            sockets,
            netns: [NetnsId::new(NETNS, 0)].into(),
            ..TimewaitSample::default()
        })
    };
    let there = TimewaitSocket { cookie: CLIENT, state: u32::from(TIME_WAIT), rest_jiffies: REST_UNKNOWN };
    let losses = Losses { no_room: Some(3), ..Losses::NONE };
    vec![
        batch(&events[..8], 1400 * MS),
        Fact::Refresh { sockets: vec![live(1400 * MS)], is_part: false },
        Fact::Losses(losses, BEGIN + 2400 * MS),
        batch(&[], 2400 * MS),
        batch(&[], 2501 * MS),
        Fact::Snapshot(snapshot),
        batch(&events[8..11], 3550 * MS),
        sample(3540 * MS, vec![there]),
        batch(&events[11..], 3700 * MS),
        sample(3690 * MS, vec![there]),
        batch(&[], 3850 * MS),
        sample(3840 * MS, vec![]),
        batch(&[], 4000 * MS),
    ]
}

/// `end_ms` is when the capture ends.
fn plays_the_same(words: &str, end_ms: u64) {
    let begin =
        || Script::starting_at(BEGIN, WALL).of(KernelInfo { has_cookies: true, ..KernelInfo::default() });
    let whole = every_fact().into_iter().fold(begin(), Script::fact);
    let single = every_fact().into_iter().fold(begin(), |script, fact| match fact {
        Fact::Events(batch) => {
            let single = batch.events.into_iter().fold(script, |script, event| script.events([event]));
            single.until(batch.until_ns)
        }
        fact => script.fact(fact),
    });
    let (at_once, outcome) = played(whole, words);
    assert!(!at_once.is_empty(), "{words}");
    if words.starts_with("log") && end_ms == 4000 {
        assert!(outcome.receipt.sampled > 0, "{words}: the samples were of use");
        assert!(outcome.receipt.connections.unwrap().ended_unseen > 0, "{words}: the loss was of use");
    }
    if words.contains("recv_queue") {
        assert!(at_once.contains("4321"), "{words}: the refresh was of use");
    }
    assert!(played(single.clone(), words).0 == at_once, "{words}: one event a batch");
    let begun = Instant::now();
    assert!(played(single.in_real_time(), words).0 == at_once, "{words}: in real time");
    assert!(begun.elapsed() >= Duration::from_millis(end_ms), "{words}: played as it happened");
}

/// Whoever sets the clock does not move what has happened.
#[test]
fn a_clock_that_is_set_counts_from_then_on() {
    let later = tracer::time::clock::Anchor {
        monotonic_ns: BEGIN + SECOND,
        wall_ns: WALL + (3600 * SECOND).cast_signed(),
    };
    let events = conversation();
    let script = Script::starting_at(BEGIN, WALL)
        .events([events[1]])
        .fact(Fact::Clock(later))
        .fact(Fact::Events(Batch { events: vec![events[8]], until_ns: events[8].time_ns }));
    let (out, _) = played(script, "log -o json --columns time");
    let times: Vec<&str> = out.lines().collect();
    assert!(
        times[0].contains("2026-01-01T00:00:00.1") && times[1].contains("2026-01-01T01:00:02.5"),
        "{out}"
    );
}
