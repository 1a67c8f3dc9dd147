//! What `top` shows, character by character: `UPDATE_SCREENS=1 cargo test` takes what it shows now.

// A panic is how a test says that it failed, and the sockets are made up.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use std::{num::NonZeroU32, path::PathBuf};

use jiff::tz::TimeZone;
use ratatui::{Terminal, backend::TestBackend};
use tracer::{
    aggregate::{
        By,
        findings::{Moment, Thresholds},
    },
    cli::words,
    facts::{context::Context, holders::Holders, names::FilterNames, snapshot::Snapshot},
    filter::Filter,
    select::{
        Select,
        spec::{FilterSpec, Filters},
        story::StoryFilter,
    },
    source::script::Script,
    tcp::limits::Limits,
    time::clock::Clock,
    track::Tracker,
    view::{
        input::Input,
        top::{
            draw::{DrawContext, draw},
            groups::Grouping,
            model::{Model, TypedFilter},
        },
    },
};
use tracer_common::{
    Event,
    event::{AF_INET, Holder, flag},
    state,
};
use zerocopy::FromZeros as _;

const SECOND: u64 = 1_000_000_000;
/// When the pictures are taken.
const NOW: u64 = 1000 * SECOND;

/// A screen, and what is behind it.
struct Stages {
    tracker: Tracker,
    select: Select,
    model: Model,
    context: Context,
    names: Script,
    lost: u64,
    message: Option<&'static str>,
}

fn parse(line: &str) -> Result<FilterSpec, String> {
    let args = words::parse(line)?;
    let story = StoryFilter {
        pids: args.story.pid.into_iter().map(|pid| pid.map(NonZeroU32::get)).collect(),
        states: args.story.state.into_iter().collect(),
        ..StoryFilter::default()
    };
    let names = FilterNames { cgroups: args.story.cgroup, ..FilterNames::default() };
    Ok(FilterSpec { filters: Filters { story, ..Filters::default() }, names })
}

impl Stages {
    fn new() -> Self {
        Self {
            tracker: Tracker::new(true),
            select: Select::new(&Filter::default(), StoryFilter::default()),
            model: Model::new(
                Limits::defaults(),
                Thresholds::default(),
                TypedFilter { parse, is_prefix_of_option: words::is_prefix_of_option, typed: String::new() },
            ),
            context: Context::new(Clock::fixed(NOW - 75 * SECOND, 1_800_000_000 * SECOND.cast_signed())),
            names: Script::default(),
            lost: 0,
            message: None,
        }
    }

    fn event(&mut self, event: &Event) {
        self.tracker.event(event, &mut |transition| self.model.note(transition, &self.context.names));
    }

    fn keys(&mut self, keys: &[Input]) {
        for key in keys {
            self.model.input(*key, &self.tracker, &self.select, &mut self.names);
            self.model.count_all(&self.tracker, &self.select, &self.context.names, NOW);
        }
    }

    fn draw(&mut self, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        // The first drawing tells how many rows there is room for.
        for _ in 0..2 {
            self.model.count_all(&self.tracker, &self.select, &self.context.names, NOW);
            let moment = Moment::of(&self.tracker, &self.context, self.select.netns(), Some(self.lost), NOW);
            self.model.survey(&self.tracker, &self.select, &moment);
            let mut around = DrawContext {
                context: &self.context,
                zone: &TimeZone::UTC,
                lost: Some(self.lost),
                message: self.message,
                names: &mut self.names,
                colour: false,
            };
            terminal.draw(|frame| draw(frame, &mut self.model, &mut around)).unwrap();
        }
        let buffer = terminal.backend().buffer();
        let lines = buffer.content.chunks(usize::from(width));
        let lines: Vec<String> = lines
            .map(|cells| {
                cells.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned()
            })
            .collect();
        lines.join("\n") + "\n"
    }

