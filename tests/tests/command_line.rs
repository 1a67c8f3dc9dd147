//! Completions and manual pages, which are generated from the command line's definition. Real shells and
//! groff read them.

use std::{fs, path::PathBuf, process::Command};

use tests::{program::run, tracer::binary};

const COMMANDS: [&str; 6] = ["log", "life", "summary", "top", "check", "completions"];

/// Writes the completions for a shell to a file in this folder. Returns its path.
fn completions(shell: &str, folder: &tempfile::TempDir) -> PathBuf {
    let script = run(Command::new(binary()).args(["completions", shell]));
    let path = folder.path().join("_tracer");
    fs::write(&path, script).unwrap();
    path
}

#[test]
fn bash_completes() {
    let folder = tempfile::tempdir().unwrap();
    let path = completions("bash", &folder);
    let complete = |words: &str| {
        let script = format!(
            "source {}; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             COMP_LINE='{words}'; _tracer tracer \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"; echo \"${{COMPREPLY[@]}}\"",
            path.display()
        );
        run(Command::new("bash").args(["--norc", "-c", &script]))
    };
    let offered = complete("tracer c");
    assert!(offered.contains("check") && offered.contains("completions"), "{offered}");
    let offered = complete("tracer summary --b");
    assert!(offered.contains("--by") && offered.contains("--buffer"), "{offered}");
    let offered = complete("tracer log --output c");
    assert!(offered.contains("csv"), "{offered}");
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
    let script = fs::read_to_string(path).unwrap();
    for command in COMMANDS {
        assert!(script.contains(&format!("({command})")), "no {command}");
    }
}

#[test]
fn fish_completes() {
    let folder = tempfile::tempdir().unwrap();
    let path = completions("fish", &folder);
    let complete = |line: &str| {
        let script = format!("source {}; complete -C '{line}'", path.display());
        run(Command::new("fish").args(["--no-config", "-c", &script]).env("HOME", folder.path()))
    };
    let offered = complete("tracer su");
    assert!(offered.starts_with("summary\t"), "{offered}");
    let offered = complete("tracer top --st");
    assert!(offered.contains("--stuck") && offered.contains("--state"), "{offered}");
    let offered = complete("tracer summary --by ");
    assert!(offered.contains("peer") && offered.contains("cgroup"), "{offered}");
}

#[test]
fn manuals_are_there_for_every_command_and_sound() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = tempfile::tempdir().unwrap();
    run(Command::new(env!("CARGO")).current_dir(&root).args(["xtask", "man", "--out"]).arg(folder.path()));
    for command in std::iter::once("").chain(COMMANDS) {
        let name = if command.is_empty() { "tracer".to_owned() } else { format!("tracer-{command}") };
        let page = folder.path().join(format!("{name}.1"));
        let output =
            Command::new("groff").args(["-man", "-Tascii", "-ww", "-P-cbou"]).arg(&page).output().unwrap();
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
