//! `tracer report`: what the page says of a recording of incidents, in a browser.

// A panic is how a test says that it failed.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    any::Any,
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    net::{IpAddr, Ipv4Addr},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::Value;
use socket2::SockRef;
use tempfile::{TempDir, tempdir};
use tests::{
    attack::cgroup::Cgroup,
    browser::{Seen, WINDOWS, Window, open},
    engines::query,
    patience::until_or,
    place::Place,
    program::{Ended, Program, close},
    tracer,
    traffic::{
        SCENARIOS, actor, churn, connect, knock, leak, leaky, listen, listen_with_backlog, play, wait_for_end,
    },
};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A recording.
struct Recorded {
    folder: TempDir,
    path: PathBuf,
}

/// Records what happens in a namespace while `happen` runs. What it returns is kept until the end.
fn record(place: &Place, happen: impl FnOnce() -> Box<dyn Any>) -> Recorded {
    let command = &mut tracer::command(&format!("record --netns {}", place.name()));
    record_with(command, happen)
}

fn record_with(command: &mut Command, happen: impl FnOnce() -> Box<dyn Any>) -> Recorded {
    let folder = tempdir().unwrap();
    let path = folder.path().join("host.rec");
    let tracer = tracer::started(Program::collect(command.arg(&path)));
    let kept = happen();
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    drop(kept);
    Recorded { folder, path }
}

impl Recorded {
    /// Makes a page with these options.
    fn report(&self, options: &str, name: &str) -> Page {
        let path = self.folder.path().join(name);
        let mut command = tracer::command("report");
        command.arg(&self.path).arg("--to").arg(&path).args(options.split_whitespace());
        let ended = Program::collect(&mut command).wait();
        assert_eq!((ended.code(), &ended.out[..]), (0, ""), "{}", ended.err);
        Page::read(path)
    }

    /// Exports a row for each transition, or for each connection.
    fn export(&self, options: &str) -> PathBuf {
        let path = self.folder.path().join(format!("export{options}.parquet"));
        let mut command = tracer::command(&format!("export --format parquet {options} --to"));
        let ended = Program::collect(command.arg(&path).arg(&self.path)).wait();
        assert_eq!(ended.code(), 0, "{}", ended.err);
        path
    }
}

/// A page, and what its script draws.
struct Page {
    path: PathBuf,
    html: String,
    data: Value,
}

impl Page {
    fn read(path: PathBuf) -> Self {
        let html = fs::read_to_string(&path).unwrap();
        let (_, rest) = html.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
        let data = serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap();
        Self { path, html, data }
    }

    /// The sentences about what is wrong.
    fn findings(&self) -> Vec<&str> {
        let parts = self.html.split("<h3><bdi>").skip(1);
        parts.map(|part| part.split_once("</bdi>").unwrap().0).collect()
    }

    fn total(&self, key: &str) -> &Vec<Value> {
        self.data["total"][key].as_array().unwrap()
    }
}

/// Trouble of several kinds.
fn trouble(place: &Place) -> Box<dyn Any> {
    let (server, port) = leaky(place, "127.0.0.1");
    leak(place, "127.0.0.1", port, 7);
    for port in 1..=30 {
        place.run(|| connect((V4, 1 + port % 2).into())).unwrap_err();
    }
    place.run(resets);
    let (full, address) = listen_with_backlog(place, Ipv4Addr::LOCALHOST, 1);
    let waiting = knock(place, address, 6);
    place.run(|| SCENARIOS.into_iter().for_each(|scenario| play(scenario, place.own_v6().into())));
    churn(place, 200);
    until_or(
        "an overflow that is read twice",
        || {
            let counted = place.run(|| fs::read_to_string("/proc/thread-self/net/netstat").unwrap());
            // SYNs are sent again after a second and after three: counters are read each second.
            (overflows(&counted) > 8).then_some(())
        },
        || "the queue does not overflow".to_owned(),
    );
    Box::new((server, full, waiting))
}

/// Clients of one service abort.
fn resets() {
    let listener = listen(V4, 0);
    for _ in 0..20 {
        let client = connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
        close(client);
        wait_for_end(&mut server);
    }
}

fn overflows(netstat: &str) -> u64 {
    let mut lines = netstat.lines().filter_map(|line| line.strip_prefix("TcpExt: "));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let mut both = names.split(' ').zip(values.split(' '));
    both.find_map(|(name, value)| (name == "ListenOverflows").then(|| value.parse().unwrap())).unwrap()
}

