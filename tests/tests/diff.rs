//! `tracer diff`: what has changed between two recordings of real traffic, and that nothing else is told.

// A panic is how a test says that it failed.
#![allow(clippy::unwrap_used, clippy::panic)]
// Numbers are small.
#![allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]

use std::{
    fmt::Write as _,
    fs,
    io::{Read as _, Seek as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::mpsc,
    thread,
    time::Duration,
};

use ::tracer::{
    aggregate::diff::{
        chance::{fisher, student_t},
        compare::{Comparisons, compare},
        side::{DiffSide, normalise},
        spread::{RankWeight, Spread, rank_test},
    },
    cli::{Cli, Command as Verb},
    config,
    facts::{context::Context, kernel::KernelInfo, known_names::KnownNames},
    output::stdout::Output,
    run::{
        capture::capture,
        stop::{Signals, Stop},
    },
    source::open::open,
    track::{Transition, connection::Connection},
    view::{Needs, Scene, View},
};
use clap::Parser as _;
use fastrand::Rng;
use serde_json::{Value, json};
use socket2::SockRef;
use tempfile::TempDir;
use tests::{
    engines::{python, query},
    patience::until,
    place::Place,
    program::{self, Ended, Program, close},
    story::text,
    tracer,
    traffic::{actor, connect, listen, wait_for_end},
    wire::{ENDS, Wire},
};

/// The service of the traffic, and one that is not there.
const WEB: u16 = 8080;
const ABSENT: u16 = 9;

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

/// Connections of a recording.
const MANY: usize = 6_000;

/// What is not as usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    None,
    /// What the server sends takes 10 ms longer on its way.
    Slow,
    /// The client aborts one connection in a hundred.
    Resets,
    /// The server does not close one connection in fifty.
    Leak,
}

/// Two hosts, and where recordings of both go.
struct Lab {
    client: Place,
    server: Place,
    /// The server's address.
    address: Ipv4Addr,
    /// The link between both, if it may take its time.
    wire: Option<Wire>,
    /// Recordings go on until nobody is still slow to close.
    lingers: bool,
    folder: TempDir,
}

