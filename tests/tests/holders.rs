//! Who holds a socket now: after a fork, a passed descriptor, another program or name, the lines about a socket
//! name who has it, as `ss` does.

use std::{
    io::Read as _,
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tests::{
    patience::until,
    place::Place,
    program::{Program, close, run},
    screen::Screen,
    story::{Line, lines, text, whole},
    tracer,
    traffic::{actor, connect},
};

const ADDRESS: &str = "127.77.70.1";

/// A server that hands its socket to another process.
struct Handing {
    actor: Program,
    port: u16,
}

impl Handing {
    fn start(place: &Place, words: &[&str]) -> Self {
        let actor = Program::collect(place.command(actor()).args(words).arg(ADDRESS));
        // The actor may have ended by now.
        let port = until("the port", || whole(&actor.out()).lines().next()?.parse().ok());
        Self { actor, port }
    }

    /// The process that has got it.
    fn keeper(&self) -> u64 {
        until("the other process", || whole(&self.actor.out()).lines().nth(1)?.parse().ok())
    }

    fn connect(&self, place: &Place) -> TcpStream {
        let to = SocketAddr::new(ADDRESS.parse().unwrap(), self.port);
        place.run(|| connect(to).unwrap())
    }
}

/// The processes that hold the server's end of a connection, as `ss` tells.
fn holders_by_ss(place: &Place, client: &TcpStream) -> Vec<u64> {
    let port = format!("dport = :{}", client.local_addr().unwrap().port());
    let out = run(place.command("ss").args(["-tnpH", &port]));
    let pids = out.split("pid=").skip(1).map(|rest| rest.split(',').next().unwrap().parse().unwrap());
    pids.collect()
}

fn is_stuck(line: &Line) -> bool {
    !line["stuck_us"].is_null()
}

#[test]
fn a_stuck_line_names_who_holds_the_connection_now() {
    for way in ["fork", "pass", "share"] {
        let place = Place::new();
        let options = format!("-o json --netns {} --stuck ESTABLISHED=1500ms", place.name());
        let tracer = tracer::start(&options);
        let server = Handing::start(&place, &["hand", way]);
        let mut client = server.connect(&place);
        client.read_exact(&mut [0; 5]).unwrap();
        let (parent, keeper) = (u64::from(server.actor.pid()), server.keeper());
        let of_server =
            |line: &Line| is_stuck(line) && line["local_port"].as_u64() == Some(u64::from(server.port));
        let line = until("the stuck line", || lines(whole(&tracer.out())).into_iter().find(of_server));
        let by_ss = holders_by_ss(&place, &client);
        assert_eq!(line["holders"], by_ss.len(), "{way}: {line}");
        if way == "share" {
            assert_eq!(by_ss.len(), 2, "{by_ss:?}");
            assert_eq!(line["pid"], parent, "{way}: one that holds it stays the owner: {line}");
        } else {
            assert_eq!(by_ss, [keeper]);
            assert_eq!((text(&line, "comm"), text(&line, "owner")), ("keeper", "holder"), "{way}: {line}");
            assert_eq!(line["pid"], keeper, "{way}: {line}");
        }
        let ended = tracer.interrupt();
        assert_eq!((ended.code(), tracer::lost(&ended)), (0, 0), "{}", ended.err);
    }
}

/// Nothing happens between the hand-over and the end, so nothing but time can bring the search.
#[test]
fn a_quiet_hand_over_is_noticed() {
    let place = Place::new();
    let tracer = tracer::start(&format!("-o json --netns {}", place.name()));
    // On a busy host the search may be late.
    let is_noticed = [2, 4, 8, 16].into_iter().any(|seconds| {
        let server = Handing::start(&place, &["hand", "fork"]);
        let mut client = server.connect(&place);
        client.read_exact(&mut [0; 5]).unwrap();
        let keeper = server.keeper();
        thread::sleep(Duration::from_secs(seconds));
        close(client);
        let is_end =
            |line: &Line| line["local_port"] == server.port && text(line, "new_state") == "CLOSE_WAIT";
        let line = until("its end", || lines(whole(&tracer.out())).into_iter().find(is_end));
        line["pid"] == keeper && text(&line, "owner") == "holder"
    });
    let ended = tracer.interrupt();
    assert!(is_noticed, "{}", ended.out);
}

#[test]
fn several_holders_are_listed() {
    let place = Place::new();
    let columns = "event,pid,local_port,holders,holder_list";
    let options = format!(
        "-o json --netns {} --only-stuck --stuck ESTABLISHED=1500ms --columns {columns}",
        place.name()
    );
    let tracer = tracer::start(&options);
    let server = Handing::start(&place, &["hand", "share"]);
    let mut client = server.connect(&place);
    client.read_exact(&mut [0; 5]).unwrap();
    let mut pids = [u64::from(server.actor.pid()), server.keeper()];
    pids.sort_unstable();
    let of_server = |line: &Line| line["local_port"].as_u64() == Some(u64::from(server.port));
    let line = until("the stuck line", || lines(whole(&tracer.out())).into_iter().find(of_server));
    let listed = line["holder_list"].as_array().unwrap();
    let listed_pids: Vec<_> = listed.iter().map(|holder| holder["pid"].as_u64().unwrap()).collect();
    assert_eq!(listed_pids, pids, "{line}");
    assert!(listed.iter().any(|holder| holder["comm"] == "keeper"), "{line}");
    drop(tracer.interrupt());
}

/// A server that forks to the background after it has called `listen`, and one that becomes another program: its
/// connections are not named after what is gone.
#[test]
fn a_listener_belongs_to_who_holds_it() {
    for way in ["daemon", "exec"] {
        let place = Place::new();
        let tracer = tracer::start(&format!("-o json --netns {}", place.name()));
        let server = Handing::start(&place, &["hand-listener", way]);
        let keeper = server.keeper();
        // The listener is looked at again a moment after something has happened.
        until("its new owner", || {
            drop(server.connect(&place));
            let out = tracer.out();
            let mut births =
                lines(whole(&out)).into_iter().filter(|line| text(line, "old_state") == "LISTEN");
            births.any(|line| line["pid"] == keeper && text(&line, "comm") == "keeper").then_some(())
        });
        let ended = tracer.interrupt();
        // Until then it may be another's, so it is never told as if it were sure.
        let births = lines(&ended.out).into_iter().filter(|line| text(line, "old_state") == "LISTEN");
        assert!(births.map(|line| text(&line, "owner").to_owned()).all(|owner| owner == "listener"));
        let keeper = Pid::from_raw(i32::try_from(keeper).unwrap()).unwrap();
        let _ = kill_process(keeper, Signal::KILL);
    }
}

/// Only inherited owners have a question mark, and only in text.
#[test]
fn an_inherited_owner_is_marked() {
    let place = Place::new();
    let text_log = tracer::start(&format!("--netns {} --color never", place.name()));
    let server = Handing::start(&place, &["hand", "fork"]);
    let mut client = server.connect(&place);
    client.read_exact(&mut [0; 5]).unwrap();
    server.keeper();
    until("a birth", || text_log.out().contains("SYN_RECV    ESTABLISHED").then_some(()));
    let ended = text_log.interrupt();
    let line_with = |words: &str| ended.out.lines().find(|line| line.contains(words)).unwrap().to_owned();
    assert!(line_with("SYN_RECV    ESTABLISHED").contains("actor?"), "{}", ended.out);
    assert!(!line_with("SYN_SENT    ESTABLISHED").contains('?'), "{}", ended.out);
    assert!(!line_with("CLOSE       LISTEN").contains('?'), "{}", ended.out);
}

#[test]
fn top_names_who_holds_the_connection_now() {
    let place = Place::new();
    let script = format!("{} top --netns {}", tracer::binary().display(), place.name());
    let screen = Screen::run(100, 24, &script);
    screen.wait_for("the list", |shown| shown.contains("AGE"));
    let server = Handing::start(&place, &["hand", "pass"]);
    let mut client = server.connect(&place);
    client.read_exact(&mut [0; 5]).unwrap();
    let keeper = server.keeper().to_string();
    // Nothing happens on the connection any more.
    screen.wait_for("the holder", |shown| shown.contains(&keeper) && shown.contains("keeper"));
    screen.keys(&["q"]);
}

/// Measures CPU time, so no other test may run beside it.
mod alone {
    use std::{
        thread,
        time::{Duration, Instant},
    };

    use tests::{program::cpu_ticks, traffic::listen};

    use super::*;

    const ROUND: Duration = Duration::from_secs(6);

    /// 10,000 connections, and now and then a new one, so that the holders are searched all the time.
    #[test]
    fn searching_for_holders_costs_little() {
        let place = Place::new();
        let (listener, held) = place.run(|| {
            let listener = listen([127, 77, 70, 2].into(), 0);
            let mut held = Vec::new();
            for _ in 0..5000 {
                held.push(connect(listener.local_addr().unwrap()).unwrap());
                held.push(listener.accept().unwrap().0);
            }
            (listener, held)
        });
        // Without samples of timewait sockets, which have a budget of their own.
        let tracer = tracer::start(&format!("-o json --no-timewait --netns {}", place.name()));
        let to = listener.local_addr().unwrap();
        let mut percents: Vec<_> = (0..3)
            .map(|_| {
                let (begun, before) = (Instant::now(), cpu_ticks(tracer.pid()));
                while begun.elapsed() < ROUND {
                    let client = place.run(|| connect(to).unwrap());
                    drop(listener.accept().unwrap());
                    close(client);
                    // Searches are at least this far apart, so each has something to look for; the events of more
                    // connections would cost more than the searches.
                    thread::sleep(Duration::from_millis(300));
                }
                let ticks = u32::try_from(cpu_ticks(tracer.pid()) - before).unwrap();
                f64::from(ticks) / begun.elapsed().as_secs_f64()
            })
            .collect();
        percents.sort_by(f64::total_cmp);
        println!("10,000 connections: {percents:.2?} % of a core");
        assert!(percents[1] <= 1.0, "{percents:.2?} % of a core");
        drop((held, tracer.interrupt()));
    }
}
