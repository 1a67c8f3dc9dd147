//! `tracer report`: what the page says of a recording of incidents, in a browser.

// A panic is how a test says that it failed.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    collections::BTreeMap, ffi::OsStr, fs, os::unix::ffi::OsStrExt as _, path::Path, process::Command,
};

use tests::{
    agreement::{asked, assert_counted, counts},
    attack::cgroup::Cgroup,
    browser::{WINDOWS, Window, open},
    place::Place,
    program::{Ended, Program, close},
    reported::{Page, V4, WIDTH, assert_quiet, record, record_with, trouble},
    tracer,
    traffic::{actor, churn, connect, listen, wait_for_end},
};

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

/// DuckDB counts in the export of the same recording what the page says.
#[test]
fn figures_agree_with_duckdb() {
    let place = Place::new();
    let recorded = record(&place, || trouble(&place));
    let page = recorded.report("", "figures.html");
    let (log, lives) = (recorded.export(""), recorded.export("--life"));
    assert_counted(&page.data["total"], &log, &lives);

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
        "select reason, coalesce(closed_by, 'nobody') as first, count(*) as count from '{}' group by all",
        lives.display()
    ));
    assert_eq!(by_first, counts(&firsts, &["reason", "first"], "count"));
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