impl Lab {
    fn new() -> Self {
        let (client, server) = Place::pair();
        Self {
            client,
            server,
            address: SERVER,
            wire: None,
            lingers: false,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn wired() -> Self {
        let lab = Self::new();
        let wire = Wire::between([&lab.client, &lab.server]);
        Self { address: ENDS[1], wire: Some(wire), ..lab }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Records mixed traffic.
    fn record(&self, name: &str, count: usize, trouble: Trouble) -> PathBuf {
        self.record_while(name, || self.traffic(count, trouble))
    }

    /// What the traffic leaves stays until the recording has ended.
    fn record_while<T>(&self, name: &str, traffic: impl FnOnce() -> T) -> PathBuf {
        self.record_as("", name, traffic)
    }

    /// The same in parts: the traffic is made again until there are some.
    fn record_parts(&self, name: &str, count: usize, trouble: Trouble) -> Vec<PathBuf> {
        let parts = || {
            let files = fs::read_dir(self.folder.path()).unwrap().map(|file| file.unwrap().path());
            let first = format!("{}.", self.path(name).display());
            let mut parts: Vec<_> = files.filter(|file| file.to_str().unwrap().starts_with(&first)).collect();
            parts.sort();
            parts
        };
        self.record_as("--rotate 100ms", name, || {
            until("parts", || {
                self.traffic(count, trouble);
                (parts().len() >= 3).then_some(())
            });
        });
        parts()
    }

    fn record_as<T>(&self, options: &str, name: &str, traffic: impl FnOnce() -> T) -> PathBuf {
        let path = self.path(name);
        let netns = format!("--netns {},{}", self.client.inum(), self.server.inum());
        let tracer = Program::collect(tracer::command(&format!("record {options} {netns}")).arg(&path));
        let tracer = tracer::started(tracer);
        let left = traffic();
        let ended = tracer.interrupt();
        drop(left);
        assert_eq!(ended.code(), 0, "{}", ended.err);
        path
    }

    /// Four clients, whose connections are short or not so short, are closed by one side or the other, and are
    /// refused or aborted now and then.
    fn traffic(&self, count: usize, trouble: Trouble) -> (TcpListener, Vec<TcpStream>) {
        let listener = self.server.run(|| listen(self.address.into(), WEB));
        let delay = |ms| self.wire.iter().for_each(|wire| wire.delay(Duration::from_millis(ms)));
        delay(if trouble == Trouble::Slow { 10 } else { 0 });
        let (leaked, leaks) = mpsc::channel();
        thread::scope(|scope| {
            for seed in 0..4 {
                scope.spawn(move || self.client.run(|| ask(self.address, count / 4, seed, trouble)));
            }
            let listener = &listener;
            scope.spawn(move || serve(listener, count, trouble, &leaked));
        });
        delay(0);
        let leaks: Vec<TcpStream> = leaks.into_iter().collect();
        if trouble != Trouble::Leak {
            self.client.settle();
            self.server.settle_to(1);
        }
        if self.lingers {
            thread::sleep(Duration::from_millis(2_500));
        }
        (listener, leaks)
    }
}

/// What tracer says of two recordings.
fn diff(arguments: &str, recordings: &[&Path]) -> Ended {
    Program::collect(tracer::command(&format!("diff {arguments}")).args(recordings)).wait()
}

fn report_of(arguments: &str, recordings: &[&Path]) -> Value {
    let ended = diff(&format!("-o json {arguments}"), recordings);
    assert_eq!(ended.code(), 0, "{}", ended.err);
    serde_json::from_str(&ended.out).unwrap()
}

/// Whether the peer is to close first, told by the first byte.
const YOU_CLOSE: u8 = 1;
const I_CLOSE: u8 = 2;

fn ask(server: Ipv4Addr, count: usize, seed: u64, trouble: Trouble) {
    let mut rng = Rng::with_seed(seed);
    for _ in 0..count {
        if rng.u32(..50) == 0 {
            connect(SocketAddr::from((server, ABSENT))).expect_err("nobody listens there");
        }
        let mut stream = connect(SocketAddr::from((server, WEB))).unwrap();
        let asks = if rng.bool() { YOU_CLOSE } else { I_CLOSE };
        stream.write_all(&[asks]).unwrap();
        stream.read_exact(&mut [0]).unwrap();
        if rng.u32(..20) == 0 {
            thread::sleep(Duration::from_micros(rng.u64(..5_000)));
        }
        let aborts = rng.u32(..1_000) == 0 || trouble == Trouble::Resets && rng.u32(..100) == 0;
        if aborts {
            SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        } else if asks == YOU_CLOSE {
            wait_for_end(&mut stream);
        }
        close(stream);
    }
}

/// Answers on so many connections, each on a thread of its own.
fn serve(listener: &TcpListener, count: usize, trouble: Trouble, leaked: &mpsc::Sender<TcpStream>) {
    thread::scope(|scope| {
        for number in 0..count {
            let (mut stream, _) = listener.accept().unwrap();
            scope.spawn(move || {
                let mut asked = [0];
                let answered = stream.read_exact(&mut asked).and_then(|()| stream.write_all(&[7]));
                if answered.is_ok() && asked[0] == I_CLOSE {
                    wait_for_end(&mut stream);
                    if trouble == Trouble::Leak && number % 25 == 0 {
                        leaked.send(stream).unwrap();
                        return;
                    }
                }
                close(stream);
            });
        }
    });
}

/// The changes, as `change measure detail by side-or-role name`.
fn changes(report: &Value) -> Vec<String> {
    let changes = report["changes"].as_array().unwrap();
    let word = |row: &Value, key: &str| match &row[key] {
        Value::String(word) => word.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    };
    let words = |row: &Value| {
        let keys = ["change", "measure", "reason", "state", "by", "side", "port", "role", "comm"];
        keys.map(|key| word(row, key))
            .into_iter()
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    };
    changes.iter().map(words).collect()
}

/// The trouble is named first, and nothing without one.
fn assert_named_first(lab: &Lab, count: usize, troubles: &[(Trouble, &str)]) {
    let before = lab.record("before", count, Trouble::None);
    let again = lab.record("again", count, Trouble::None);
    let report = report_of("", &[&before, &again]);
    println!("again: {:#?}", changes(&report));
    assert_eq!(not_of_load(changes(&report)), [""; 0], "{report}");
    assert!(report["tests"].as_u64() > Some(10), "{report}");
    for (trouble, first) in troubles {
        let after = lab.record(&format!("{trouble:?}"), count, *trouble);
        let report = report_of("", &[&before, &after]);
        let changes = changes(&report);
        println!("{trouble:?}: {changes:#?}");
        assert!(changes.first().is_some_and(|change| change.starts_with(first)), "{trouble:?}: {changes:#?}");
        assert!(changes[0].contains("8080"), "{changes:#?}");

        let ended = diff("--fail-on regressions", &[&before, &after]);
        assert_eq!(ended.code(), 5, "{}", ended.err);
        assert!(ended.err.contains(" regression") && ended.err.contains("port 8080"), "{}", ended.err);
        assert!(ended.out.contains("\nregression "), "{}", ended.out);
        // The other way round it is an improvement.
        let ended = diff("--fail-on regressions", &[&after, &before]);
        assert!(ended.out.contains("\nimprovement "), "{}", ended.out);
        assert_eq!(ended.code(), 0, "{}\n{}", ended.out, ended.err);
    }
}

/// Those changes that a host cannot make that is busy with something else for a while.
fn not_of_load(changes: Vec<String>) -> Vec<String> {
    let is_of_load = |change: &String| {
        let measure = change.split(' ').nth(1).unwrap();
        ["duration", "stay", "handshake", "begun"].iter().any(|of_load| measure.starts_with(of_load))
    };
    changes.into_iter().filter(|change| !is_of_load(change)).collect()
}

#[test]
fn resets_and_leaks_are_named_first() {
    let troubles = [
        (Trouble::Resets, "regression end reset"),
        (Trouble::Leak, "regression left CLOSE_WAIT service local 8080"),
    ];
    assert_named_first(&Lab { lingers: true, ..Lab::new() }, MANY, &troubles);
}

#[test]
fn slower_handshakes_are_named_first() {
    assert_named_first(&Lab::wired(), MANY / 4, &[(Trouble::Slow, "regression handshake service")]);
}

/// All that a recording tells of connections.
#[derive(Default)]
struct Told {
    transitions: Vec<Transition>,
    left: Vec<Connection>,
    names: KnownNames,
    span_ns: (u64, u64),
}

/// A view that keeps it.
struct Keeper {
    told: Told,
    to: mpsc::Sender<Told>,
}

impl View for Keeper {
    fn needs(&self) -> Needs {
        Needs { stories: true, names: true, ..Needs::default() }
    }

    fn begin(&mut self, _: &KernelInfo, at_ns: u64, _: &mut Vec<u8>) {
        self.told.span_ns.0 = at_ns;
    }

    fn shows(&self, transition: &Transition) -> bool {
        transition.is_transition()
    }

    fn show(&mut self, transition: &Transition, _: &Context, _: &mut Vec<u8>) {
        self.told.transitions.push(*transition);
    }

    fn has_lines(&self) -> bool {
        false
    }

    fn end(&mut self, scene: Scene<'_>, _: &mut Vec<u8>) {
        let mut told = std::mem::take(&mut self.told);
        told.left = scene.tracker.iter().copied().collect();
        told.names = scene.context.names.clone();
        told.span_ns.1 = scene.now_ns;
        self.to.send(told).unwrap();
    }
}

impl Told {
    fn of(recording: &Path) -> Self {
        let words = ["tracer", "log", "--from", recording.to_str().unwrap()];
        let Some(Verb::Log(args)) = Cli::parse_from(words).command else { panic!("no log") };
        let mut config = config::log(*args).unwrap();
        let (to, told) = mpsc::channel();
        config.capture.view = Box::new(Keeper { told: Self::default(), to });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let source = open(&config.source).await.unwrap();
            let nothing = fs::File::options().write(true).open("/dev/null").unwrap();
            let mut stop = Stop::new(Signals::new().unwrap());
            let outcome = capture(source, config.capture, Output::to(nothing).unwrap(), None, &mut stop);
            outcome.await.unwrap().result.unwrap();
        });
        told.recv().unwrap()
    }

    /// Compares two halves of the connections. `half`: in which one a connection is.
    fn halves(&self, half: impl Fn(&Connection) -> bool) -> Comparisons {
        let mut sides = [false, true].map(|is_second| {
            let mut side = DiffSide::default();
            side.begin(self.span_ns.0);
            let transitions = self.transitions.iter();
            let of_side = transitions.filter(|transition| half(&transition.connection) == is_second);
            of_side.for_each(|transition| side.add(transition, &self.names));
            let left = self.left.iter().filter(|connection| half(connection) == is_second);
            side.end(left, &self.names, self.span_ns.1);
            side.named(&self.names)
        });
        let [a, b] = &mut sides;
        normalise(a, b);
        compare(a, b)
    }
}

/// Of the same traffic, halves by chance never differ.
#[test]
fn halves_by_chance_do_not_differ() {
    let lab = Lab::new();
    let recording = lab.record("all", MANY, Trouble::None);
    let told = Told::of(&recording);
    assert!(told.transitions.len() > 8 * MANY, "{}", told.transitions.len());
    let (mut tests, mut lowest) = (0, 1.0_f64);
    for seed in 0..100_u64 {
        let half = |connection: &Connection| Rng::with_seed(connection.cookie ^ (seed << 40)).bool();
        let found = told.halves(half);
        let named: Vec<_> = found.changes.iter().map(|row| (row.name.to_string(), row.measure)).collect();
        assert!(named.is_empty(), "{seed}: {named:?}");
        tests += found.tests;
        lowest = found.rows.iter().filter_map(|row| row.p_corrected).fold(lowest, f64::min);
    }
    println!("{tests} tests, the lowest corrected chance {lowest}");
    assert!(tests > 2_000, "{tests}");
}

/// Neither do the two halves of the time, nor a recording from itself.
#[test]
fn halves_of_the_time_do_not_differ() {
    let lab = Lab::new();
    let recording = lab.record("all", MANY, Trouble::None);
    let report = report_of("", &[&recording, &recording]);
    assert_eq!(changes(&report), [""; 0], "{report}");
    let path = recording.display();
    let ended = tracer::run(&format!("diff -o json --a {path} --b {path}"));
    assert_eq!(serde_json::from_str::<Value>(&ended.out).unwrap(), report, "{}", ended.err);
    let warnings: Vec<_> =
        report["warnings"].as_array().unwrap().iter().map(|one| text(one, "what")).collect();
    assert_eq!(warnings, ["spans of the same host overlap"]);
    let half_us = report["a"]["duration_us"].as_f64().unwrap() / 2.0;
    let moment = format!("+{}us", half_us as u64);
    let report = report_of(&format!("--a-until {moment} --b-since {moment}"), &[&recording]);
    println!("{:#?}", changes(&report));
    assert_eq!(not_of_load(changes(&report)), [""; 0], "{report}");
    let ended = ["a", "b"].map(|side| report[side]["ended"].as_u64().unwrap());
    assert!(ended.iter().all(|ended| *ended > 1_000), "{ended:?}");
}

/// Rows of a report for a service.
fn figures<'a>(report: &'a Value, measure: &str, side: &str, port: u16) -> Vec<&'a Value> {
    let rows = report["rows"].as_array().unwrap().iter();
    rows.filter(|row| {
        row["measure"] == measure && row["by"] == "service" && row["side"] == side && row["port"] == port
    })
    .collect()
}