/// Nobody is asked for anything, and nothing goes wrong.
fn assert_quiet(seen: &Seen, page: &Path) {
    assert!(seen.console.is_empty(), "{:?}", seen.console);
    assert_eq!(seen.requests, [format!("file://{}", page.display())]);
    assert!(seen.serious().is_empty(), "{:#?}", seen.serious());
    assert!(seen.opened_ms < 2_000.0, "{} ms", seen.opened_ms);
}

/// How wide the page is: as wide as its window.
const WIDTH: &str = "document.documentElement.scrollWidth";

#[test]
fn what_is_wrong_stands_first() {
    let place = Place::new();
    let recorded = record(&place, || trouble(&place));
    let page = recorded.report("--stuck CLOSE_WAIT=100ms", "incident.html");
    let findings = page.findings();
    for words in [
        &["actor (", "does not close connections"][..],
        &["Connects to 127.0.0.1:1 fail"],
        &["Connects to 127.0.0.1:2 fail"],
        &["end by RST"],
        &["to be accepted is full"],
    ] {
        let is_it = |finding: &&&str| words.iter().all(|word| finding.contains(word));
        assert!(findings.iter().find(is_it).is_some(), "{words:?} in {findings:#?}");
    }
    let path = recorded.path.display();
    assert!(page.html.contains(&format!("--from {path}</code>")), "commands are about the recording");
    assert!(page.html.find("id=\"wrong\"") < page.html.find("id=\"time\""));
    for window in WINDOWS {
        let seen = open(&place, &page.path, window, &[WIDTH]);
        assert_quiet(&seen, &page.path);
        assert_eq!(seen.results[0], window.width, "{window:?}");
    }
}

#[test]
fn no_finding_is_said_too() {
    let place = Place::new();
    let recorded = record(&place, || {
        churn(&place, 3);
        place.settle();
        Box::new(())
    });
    let page = recorded.report("", "fine.html");
    assert!(page.html.contains("Nothing was found") && page.findings().is_empty(), "{:?}", page.findings());
    assert!(page.html.contains("Nothing is missing"));
}

/// What somebody does with the page.
#[test]
fn the_page_can_be_used() {
    let place = Place::new();
    let recorded = record(&place, || trouble(&place));
    let page = recorded.report("--stuck CLOSE_WAIT=100ms", "used.html");
    let slots = page.data["slots"].as_array().unwrap().len();
    let steps = [
        // Every chart has a table behind it, which opens.
        "document.querySelectorAll('details').forEach((one) => { one.open = true; })",
        "new Promise((resolve) => setTimeout(() => resolve(document.querySelectorAll('details table').length), 200))",
        // Sorting by another column, and back.
        "(() => { const head = [...document.querySelectorAll('#longest th button')][2]; head.click(); \
         return head.parentNode.getAttribute('aria-sort'); })()",
        // The filter.
        "(() => { const input = document.getElementById('stuck-filter'); input.value = 'actor'; \
         input.dispatchEvent(new Event('input')); return document.querySelectorAll('#stuck tbody tr').length; })()",
        "(() => { const input = document.getElementById('stuck-filter'); input.value = 'nobody'; \
         input.dispatchEvent(new Event('input')); return document.querySelectorAll('#stuck tbody tr').length; })()",
        // The timeline of a connection.
        "(() => { const button = document.querySelector('#longest tbody button'); button.click(); \
         return [document.activeElement.getAttribute('aria-expanded'), document.querySelector('.life').children.length > 0]; })()",
        // A span that ends before anything happened, then all of it.
        "(() => { const until = document.getElementById('until'); until.value = 1; until.dispatchEvent(new Event('input')); \
         return document.getElementById('chosen').textContent; })()",
        "[...document.querySelectorAll('#diagram .count')].map((one) => Number(one.textContent.replace(/,/g, ''))).reduce((a, b) => a + b, 0)",
        "(() => { document.getElementById('all').click(); return document.getElementById('chosen').textContent; })()",
        "[...document.querySelectorAll('#diagram .count')].map((one) => Number(one.textContent.replace(/,/g, ''))).reduce((a, b) => a + b, 0)",
    ];
    let seen = open(&place, &page.path, Window { width: 1280, height: 800, dark: false }, &steps);
    assert_quiet(&seen, &page.path);
    let [_, tables, sorted, found, none, opened, some, few, all, many] = &seen.results[..] else { panic!() };
    assert!(tables.as_u64() >= Some(8), "{tables}");
    assert_eq!(sorted, "ascending");
    assert_eq!((found.as_u64(), none.as_u64()), (Some(7), Some(0)));
    assert_eq!(opened, &serde_json::json!(["true", true]));
    assert!(some.as_str().unwrap().contains(" is chosen ("), "{some}");
    assert_eq!(all, "All of the time is chosen.");
    assert!(slots > 10 && few.as_u64() < many.as_u64(), "{few} of {many}");
    let drawn: u64 = page.total("transitions").iter().filter_map(|row| row["count"].as_u64()).sum();
    assert!(many.as_u64() <= Some(drawn) && many.as_u64() > Some(drawn / 2), "{many} of {drawn}");
}

