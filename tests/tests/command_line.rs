//! Completions and manual pages, which are generated from the command line's definition. Real shells and
//! groff read them.

use std::{fs, path::PathBuf, process::Command};

use tests::{
    place::Place,
    program::{Program, output, run},
    tracer::{self, binary},
};

const COMMANDS: [&str; 9] =
    ["log", "life", "summary", "top", "list", "report", "diff", "check", "completions"];

/// Writes the completions for a shell to a file in this folder. Returns its path.
fn completions(shell: &str, folder: &tempfile::TempDir) -> PathBuf {
    let script = run(Command::new(binary()).args(["completions", shell]));
    let path = folder.path().join("_tracer");
    fs::write(&path, script).unwrap();
    path
}

#[test]
fn bash_completes() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let path = completions("bash", &folder);
    let complete = |words: &str| {
        let script = format!(
            "source {}; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMP_LINE=\"${{COMP_WORDS[*]}}\"; \
             _clap_complete_tracer tracer \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"; echo \"${{COMPREPLY[@]}}\"",
            path.display()
        );
        run(on_path(Command::new("bash").args(["--norc", "-c", &script]), &folder))
    };
    let offered = complete("tracer c");
    assert!(offered.contains("check") && offered.contains("completions"), "{offered}");
    let offered = complete("tracer summary --b");
    assert!(offered.contains("--by") && offered.contains("--buffer"), "{offered}");
    let offered = complete("tracer summary --finding clo");
    assert!(offered.contains("close-wait="), "{offered}");
    let offered = complete("tracer log --output c");
    assert!(offered.contains("csv"), "{offered}");
    for (words, expected) in values(&place) {
        // Its own splitting of words is at each blank.
        let offered = complete(&words.replace(" ''", " \"\""));
        assert!(offered.split_whitespace().any(|word| word == expected), "{words}: {offered}");
    }
}

/// Command lines that end in the beginning of a value, and what has to be offered for it, as one of several.
fn values(place: &Place) -> [(String, String); 8] {
    let netns = place.name();
    [
        ("tracer --state CL", "CLOSE_WAIT"),
        ("tracer life --reason refused,reset-local-l", "refused,reset-local-linger"),
        ("tracer log --columns time,stuck", "time,stuck_us"),
        ("tracer summary --uid roo", "root"),
        ("tracer top --stuck close_w", "CLOSE_WAIT="),
        ("tracer --transition EST", "ESTABLISHED:"),
        ("tracer --slow LAST", "LAST_ACK="),
        (&format!("tracer --netns {}", &netns[..netns.len() - 1]), netns),
    ]
    .map(|(words, expected)| (words.to_owned(), expected.to_owned()))
}

/// The shell finds the program on its path. It has no privileges, and needs none.
fn on_path<'a>(command: &'a mut Command, folder: &tempfile::TempDir) -> &'a mut Command {
    let link = folder.path().join("tracer");
    if !link.exists() {
        std::os::unix::fs::symlink(fs::canonicalize(binary()).unwrap(), link).unwrap();
    }
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}", folder.path().display()))
}

#[test]
fn zsh_completes() {
    let folder = tempfile::tempdir().unwrap();
    let path = completions("zsh", &folder);
    run(Command::new("zsh").args(["-f", "-n"]).arg(&path));
    // The completion system registers a function for the command `tracer`.
    let script = format!(
        "fpath=({} $fpath); autoload -Uz compinit; compinit -u -D; print $_comps[tracer]",
        folder.path().display()
    );
    assert_eq!(run(Command::new("zsh").args(["-f", "-c", &script])).trim(), "_tracer");
    // What the function offers, by a `_describe` that tells it.
    let place = Place::new();
    let complete = |words: &str| {
        let script = format!(
            "compdef() {{ }}; _describe() {{ print -rl -- ${{(P)3}} }}; source {}; words=({words}); CURRENT=$#words; \
             _clap_dynamic_completer_tracer",
            path.display()
        );
        run(on_path(Command::new("zsh").args(["-f", "-c", &script]), &folder))
    };
    for command in COMMANDS {
        let offered = complete(&format!("tracer {}", &command[..2]));
        assert!(offered.lines().any(|line| line.starts_with(&format!("{command}:"))), "{command}: {offered}");
    }
    for (words, expected) in values(&place) {
        let offered = complete(&words).replace("\\:", "\u{1}");
        let mut offered = offered.lines().filter_map(|line| line.split(':').next());
        let expected = expected.replace(':', "\u{1}");
        assert!(offered.any(|value| value == expected), "{words}: {}", complete(&words));
    }
}

#[test]
fn fish_completes() {
    let folder = tempfile::tempdir().unwrap();
    let path = completions("fish", &folder);
    let complete = |line: &str| {
        let script = format!("source {}; complete -C '{line}'", path.display());
        run(on_path(Command::new("fish").args(["--no-config", "-c", &script]), &folder)
            .env("HOME", folder.path()))
    };
    let offered = complete("tracer su");
    assert!(offered.starts_with("summary\t"), "{offered}");
    let offered = complete("tracer top --st");
    assert!(offered.contains("--stuck") && offered.contains("--state"), "{offered}");
    let offered = complete("tracer summary --by ");
    assert!(offered.contains("peer") && offered.contains("cgroup"), "{offered}");
    let place = Place::new();
    for (words, expected) in values(&place) {
        let offered = complete(&words);
        assert!(
            offered.lines().any(|line| line.split('\t').next() == Some(&*expected)),
            "{words}: {offered}"
        );
    }
}

#[test]
fn a_shell_that_is_unknown_is_refused_and_forges_nothing() {
    let mut command = Command::new(binary());
    let ended =
        Program::collect(command.env("TRACER_COMPLETE", "x\n\x1b[2J").args(["--", "tracer", ""])).wait();
    assert_eq!((ended.code(), ended.err.lines().count()), (2, 1), "{}", ended.err);
    assert!(ended.err.starts_with("tracer: completions: ") && !ended.err.contains('\x1b'), "{}", ended.err);
}

/// A shell asks while somebody types: nothing may be loaded, and no privilege be needed.
#[test]
fn who_asks_needs_no_privileges() {
    let (_folder, binary) = tracer::public_binary();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(binary);
    command.env("TRACER_COMPLETE", "fish").args(["--", "tracer", "--state", "SYN_S"]);
    assert_eq!(run(&mut command).trim(), "SYN_SENT");
}

#[test]
fn manuals_are_there_for_every_command_and_sound() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = tempfile::tempdir().unwrap();
    run(Command::new(env!("CARGO")).current_dir(&root).args(["xtask", "man", "--out"]).arg(folder.path()));
    for command in std::iter::once("").chain(COMMANDS) {
        let name = if command.is_empty() { "tracer".to_owned() } else { format!("tracer-{command}") };
        let page = folder.path().join(format!("{name}.1"));
        let output = output(Command::new("groff").args(["-man", "-Tascii", "-ww", "-P-cbou"]).arg(&page));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{name}");
        let text = String::from_utf8(output.stdout).unwrap();
        let help = run(Command::new(binary()).args(command.split_whitespace()).arg("--help"));
        let options = help.split_whitespace().filter(|word| word.starts_with("--") && word.len() > 4);
        for option in options {
            let option = option.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            let option = option.split(['=', ',']).next().unwrap();
            // Aliases of options are only in the help.
            let is_alias = ["--localport", "--remoteport"].contains(&option);
            assert!(is_alias || text.contains(option), "no {option} in {name}: {text}");
        }
    }
}