/// Counts are those of DuckDB in the export of the same recordings, and quantiles within a hundredth.
#[test]
fn figures_are_those_of_another_engine() {
    let lab = Lab::new();
    let before = lab.record("before", 1_200, Trouble::None);
    let after = lab.record("after", 1_200, Trouble::Resets);
    assert_counted(&lab, &[vec![before], vec![after]]);
}

/// The same where the recordings are in parts, with connections that go on from one to the next.
#[test]
fn figures_of_parts_are_those_of_another_engine() {
    let lab = Lab::new();
    let before = lab.record_parts("before", 1_200, Trouble::None);
    let after = lab.record_parts("after", 1_200, Trouble::Resets);
    assert_counted(&lab, &[before, after]);
}

fn assert_counted(lab: &Lab, recordings: &[Vec<PathBuf>; 2]) {
    let mut command = tracer::command("diff -o json --rows 2000 --a");
    let ended = Program::collect(command.args(&recordings[0]).arg("--b").args(&recordings[1])).wait();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    let report: Value = serde_json::from_str(&ended.out).unwrap();
    for (side, parts) in ["a", "b"].into_iter().zip(recordings) {
        let export = |options: &str, name: &str| {
            let path = lab.path(&format!("{side}-{name}.parquet"));
            let mut command = tracer::command("export --format parquet");
            command.args(parts).arg("--to").arg(&path).args(options.split_whitespace());
            assert_eq!(Program::collect(&mut command).wait().code(), 0);
            path
        };
        let (life, log) = (export("--life", "life"), export("", "log"));
        let service = "role, case role when 'server' then local_port else remote_port end as port";
        let ends = query(&format!(
            "select *, sum(n) over (partition by role, port) as total from (select {service}, reason, \
             count(*) as n from '{}' where role in ('client', 'server') group by all)",
            life.display()
        ));
        let mut compared = 0;
        for row in &ends {
            let (of_side, port) = (of_role(&row["role"]), row["port"].as_u64().unwrap());
            let found = figures(&report, "end", of_side, port.try_into().unwrap());
            let found = found.iter().find(|found| found["reason"] == row["reason"]);
            let found = found.unwrap_or_else(|| panic!("no {row:?}"));
            assert_eq!(found[side]["count"], row["n"], "{row:?} {found}");
            assert_eq!(found[side]["of"].as_f64(), row["total"].as_f64(), "{row:?} {found}");
            compared += 1;
        }
        assert!(compared >= 5, "{ends:?}");
        let quantiles = |column: &str, file: &Path, what: &str| {
            let quantiles = ["0.5", "0.9", "0.99"].map(|q| format!("quantile_disc({column}, {q})"));
            query(&format!(
                "select {service}, old_state as state, count({column}) as n, [{}] as q, \
                 max({column}) as most from '{}' where role in ('client', 'server') and {what} group by all",
                quantiles.join(", "),
                file.display()
            ))
        };
        let births = "not (old_state = 'CLOSE' or old_state = 'LISTEN')";
        let stays = quantiles("state_us", &log, births);
        let handshakes = quantiles("handshake_us", &log, "new_state = 'ESTABLISHED'");
        let mut compared = 0;
        for (measure, rows) in [("stay", stays), ("handshake", handshakes)] {
            for row in rows.iter().filter(|row| row["n"].as_u64() > Some(0)) {
                let port = row["port"].as_u64().unwrap().try_into().unwrap();
                let found = figures(&report, measure, of_role(&row["role"]), port);
                let found =
                    found.iter().find(|found| measure == "handshake" || found["state"] == row["state"]);
                let found = found.unwrap_or_else(|| panic!("no {measure} {row:?}"));
                assert_eq!(found[side]["count"], row["n"], "{measure} {row:?} {found}");
                let expected = row["q"].as_array().unwrap();
                for (key, expected) in ["p50_us", "p90_us", "p99_us"].iter().zip(expected) {
                    let (found, expected) = (found[side][key].as_f64().unwrap(), expected.as_f64().unwrap());
                    assert!((found - expected).abs() <= expected / 100.0, "{measure} {key} {row:?}: {found}");
                }
                assert_eq!(found[side]["max_us"].as_f64(), row["most"].as_f64());
                compared += 1;
            }
        }
        assert!(compared >= 8, "{compared}");
    }
}