/// Counts of a table as a map.
fn counts<'a>(
    rows: impl IntoIterator<Item = &'a Value>,
    keys: &[&str],
    count: &str,
) -> BTreeMap<String, u64> {
    let key = |row: &Value| keys.iter().map(|key| row[*key].to_string()).collect::<Vec<_>>().join(" ");
    rows.into_iter()
        .map(|row| (key(row), row[count].as_u64().unwrap()))
        .filter(|(_, count)| *count > 0)
        .collect()
}

fn asked(sql: &str) -> Vec<Value> {
    query(sql).into_iter().map(Value::Object).collect()
}

/// DuckDB counts in the export of the same recording what the page says.
#[test]
fn figures_agree_with_duckdb() {
    let place = Place::new();
    let recorded = record(&place, || trouble(&place));
    let page = recorded.report("", "figures.html");
    let (log, lives) = (recorded.export(""), recorded.export("--life"));
    let (log, lives) = (log.display(), lives.display());

    let transitions =
        asked(&format!("select old_state, new_state, count(*) as count from '{log}' group by all"));
    let keys = ["old_state", "new_state"];
    assert_eq!(counts(page.total("transitions"), &keys, "count"), counts(&transitions, &keys, "count"));

    let reasons = asked(&format!("select reason, count(*) as count from '{lives}' group by all"));
    assert_eq!(counts(page.total("reasons"), &["reason"], "count"), counts(&reasons, &["reason"], "count"));

    // By who closed first, summed over the slots.
    let mut by_first = BTreeMap::new();
    for slot in page.data["slots"].as_array().unwrap() {
        for group in slot["e"].as_array().unwrap().chunks(3) {
            let numbers: Vec<_> = group.iter().map(|number| number.as_u64().unwrap()).collect();
            let name = &page.data["reasons"][usize::try_from(numbers[0]).unwrap()]["name"];
            let first = &page.data["closed_by"][usize::try_from(numbers[1]).unwrap()];
            *by_first.entry(format!("{name} {first}")).or_insert(0) += numbers[2];
        }
    }
    let firsts = asked(&format!(
        "select reason, coalesce(closed_by, 'nobody') as first, count(*) as count from '{lives}' group by all"
    ));
    assert_eq!(by_first, counts(&firsts, &["reason", "first"], "count"));

    // Rankings: by process, and by peer.
    for (place, key, of) in [(1, "remote_addr", "remote_addr"), (2, "comm", "comm")] {
        let rows = page.data["total"]["top"][place]["rows"].as_array().unwrap();
        let expected = asked(&format!(
            "select {of} as {key}, count(*) as count from '{log}' where new_state <> 'LISTEN' and old_state <> 'LISTEN' \
             or new_state = 'SYN_RECV' group by all"
        ));
        let found = counts(rows, &[key], "transitions");
        for (name, count) in counts(&expected, &[key], "count") {
            let is_there =
                name != "null" && found.get(&name).is_some_and(|found| found.abs_diff(count) <= 2 * 40);
            assert!(is_there || name == "null", "{name}: {count} in {found:?}");
        }
    }

    // Quantiles are within a hundredth: between the neighbours of the exact place.
    for times in page.total("states").iter().filter(|times| times["stays"].as_u64() > Some(20)) {
        let state = times["state"].as_str().unwrap();
        let exact = &asked(&format!(
            "select count(*) as n, quantile_disc(state_us, 0.5) as p50, quantile_disc(state_us, 0.9) as p90, \
             quantile_disc(state_us, 0.99) as p99, max(state_us) as longest from '{log}' \
             where old_state = '{state}' and state_us is not null"
        ))[0];
        assert_eq!(exact["n"], times["stays"], "{state}");
        for (ours, theirs) in [("p50_us", "p50"), ("p90_us", "p90"), ("p99_us", "p99"), ("max_us", "longest")]
        {
            let (ours, theirs) = (times[ours].as_f64().unwrap(), exact[theirs].as_f64().unwrap());
            assert!((ours - theirs).abs() <= theirs * 0.0101 + 0.01, "{state}: {ours} and {theirs}");
        }
    }
}

/// Names of processes.
const NAMES: [&[u8]; 6] = [
    b"</script><b>",
    b"\"><img src=x>",
    b"'-alert(1)-'",
    "\u{5e9}\u{5dd}\u{202e}\u{5d0}".as_bytes(),
    b"\x1b[2J<!--\xff",
    b"{{1}}${1}&lt;",
];

