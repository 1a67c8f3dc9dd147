//! What tracer finds around it: a pid namespace, a locale.

use std::process::Command;

use tests::{place::Place, program::Program, screen::Screen, tracer, traffic::churn};

/// In a pid namespace processes have other numbers than in events.
#[test]
fn process_ids_of_another_namespace_are_refused() {
    let within = |arguments: &str| {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc"]).arg(tracer::binary());
        Program::collect(command.args(arguments.split_whitespace())).wait()
    };
    for view in ["log", "life", "summary"] {
        let arguments = format!("{view} --duration 10ms -p 1");
        let ended = within(&arguments);
        assert_eq!(ended.code(), 2, "{arguments}: {}", ended.err);
        assert!(ended.err.contains("pid namespace") && ended.err.contains("--pid=host"), "{}", ended.err);
    }
    let ended = within("--duration 10ms --comm nobody");
    assert_eq!(ended.code(), 0, "{}", ended.err);
}

/// Who may mount can put a pipe over a namespace, which nobody ever writes to.
#[test]
fn a_pipe_in_the_place_of_a_namespace_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let script = "cd \"$1\" && touch netns && mkfifo pipe && unshare --net=netns true && mount --bind pipe netns \
        && exec \"$0\" --duration 10ms --netns 1";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(tracer::binary()).arg(folder.path());
    let ended = Program::collect(&mut command).wait();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert!(ended.err.contains("tracer: ready"), "{}", ended.err);
}

/// A summary in this locale, given as variables.
fn summary(place: &Place, options: &str, locale: [Option<&str>; 3]) -> String {
    let mut command = tracer::command(&format!("summary --color never --netns {} {options}", place.name()));
    for (variable, value) in ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().zip(locale) {
        match value {
            Some(value) => command.env(variable, value),
            None => command.env_remove(variable),
        };
    }
    let tracer = tracer::started(Program::collect(&mut command));
    churn(place, 30);
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    ended.out
}

#[test]
fn bars_are_drawn_in_what_the_locale_has() {
    let place = Place::new();
    for options in ["", "--in-kernel"] {
        for locale in [[None, None, Some("C")], [Some("POSIX"), None, Some("en_US.UTF-8")]] {
            let out = summary(&place, options, locale);
            assert!(out.is_ascii() && out.contains('#'), "{options} {locale:?}: {out}");
        }
        for locale in [[None; 3], [None, Some("C.UTF-8"), Some("C")]] {
            let out = summary(&place, options, locale);
            assert!(out.contains('█') && !out.contains('#'), "{options} {locale:?}: {out}");
        }
    }
}

#[test]
fn a_screen_is_drawn_in_what_the_locale_has() {
    let place = Place::new();
    churn(&place, 3);
    let draws_bars = |shown: &str| shown.contains("##") || shown.contains('█');
    for (locale, is_ascii) in [("C", true), ("C.UTF-8", false)] {
        let binary = tracer::binary();
        let script = format!("LC_ALL={locale} {} top --netns {}", binary.display(), place.name());
        let screen = Screen::run(120, 30, &script);
        let shown = screen.wait_for("bars", draws_bars);
        assert_eq!(shown.is_ascii(), is_ascii, "{shown}");
    }
}