fn of_role(role: &Value) -> &'static str {
    if role == "server" { "local" } else { "remote" }
}

/// Compares our own statistics with those of SciPy: in pairs of lines.
const SCIPY: &str = "
import sys, json
from scipy import stats
for line in sys.stdin:
    kind, a, b = json.loads(line)
    if kind == 't':
        print(2 * stats.t.sf(a, b))
    elif kind == 'fisher':
        print(stats.fisher_exact([[a[0], a[1] - a[0]], [b[0], b[1] - b[0]]]).pvalue)
    elif kind == 'log-rank':
        censored = lambda of: stats.CensoredData(uncensored=of[0], right=of[1])
        print(abs(stats.logrank(censored(a), censored(b)).statistic))
    else:
        u = stats.mannwhitneyu(b[0], a[0]).statistic
        print(2 * u / len(a[0]) / len(b[0]) - 1)
";

#[test]
fn statistics_are_those_of_scipy() {
    let mut rng = Rng::with_seed(20);
    let (mut asked, mut own) = (String::new(), Vec::new());
    let mut ask = |question: &Value, answer: f64| {
        writeln!(asked, "{question}").unwrap();
        own.push((question.clone(), answer));
    };
    for _ in 0..200 {
        let (t, freedom) = (rng.f64() * 12.0, f64::from(rng.u32(1..200)));
        ask(&json!(["t", t, freedom]), student_t(t, freedom));
        let of = [rng.u64(1..3_000), rng.u64(1..3_000)];
        let share = rng.f64() * 0.2;
        let [a, b] = of.map(|of| ((of as f64 * share * rng.f64()) as u64, of));
        ask(&json!(["fisher", [a.0, a.1], [b.0, b.1]]), fisher(a, b).unwrap());
        let mut sample = |factor: f64| {
            let mut durations =
                |count| (0..count).map(|_| (rng.f64() * factor) as u64 + 1).collect::<Vec<_>>();
            [durations(40), durations(9)]
        };
        let samples = [sample(40.0), sample(60.0)];
        let [a, b] = samples.each_ref().map(|[ended, going_on]| spread(ended, going_on));
        let test = rank_test(&a, &b, RankWeight::LogRank).unwrap();
        ask(&json!(["log-rank", samples[0], samples[1]]), test.z.abs());
        let [a, b] = samples.each_ref().map(|[ended, _]| spread(ended, &[]));
        let test = rank_test(&a, &b, RankWeight::Gehan).unwrap();
        ask(&json!(["effect", samples[0], samples[1]]), test.effect);
    }
    let input = lab_file(&asked);
    let mut command = Command::new(python("python"));
    let scipy = Program::with_input(command.args(["-c", SCIPY]), input.into()).wait();
    assert_eq!(scipy.code(), 0, "{}", scipy.err);
    let answers: Vec<f64> = scipy.out.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(answers.len(), own.len());
    for ((question, own), scipy) in own.iter().zip(answers) {
        let is_near = (own - scipy).abs() <= 1e-7 * scipy.abs() + 1e-15;
        assert!(is_near, "{question}: {own} instead of {scipy}");
    }
}