/// A host, processes and a cgroup whose names want to be markup.
#[test]
fn hostile_names_are_only_text() {
    let place = Place::new();
    let listener = place.run(|| listen([127, 77, 4, 1].into(), 0));
    let port = listener.local_addr().unwrap().port().to_string();
    let cgroup = Cgroup::named(OsStr::from_bytes(
        format!("<script>hacked=1<!--{}", "\u{5e9}long".repeat(30)).as_bytes(),
    ));
    // A host may be called anything.
    let host = "</title><script>hacked=1</script>&\"'";
    let mut command = Command::new("unshare");
    let script = "printf %s \"$1\" > /proc/sys/kernel/hostname && shift && exec \"$@\"";
    command.args(["--uts", "sh", "-c", script, "sh", host]).arg(tracer::binary());
    command.args(["record", "--netns", place.name()]);
    let recorded = record_with(&mut command, || {
        for (number, name) in NAMES.into_iter().enumerate() {
            let mut command = place.command(actor());
            command.arg("name").arg(OsStr::from_bytes(name)).args(["127.77.4.1", &port]);
            if number % 2 == 0 {
                cgroup.hold(&mut command);
            }
            let process = Program::collect(&mut command);
            wait_for_end(&mut listener.accept().unwrap().0);
            process.wait();
        }
        Box::new(())
    });
    let page = recorded.report("", "hostile.html");
    assert_eq!(page.html.matches("<script").count(), 2, "the page's own");
    let talks = page.data["talks"]["rows"].as_array().unwrap();
    assert!(talks.iter().any(|talk| talk["comm"] == "</script><b>"), "{talks:#?}");
    let steps = [
        WIDTH,
        "[typeof hacked, document.scripts.length, document.images.length, document.querySelectorAll('b').length]",
        "document.querySelectorAll('details').forEach((one) => { one.open = true; })",
        "new Promise((resolve) => setTimeout(() => resolve(document.body.innerText.includes('</script><b>')), 200))",
        "document.querySelector('h1').textContent",
        WIDTH,
    ];
    for window in WINDOWS {
        let seen = open(&place, &page.path, window, &steps);
        assert_quiet(&seen, &page.path);
        assert_eq!(seen.results[1], serde_json::json!(["undefined", 2, 0, 0]));
        assert_eq!([&seen.results[0], &seen.results[5]], [window.width; 2], "{window:?}");
        assert_eq!(seen.results[3], true);
        assert!(
            seen.results[4].as_str().unwrap().contains("<script>hacked=1</script>"),
            "{}",
            seen.results[4]
        );
    }
}

fn run(arguments: &str, folder: &Path) -> Ended {
    Program::collect(tracer::command(arguments).current_dir(folder)).wait()
}

#[test]
fn the_page_goes_where_it_is_asked_for() {
    let place = Place::new();
    let recorded = record(&place, || {
        let (client, server) = place.run(|| {
            let listener = listen(V4, 0);
            let client = connect(listener.local_addr().unwrap()).unwrap();
            (client, listener.accept().unwrap().0)
        });
        close(client);
        Box::new(server)
    });
    let folder = recorded.folder.path();
    // By default into the folder in which tracer runs; what is there is replaced.
    fs::write(folder.join("report.html"), "old").unwrap();
    let ended = run("report host.rec", folder);
    assert_eq!((ended.code(), &ended.out[..]), (0, ""), "{}", ended.err);
    let page = Page::read(folder.join("report.html"));
    let ended = run("report host.rec --to -", folder);
    let strip = |html: &str| html.replace("tracer report host.rec --to -", "tracer report host.rec");
    assert!(ended.code() == 0 && strip(&ended.out) == page.html, "{}", ended.err);
    // Filters, and a part of the time.
    let ended = run("report host.rec --reason refused --to refused.html", folder);
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert!(Page::read(folder.join("refused.html")).total("reasons").is_empty());
    for (arguments, code, says) in [
        ("report", 2, "<FILE>"),
        ("report nowhere.rec", 1, "nowhere.rec"),
        ("report host.rec --to no/such.html", 1, "no/such.html"),
        ("report host.rec --to host.rec", 1, "a recording"),
        ("report host.rec --since 2001-01-01T00:00:00Z --until 2001-01-02T00:00:00Z", 1, ""),
    ] {
        let ended = run(arguments, folder);
        assert_eq!(ended.code(), code, "{arguments}: {}", ended.err);
        assert!(ended.err.contains(says), "{arguments}: {}", ended.err);
    }
    let names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "nothing else is left: {names:?}");
}
