//! `tracer report --against`: what the page says of what has changed.

// A panic is how a test says that it failed.
#![allow(clippy::unwrap_used)]

use std::{any::Any, fs, net::TcpListener, path::Path, process::Command, time::Duration};

use serde_json::Value;
use socket2::SockRef;
use tests::{
    browser::{WINDOWS, open},
    place::Place,
    program::{self, Ended, Program, close},
    reported::{Page, Recorded, V4, WIDTH, assert_quiet, record, record_with},
    tracer,
    traffic::{actor, connect, listen, wait_for_end},
};

/// The service of the traffic.
const WEB: u16 = 8080;

const MANY: usize = 600;

/// Connections to a service. Each so many-th is aborted by its client.
fn visits(place: &Place, aborted: Option<usize>) -> Box<dyn Any> {
    place.run(|| {
        let listener = listen(V4, WEB);
        for number in 0..MANY {
            visit(&listener, aborted.is_some_and(|each| number % each == 0));
        }
    });
    place.settle();
    Box::new(())
}

fn visit(listener: &TcpListener, is_aborted: bool) {
    let mut client = connect(listener.local_addr().unwrap()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    if is_aborted {
        SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
        close(client);
        wait_for_end(&mut server);
        return;
    }
    close(server);
    wait_for_end(&mut client);
    close(client);
}

fn against(before: &Recorded, after: &Recorded, name: &str) -> Page {
    after.report_with(["--against".as_ref(), before.path.as_os_str()], name)
}

fn diff(before: &Path, after: &Path) -> Value {
    let ended = Program::collect(tracer::command("diff -o json").args([before, after])).wait();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    serde_json::from_str(&ended.out).unwrap()
}

/// The words between two others.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(start).unwrap_or_else(|| panic!("no {start}"));
    rest.split_once(end).unwrap_or_else(|| panic!("no {end} behind {start}")).0
}

#[test]
fn what_has_become_worse_stands_first() {
    let place = Place::new();
    let before = record(&place, || visits(&place, None));
    let after = record(&place, || visits(&place, Some(10)));
    let page = against(&before, &after, "against.html");
    // The same as the command says.
    let diff = diff(&before.path, &after.path);
    assert_eq!(page.data["diff"], diff);
    assert_eq!(diff["changes"][0]["change"], "regression", "{diff:#}");

    let worse = between(&page.html, "<div class=\"worse\">", "</div>");
    let first = between(worse, "<li><bdi>", "</bdi>");
    assert!(first.starts_with("reset") && first.contains("port 8080"), "{worse}");
    let at = |words: &str| page.html.find(words).unwrap_or_else(|| panic!("no {words}"));
    assert!(at("<div class=\"worse\">") < at("id=\"changed\"") && at("id=\"changed\"") < at("id=\"time\""));
    let changed = between(&page.html, "id=\"changed\"", "</section>");
    let row = between(changed, "<tbody><tr>", "</tr>");
    assert!(row.contains(">regression<") && row.contains("port 8080") && row.contains(">Fisher"), "{row}");
    assert!(changed.contains("Holm") && changed.contains("below 0.001"), "{changed}");

    let steps = [
        WIDTH,
        "document.querySelector('.worse li').getBoundingClientRect().bottom",
        "document.querySelectorAll('details').forEach((one) => { one.open = true; })",
        "new Promise((resolve) => setTimeout(() => resolve(document.querySelectorAll('#changed-table tbody tr').length), 200))",
        "[...document.querySelectorAll('#changed-table tbody tr')].filter((row) => row.lastChild.textContent === 'regression').length",
        WIDTH,
    ];
    let regressions = diff["rows"].as_array().unwrap().iter().filter(|row| row["change"] == "regression");
    let regressions = regressions.count();
    for window in WINDOWS {
        let seen = open(&place, &page.path, window, &steps);
        assert_quiet(&seen, &page.path);
        assert_eq!([&seen.results[0], &seen.results[5]], [window.width; 2], "{window:?}");
        assert!(
            seen.results[1].as_f64().unwrap() < f64::from(window.height),
            "{window:?}: {:?}",
            seen.results[1]
        );
        assert_eq!(seen.results[3], diff["rows"].as_array().unwrap().len());
        assert!(
            regressions > 0 && seen.results[4] == regressions,
            "{:?}, not {regressions}",
            seen.results[4]
        );
    }

    // The other way round it is better.
    let page = against(&after, &before, "better.html");
    assert!(page.html.contains("Nothing has become worse") && !page.html.contains("class=\"worse\""));
    assert!(between(&page.html, "id=\"changed\"", "</section>").contains(">improvement<"));
}