fn spread(ended: &[u64], going_on: &[u64]) -> Spread {
    let mut spread = Spread::default();
    for ns in ended {
        spread.add(*ns);
    }
    for ns in going_on {
        spread.add_going_on(*ns);
    }
    spread
}

/// A file with this text, to be read from its beginning.
fn lab_file(text: &str) -> fs::File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.rewind().unwrap();
    file
}

/// Names from outside do no harm, in any format.
#[test]
fn hostile_names_stay_where_they_are() {
    let lab = Lab::new();
    let name = "a\u{1b}[31m,\"\n";
    let record = |file: &str| {
        lab.record_while(file, || {
            let listener = lab.server.run(|| listen(SERVER.into(), WEB));
            for _ in 0..3 {
                let words = ["name", name, "10.77.0.2", "8080"];
                program::run(lab.client.command(actor()).args(words));
                close(listener.accept().unwrap().0);
            }
            close(listener);
            lab.client.settle();
        })
    };
    let (one, other) = (record("one"), record("other"));
    let shown = diff("", &[&one, &other]);
    assert!(
        !shown.out.contains('\u{1b}') && shown.out.contains("a\\x1b[31m,\"\\n as client"),
        "{}",
        shown.out
    );
    let report = report_of("", &[&one, &other]);
    let rows = report["rows"].as_array().unwrap();
    assert!(rows.iter().any(|row| row["comm"] == "a\\x1b[31m,\"\\n"), "{report}");
    let csv = diff("-o csv", &[&one, &other]).out;
    let mut csv = csv::Reader::from_reader(csv.as_bytes());
    let comm = csv.headers().unwrap().iter().position(|key| key == "comm").unwrap();
    let found: Vec<_> = csv.records().map(Result::unwrap).collect();
    assert_eq!(found.len(), rows.len());
    assert!(found.iter().any(|row| &row[comm] == "a\\x1b[31m,\"\\n"), "{found:?}");
}