    fn compare(&mut self, name: &str, width: u16, height: u16) {
        let shown = self.draw(width, height);
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/screens").join(name);
        if std::env::var_os("UPDATE_SCREENS").is_some() {
            std::fs::write(&path, &shown).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(shown == expected, "{name} is now\n{shown}\nbut was\n{expected}");
    }
}

/// An event on a socket of `comm`, with ports that tell sockets apart.
fn event(cookie: u64, comm: &str, at_s: u64, old_state: u8, new_state: u8) -> Event {
    let mut event = Event::new_zeroed();
    event.cookie = cookie;
    event.time_ns = NOW - at_s * SECOND;
    event.family = AF_INET;
    event.local_addr = std::net::Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped().octets();
    event.remote_addr =
        std::net::Ipv4Addr::new(192, 168, 200, u8::try_from(cookie % 250).unwrap()).to_ipv6_mapped().octets();
    event.local_port = 8080;
    event.remote_port = 40_000 + u16::try_from(cookie).unwrap();
    event.pid = 100 + u32::from(comm.len() as u8);
    event.tid = event.pid;
    event.comm[..comm.len()].copy_from_slice(comm.as_bytes());
    event.flags = flag::OWNED;
    event.srtt_us = 1500;
    event.old_state = old_state;
    event.new_state = new_state;
    event
}

/// A listener that began so long ago.
fn listener(at_s: u64) -> Event {
    let (recv_queue, send_queue) = (97, 100);
    let listener = event(1, "leaky", at_s, state::CLOSE, state::LISTEN);
    Event { remote_addr: [0; 16], remote_port: 0, recv_queue, send_queue, ..listener }
}

/// The same listener, as a look at it shows it now.
fn found(listener: &Event) -> Event {
    Event { time_ns: NOW, old_state: state::LISTEN, ..*listener }
}

/// A host where a server leaks.
fn scene() -> Stages {
    let mut show = Stages::new();
    let listener = listener(70);
    show.event(&listener);
    show.tracker.refresh(&[found(&listener)], false);
    for cookie in 2..6 {
        let at_s = 70 - cookie;
        show.event(&event(cookie, "leaky", at_s, state::LISTEN, state::SYN_RECV));
        show.event(&event(cookie, "leaky", at_s, state::SYN_RECV, state::ESTABLISHED));
        let mut fin = event(cookie, "leaky", at_s - 1, state::ESTABLISHED, state::CLOSE_WAIT);
        fin.flags |= flag::DONE;
        fin.recv_queue = 17;
        show.event(&fin);
    }
    for cookie in 10..13 {
        show.event(&event(cookie, "backup", 15, state::CLOSE, state::SYN_SENT));
        if cookie > 10 {
            let mut open = event(cookie, "backup", 14, state::SYN_SENT, state::ESTABLISHED);
            (open.send_queue, open.retransmits) = (1_234_567, 12);
            show.event(&open);
        }
    }
    let mut refused = event(20, "\x1b[2Jevil\n", 3, state::SYN_SENT, state::CLOSE);
    refused.error = 111;
    show.event(&refused);
    let mut older = event(30, "sshd", 60, state::ESTABLISHED, state::ESTABLISHED);
    older.remote_addr =
        "2001:db8:1234:5678:9abc:def0:1234:5678".parse::<std::net::Ipv6Addr>().unwrap().octets();
    show.tracker.merge_snapshot(&[older]);
    show.model.count_all(&show.tracker, &show.select, &show.context.names, NOW);
    show.model.tick();
    show
}

#[test]
fn the_list_on_the_smallest_screen() {
    scene().compare("list-80x24.txt", 80, 24);
}

#[test]
fn the_list_on_a_wide_screen() {
    scene().compare("list-160x40.txt", 160, 40);
}

#[test]
fn a_story() {
    let mut show = scene();
    show.draw(80, 24);
    show.keys(&[Input::Down, Input::Enter]);
    show.compare("story-80x24.txt", 80, 24);
}

#[test]
fn a_story_goes_on_to_its_end() {
    let mut show = scene();
    show.draw(80, 24);
    show.keys(&[Input::Enter]);
    show.event(&event(2, "leaky", 1, state::CLOSE_WAIT, state::LAST_ACK));
    show.event(&event(2, "leaky", 0, state::LAST_ACK, state::CLOSE));
    show.compare("story-ended-80x24.txt", 80, 24);
}

#[test]
fn help() {
    let mut show = scene();
    show.draw(80, 24);
    show.keys(&[Input::Char('?')]);
    show.compare("help-80x24.txt", 80, 24);
}

#[test]
fn a_filter_while_it_is_typed_and_a_wrong_one() {
    let mut show = scene();
    show.draw(80, 24);
    show.keys(&[Input::Char('/')]);
    show.keys(&"state=SYN_SENT".chars().map(Input::Char).collect::<Vec<_>>());
    show.compare("filter-80x24.txt", 80, 24);
    show.keys(&[Input::Char('X')]);
    show.compare("filter-wrong-80x24.txt", 80, 24);
}

/// A word that says a state, or that a connection is stuck, is never a part of a process's name.
#[test]
fn states_and_stuck_are_no_names() {
    let mut show = scene();
    show.draw(80, 24);
    for (line, total) in [
        ("/ESTAB", 3),
        ("/close-wait", 4),
        ("/connected", 8),
        ("/stuck", 5),
        ("/!stuck", 3),
        ("/stuck SYN-SENT", 1),
        ("/state=estab stuck", 0),
    ] {
        show.keys(&line.chars().map(Input::Char).chain([Input::Enter]).collect::<Vec<_>>());
        assert_eq!((show.model.line.error.as_deref(), show.model.list.cursor.total), (None, total), "{line}");
        show.keys(&[Input::Escape]);
    }
}

/// A name that is typed is one of the source, not of the host that runs this.
#[test]
fn a_typed_cgroup_is_looked_up_in_the_source() {
    let mut show = scene();
    show.draw(80, 24);
    show.names = Script::default().cgroup(42, "/elsewhere.slice/web");
    let mut begun = event(77, "web", 3, state::CLOSE, state::SYN_SENT);
    begun.cgroup = 42;
    show.event(&begun);
    let typed = |text: &str| text.chars().map(Input::Char).chain([Input::Enter]).collect::<Vec<_>>();
    show.keys(&typed("/cgroup=/elsewhere.slice"));
    assert_eq!((show.model.line.error.as_deref(), show.model.list.cursor.total), (None, 1));
    show.keys(&[Input::Escape]);
    show.keys(&typed("/cgroup=/system.slice"));
    let error = show.model.line.error.unwrap_or_default();
    assert!(error.starts_with("/system.slice is not a cgroup of the v2 hierarchy"), "{error}");
}

#[test]
fn losses_messages_and_paused_time_are_seen() {
    let mut show = scene();
    (show.lost, show.message) = (1234, Some("tracer: lost 1234 events, 1234 in all"));
    show.keys(&[Input::Char(' ')]);
    show.compare("paused-80x24.txt", 80, 24);
}

#[test]
fn the_process_and_the_state_under_the_cursor_narrow_the_list() {
    let mut show = scene();
    show.draw(80, 24);
    show.keys(&[Input::Char('t')]);
    assert_eq!(show.model.line.text, "state=CLOSE_WAIT");
    assert_eq!(show.model.list.cursor.total, 4);
    show.keys(&[Input::Char('p')]);
    assert_eq!(show.model.line.text, "state=CLOSE_WAIT pid=105");
    show.keys(&[Input::Escape]);
    assert_eq!((show.model.line.text.as_str(), show.model.list.cursor.total), ("", 8));
}

#[test]
fn a_listener_s_queue_its_drops_and_when_they_were_read() {
    let mut show = Stages::new();
    let listener = Event { local_addr: [0; 16], ..listener(70) };
    show.event(&listener);
    let last = |show: &mut Stages, width| {
        let shown = show.draw(width, 24);
        shown.lines().find(|line| line.contains("97/100")).map(|line| line.trim_end().to_owned()).unwrap()
    };
    assert!(last(&mut show, 80).starts_with("*:8080        leaky       97/100  70s?"));
    let look = Event { idle_jiffies: 12, flags: flag::V6ONLY, ..found(&listener) };
    show.tracker.refresh(&[look], false);
    assert!(last(&mut show, 80).starts_with("[::]:8080     leaky       97/100 !12"));
    show.tracker.refresh(&[Event { idle_jiffies: 0, ..look }], false);
    assert!(last(&mut show, 80).starts_with("[::]:8080     leaky       97/100 █████"));
    // Who holds it does not tell anew how full it is, nor that it was read long ago.
    let holder = Holder { cookie: 1, pid: 101, ..Holder::default() };
    show.tracker.merge_holders(&Holders::new((NOW, NOW), vec![holder], true));
    assert!(last(&mut show, 80).contains("97/100 █████"), "{}", last(&mut show, 80));
    show.tracker.refresh(&[look], false);
    for cookie in 2..5 {
        show.event(&event(cookie, "leaky", 0, state::LISTEN, state::SYN_RECV));
        show.event(&event(cookie, "leaky", 0, state::SYN_RECV, state::ESTABLISHED));
    }
    show.model.tick();
    let wide = last(&mut show, 160);
    assert!(wide.contains("97/100 █████      3      3     12"), "{wide}");
    // None comes, and seven leave the queue.
    show.tracker.refresh(&[Event { recv_queue: look.recv_queue - 7, ..look }], false);
    show.draw(160, 24);
    show.model.tick();
    let shown = show.draw(160, 24);
    assert!(shown.contains("90/100 █████      0      7     12"), "{shown}");
}

/// More connections than rows: three processes, of which one leaks.
fn crowd() -> Stages {
    let mut show = Stages::new();
    show.model.groups.choose(Grouping::By(By::Pid), 0);
    for (cookie, comm) in (1..).zip(["web", "leaky", "db pool"].into_iter().cycle().take(60)) {
        show.event(&event(cookie, comm, 200 - cookie, state::LISTEN, state::SYN_RECV));
        show.event(&event(cookie, comm, 200 - cookie, state::SYN_RECV, state::ESTABLISHED));
        if comm == "leaky" {
            show.event(&event(cookie, comm, 190 - cookie, state::ESTABLISHED, state::CLOSE_WAIT));
        }
    }
    show.event(&event(70, "web", 0, state::CLOSE, state::SYN_SENT));
    let mut refused = event(70, "web", 0, state::SYN_SENT, state::CLOSE);
    refused.error = 111;
    show.event(&refused);
    show.model.tick();
    show
}

#[test]
fn more_connections_than_rows_are_in_groups() {
    let mut show = crowd();
    show.compare("groups-80x24.txt", 80, 24);
    show.keys(&[Input::Enter]);
    assert_eq!((show.model.line.text.as_str(), show.model.list.cursor.total), ("pid=105", 20));
    show.keys(&[Input::Escape]);
    assert_eq!(show.model.groups.shown(), Some(By::Pid));
    show.model.groups.choose(Grouping::Auto, 60);
    assert_eq!(show.model.groups.shown(), Some(By::Pid), "there are more than rows");
    let mut by = |key| {
        show.keys(&[Input::Char(key)]);
        let title = |shown: &str| shown.lines().find(|line| line.contains("CONNS")).map(str::to_owned);
        title(&show.draw(80, 24)).map(|title| title.split_whitespace().next().unwrap().to_owned())
    };
    let titles: Vec<_> = (0..8).map(|_| by('b')).collect();
    let expected = ["PROCESS", "SERVICE", "PEER", "CGROUP", "CONTAINER", "NETNS", "STATE"]
        .map(|title| Some(title.to_owned()));
    assert_eq!((&titles[..7], &titles[7]), (&expected[..], &None));
}

#[test]
fn a_name_with_blanks_opens_its_group() {
    let mut show = crowd();
    show.keys(&[Input::Char('b'), Input::End, Input::Up]);
    let names: Vec<_> = show.model.groups.rows.iter().map(|row| row.key).collect();
    let at = names.iter().position(|key| format!("{key:?}").contains("100, 98, 32")).unwrap();
    show.keys(&[Input::Home]);
    show.keys(&vec![Input::Down; at]);
    show.keys(&[Input::Enter]);
    assert_eq!((show.model.line.text.as_str(), show.model.line.error.as_deref()), ("comm=db?pool", None));
}

/// Forty connections, of which the screen shows some.
fn long() -> Stages {
    let mut show = Stages::new();
    show.model.groups.grouping = Grouping::Off;
    for cookie in 1..=40 {
        show.event(&event(cookie, "web", 100 - cookie, state::LISTEN, state::SYN_RECV));
        show.event(&event(cookie, "web", 100 - cookie, state::SYN_RECV, state::ESTABLISHED));
    }
    show.draw(80, 24);
    show
}

#[test]
fn the_cursor_goes_where_it_is_sent() {
    let mut show = long();
    let mut is_at = |keys: &[Input], cookie: u64| {
        show.keys(keys);
        let held = show.model.list.at_cursor().map(|connection| connection.cookie);
        assert_eq!(held, Some(cookie), "after {keys:?}");
    };
    is_at(&[], 1);
    is_at(&[Input::Down; 39], 40);
    is_at(&[Input::Down], 40);
    is_at(&[Input::Up; 30], 10);
    is_at(&[Input::Home], 1);
    is_at(&[Input::PageDown, Input::PageDown, Input::PageUp, Input::PageUp], 1);
    is_at(&[Input::End], 40);
    is_at(&[Input::Char('r')], 40);
    is_at(&[Input::End], 1);
}

#[test]
fn the_cursor_stays_on_its_connection_when_others_go() {
    let mut show = long();
    show.keys(&[Input::Down; 5]);
    for cookie in 1..4 {
        show.event(&event(cookie, "web", 0, state::ESTABLISHED, state::CLOSE));
    }
    show.draw(80, 24);
    assert_eq!(show.model.list.at_cursor().map(|connection| connection.cookie), Some(6));
    assert_eq!(show.model.list.cursor.at, 2);
}

#[test]
fn a_story_does_not_go_on_when_its_connection_is_gone() {
    let mut show = long();
    show.keys(&[Input::Enter]);
    // Its end was lost, and a look at all sockets has not found it.
    let snapshot = Snapshot { during_ns: (NOW, NOW), netns: [0].into(), ..Snapshot::default() };
    show.tracker.retire(&snapshot);
    show.model.refresh(&show.tracker, NOW);
    let shown = show.draw(80, 24);
    assert!(shown.contains("not there any more") && !shown.contains("goes on"), "{shown}");
}

#[test]
fn what_is_lost_in_between_is_not_called_stuck() {
    let mut show = scene();
    show.tracker.lost(NOW - SECOND / 2);
    let shown = show.draw(80, 24);
    // At the last event of each it had only just begun.
    assert!(shown.contains("nothing is wrong"), "{shown}");
}

#[test]
fn a_filter_that_is_gone_leaves_no_gap_in_the_trend() {
    let mut show = long();
    let keys = |text: &str| text.chars().map(Input::Char).collect::<Vec<_>>();
    show.model.tick();
    show.keys(&keys("/state=LISTEN"));
    show.keys(&[Input::Enter]);
    show.model.tick();
    show.keys(&[Input::Escape]);
    show.model.tick();
    let trend: Vec<u64> = show.model.series.trend.of(usize::from(state::ESTABLISHED)).collect();
    assert_eq!(trend, [40, 40, 40]);
}

#[test]
fn no_screen_is_too_small_and_no_key_too_much() {
    let keys = [
        Input::Down,
        Input::PageDown,
        Input::End,
        Input::Char('s'),
        Input::Char('r'),
        Input::Enter,
        Input::Escape,
        Input::Char('?'),
        Input::Char('x'),
        Input::Char('/'),
        Input::Char('\u{202e}'),
        Input::Char('世'),
        Input::Backspace,
        Input::Enter,
        Input::Char('t'),
        Input::Char('p'),
        Input::Home,
        Input::Up,
        Input::Clear,
        Input::Char(' '),
        Input::PageUp,
        Input::Left,
        Input::Right,
        Input::Interrupt,
    ];
    let mut random = fastrand::Rng::with_seed(4);
    for _ in 0..30 {
        let mut show = scene();
        for _ in 0..12 {
            show.keys(&[keys[random.usize(..keys.len())]]);
            let (width, height) = (random.u16(1..130), random.u16(1..45));
            let shown = show.draw(width, height);
            assert!(!shown.contains('\x1b') && shown.lines().count() == usize::from(height));
        }
    }
}

#[test]
fn every_order_shows_everybody() {
    for _ in 0..10 {
        let mut show = scene();
        show.draw(80, 24);
        show.keys(&[Input::Char('s')]);
        assert_eq!(show.model.list.rows.len(), 8, "{}", show.model.sort.name());
    }
}