#[test]
fn what_makes_it_hard_to_compare_is_said() {
    let place = Place::new();
    let recorded = record(&place, || visits(&place, None));
    let folder = recorded.folder.path();
    let page = against(&recorded, &recorded, "same.html");
    assert!(page.html.contains("Nothing has changed by more than chance"));
    assert!(page.html.contains("Nothing has become worse"));
    assert!(between(&page.html, "<div class=\"care\">", "</div>").contains("spans of the same host overlap"));

    let bytes = fs::read(&recorded.path).unwrap();
    fs::write(folder.join("torn.rec"), &bytes[..bytes.len() - 1]).unwrap();
    let run = |arguments: &str| Program::collect(tracer::command(arguments).current_dir(folder)).wait();
    let cut = run("recording cut host.rec --port 8080 --to cut.rec");
    assert_eq!(cut.code(), 0, "{}", cut.err);
    for (other, says) in [("torn.rec", "whether all is there: <bdi>no"), ("cut.rec", "filter: <bdi>")] {
        let ended = run(&format!("report host.rec --against {other} --to care.html"));
        assert_eq!(ended.code(), 0, "{}", ended.err);
        assert!(ended.err.contains("compare with care: "), "{}", ended.err);
        let page = Page::read(folder.join("care.html"));
        let care = between(&page.html, "<div class=\"care\">", "</div>");
        assert!(care.contains(says), "{care}");
    }
    // Filters and the span are those of both sides.
    let ended = run("report host.rec --against host.rec --port 1 --since +0s --to none.html");
    assert_eq!(ended.code(), 0, "{}", ended.err);
    let page = Page::read(folder.join("none.html"));
    assert_eq!((&page.data["diff"]["a"]["ended"], &page.data["diff"]["b"]["ended"]), (&0.into(), &0.into()));

    // No test is not the same as no change.
    assert!(page.html.contains("Too little happened to compare it") && !page.html.contains("Nothing has "));
    fs::write(folder.join("text.rec"), "no recording").unwrap();
    for (arguments, code, says) in [
        ("report host.rec --against torn.rec --strict --to -", 3, "compare with care"),
        ("report host.rec --against host.rec --strict --to -", 0, ""),
        ("report host.rec --against nowhere.rec", 1, "nowhere.rec"),
        ("report host.rec --against text.rec", 1, "not a recording"),
        ("report nowhere.rec --against -", 1, "nowhere.rec"),
        ("report - --against host.rec", 2, "a pipe can be read once: give a file"),
        ("report host.rec --against cut.rec --to cut.rec", 1, "a recording"),
    ] {
        let ended: Ended = run(arguments);
        assert_eq!(ended.code(), code, "{arguments}: {}", ended.err);
        assert!(ended.err.contains(says), "{arguments}: {}", ended.err);
    }
    assert!(!folder.join("report.html").exists());
    // What is before may come through a pipe.
    let input = fs::File::open(&recorded.path).unwrap();
    let piped = &mut tracer::command("report host.rec --against - --to piped.html");
    let ended = Program::with_input(piped.current_dir(folder), input.into()).wait();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    let rows = |name: &str| Page::read(folder.join(name)).data["diff"]["rows"].clone();
    assert_eq!(rows("piped.html"), rows("same.html"));
}

/// Names of processes, hosts and files that want to be markup.
#[test]
fn hostile_names_are_only_text() {
    let place = Place::new();
    let record = |host: &str| {
        let mut command = Command::new("unshare");
        let script = "printf %s \"$1\" > /proc/sys/kernel/hostname && shift && exec \"$@\"";
        command.args(["--uts", "sh", "-c", script, "sh", host]).arg(tracer::binary());
        command.args(["record", "--netns", place.name()]);
        record_with(&mut command, || {
            let listener = place.run(|| listen(V4, WEB));
            for name in ["</script><b>", "\"><img src=x>", "\x1b[2J<!--"] {
                for _ in 0..3 {
                    program::run(place.command(actor()).args(["name", name, "127.0.0.1", "8080"]));
                    wait_for_end(&mut listener.accept().unwrap().0);
                }
            }
            close(listener);
            place.settle();
            Box::new(())
        })
    };
    let (before, after) =
        (record("</section><script>hacked=1</script>"), record("</title><script>hacked=1</script>"));
    let name = after.folder.path().join("<script>hacked=1<!--\n <b>\u{202e}.rec");
    fs::rename(&before.path, &name).unwrap();
    let page = after.report_with(["--against".as_ref(), name.as_os_str()], "hostile.html");
    assert_eq!(page.html.matches("<script").count(), 2, "the page's own");
    let rows = page.data["diff"]["rows"].as_array().unwrap();
    assert!(rows.iter().any(|row| row["comm"] == "</script><b>"), "{rows:#?}");
    let steps = [
        "document.querySelectorAll('details').forEach((one) => { one.open = true; })",
        "new Promise((resolve) => setTimeout(() => resolve(document.getElementById('changed').innerText.includes('</script><b> as client')), 200))",
        "[typeof hacked, document.scripts.length, document.images.length, document.querySelectorAll('b').length]",
        "document.getElementById('changed').innerText.includes('</section><script>hacked=1</script>')",
        WIDTH,
    ];
    for window in WINDOWS {
        let seen = open(&place, &page.path, window, &steps);
        assert_quiet(&seen, &page.path);
        assert_eq!(seen.results[1..4], [true.into(), serde_json::json!(["undefined", 2, 0, 0]), true.into()]);
        assert_eq!(seen.results[4], window.width, "{window:?}");
    }
}