/// What is missing is said, and fails with `--strict`; what is none is refused.
#[test]
fn what_is_not_whole_is_said() {
    let lab = Lab::new();
    let empty = lab.record_while("empty", || {});
    let whole = lab.record("whole", 40, Trouble::None);
    let torn = lab.path("torn");
    let bytes = fs::read(&whole).unwrap();
    fs::write(&torn, &bytes[..bytes.len() - 1]).unwrap();

    let ended = diff("--strict", &[&empty, &empty]);
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert!(ended.out.contains("nothing has changed"), "{}", ended.out);
    assert!(ended.err.contains("nothing ended on a side"), "{}", ended.err);
    let ended = diff("--strict", &[&whole, &torn]);
    assert_eq!(ended.code(), 3, "{}", ended.err);
    assert!(ended.err.contains("compare with care: whether all is there: yes (A), no (B)"), "{}", ended.err);
    assert_eq!(diff("", &[&whole, &torn]).code(), 0);

    let filtered = lab.path("filtered");
    let cut = format!("recording cut {} --port 8080 --to {}", whole.display(), filtered.display());
    assert_eq!(tracer::run(&cut).code(), 0);
    let ended = diff("", &[&whole, &filtered]);
    assert!(ended.err.contains("compare with care: filter: --netns "), "{}", ended.err);

    let text = lab.path("text");
    fs::write(&text, "no recording").unwrap();
    for (arguments, recordings, code, says) in [
        ("", &[&*whole, &text][..], 1, "not a recording"),
        ("", &[&*whole, &lab.path("absent")], 1, "absent"),
        ("", &[&*whole], 2, "--a-until and --b-since"),
        ("- -", &[], 2, "standard input can be read once"),
        ("--fail-on anything", &[&*whole, &whole], 2, "regressions"),
        (
            "--a-since 2020-01-01T00:00:00Z --a-until 2020-01-02T00:00:00Z",
            &[&*whole, &whole],
            1,
            "nothing in",
        ),
    ] {
        let ended = diff(arguments, recordings);
        assert_eq!(ended.code(), code, "{arguments}: {}", ended.err);
        assert!(ended.err.contains(says), "{arguments}: {}", ended.err);
    }
}
