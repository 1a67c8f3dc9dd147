//! `tracer explain`: its screens, character by character, and whether its commands can be typed.
//! `UPDATE_SCREENS=1 cargo test` takes the screens as they are now.

// A panic is how a test says that it failed.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::PathBuf;

use clap::Parser as _;
use tracer::{
    cli::{Cli, Command, list::with_formats},
    config,
    explain::{
        explain,
        here::Here,
        lookup::find,
        screen::Look,
        texts::{Language, Texts},
        topic::Topic,
    },
};
use unicode_width::UnicodeWidthStr as _;

const LOOK: Look = Look { width: 80, colour: false };

fn shown(word: Option<&str>, look: Look) -> String {
    explain(word, Language::ENGLISH, look, |_| None).unwrap()
}

#[test]
fn screens_are_as_they_were() {
    for (name, word) in [
        ("state", Some("CLOSE_WAIT")),
        ("transition", Some("FIN_WAIT1:CLOSING")),
        ("reason", Some("reset-local-unread")),
        ("finding", Some("accept-queue")),
        ("column", Some("idle_us")),
        ("interface", Some("RX-DRP")),
        ("route", Some("route:type")),
        ("story", Some("close")),
        ("list", None),
    ] {
        let path =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/screens/explain-{name}.txt"));
        let screen = shown(word, LOOK);
        if std::env::var_os("UPDATE_SCREENS").is_some() {
            std::fs::write(&path, &screen).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), screen, "{name}");
    }
}

/// A state in each language: nothing is cut or misplaced by wide characters, and what is never translated is not.
#[test]
fn screens_of_other_languages_are_as_they_were() {
    for language in Language::all().filter(|language| *language != Language::ENGLISH) {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join(format!("tests/screens/explain-state-{language}.txt"));
        let screen = explain(Some("CLOSE_WAIT"), language, LOOK, |_| None).unwrap();
        if std::env::var_os("UPDATE_SCREENS").is_some() {
            std::fs::write(&path, &screen).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), screen, "{language}");
        for word in
            ["CLOSE_WAIT", "LAST_ACK", "Recv-Q", "RLIMIT_NOFILE", "tracer list -tnp --state CLOSE_WAIT"]
        {
            assert!(screen.contains(word), "{language}: {word}");
        }
    }
}

/// In the list each word has one line, which says something whole.
#[test]
fn no_line_of_the_list_is_cut() {
    for language in Language::all() {
        let list = explain(None, language, LOOK, |_| None).unwrap();
        let cut = list.lines().filter(|line| line.contains('…')).collect::<Vec<_>>();
        assert_eq!(cut, [""; 0], "{language}");
    }
}

/// What there is on the host stands at the end of a state, and sentences come only where they are true.
#[test]
fn what_is_here_is_told_last() {
    let here = Here {
        count: 50,
        oldest_ns: Some(90_000_000_000),
        owners: vec![("python3 (412)".into(), 48)],
        limit_ns: Some(60_000_000_000),
        stuck: 50,
        hidden: 2,
        is_part: true,
        ..Here::default()
    };
    for (language, first) in Language::all().zip([
        "On this host now\n  50, oldest 90.0s, python3 (412) 48\n  Here for longer than `--stuck` allows by default: 50\n",
        "このホストの現状\n  50, 最古 90.0s, python3 (412) 48\n  `--stuck` の既定の制限時間を超えたソケット： 50\n",
        "Actuellement sur cet hôte\n  50, la plus ancienne 90.0s, python3 (412) 48\n",
        "Neste host, agora\n  50, mais antiga 90.0s, python3 (412) 48\n",
    ]) {
        let screen = explain(Some("CLOSE_WAIT"), language, LOOK, |_| Some(here.clone())).unwrap();
        let (_, told) = screen.split_once(first).unwrap_or_else(|| panic!("{language}: {screen}"));
        let (told, _) = told.split_once("\n\n").unwrap();
        assert!(told.lines().all(|line| line.starts_with("  ") && line.width() <= 80), "{language}: {told}");
    }
    let asked = std::cell::Cell::new(false);
    let reason = explain(Some("refused"), Language::ENGLISH, LOOK, |_| {
        asked.set(true);
        None
    });
    assert!(reason.is_ok() && !asked.get(), "only of states");
}

/// The program itself, with the locale's language.
#[test]
fn the_language_is_the_locale_s_or_the_one_asked_for() {
    let said = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tracer"));
        command.args(["explain", "refused"]).args(arguments).env_remove("LC_ALL").env_remove("LC_MESSAGES");
        let output = command.env_remove("LANG").envs(variables.iter().copied()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().lines().next().unwrap().to_owned()
    };
    let titles: Vec<_> = Language::all()
        .map(|language| {
            let screen = explain(Some("refused"), language, LOOK, |_| None).unwrap();
            screen.lines().next().unwrap().to_owned()
        })
        .collect();
    let [english, japanese, french, portuguese] = &titles[..] else { panic!("{titles:?}") };
    assert_eq!(&said(&[], &[]), english);
    assert_eq!(&said(&[("LANG", "ja_JP.UTF-8")], &[]), japanese);
    assert_eq!(&said(&[("LANG", "pt_BR.UTF-8")], &[]), portuguese);
    assert_eq!(&said(&[("LANG", "ja_JP.UTF-8"), ("LC_ALL", "fr_CA.UTF-8")], &[]), french);
    assert_eq!(&said(&[("LANG", "fr_FR.UTF-8"), ("LC_MESSAGES", "pt_PT.UTF-8")], &[]), portuguese);
    assert_eq!(&said(&[("LANG", "de_DE.UTF-8")], &[]), english);
    assert_eq!(&said(&[("LANG", "ja_JP.UTF-8")], &["--lang", "en"]), english);
    assert_eq!(&said(&[], &["--lang", "FR"]), french);
}

fn all_words(texts: &Texts) -> Vec<String> {
    let words = |topic: Topic| texts.words(topic).map(move |(word, _)| format!("{}:{word}", topic.name()));
    Topic::ALL.into_iter().flat_map(words).collect()
}

/// In every language. Only commands may be longer: they are to be copied.
#[test]
fn screens_keep_to_their_width() {
    for language in Language::all() {
        let texts = Texts::read(language).unwrap();
        for width in [40, 80] {
            let look = Look { width, colour: false };
            for word in all_words(&texts).iter().map(|word| Some(word.as_str())).chain([None]) {
                let screen = explain(word, language, look, |_| None).unwrap();
                let is_command =
                    |line: &str| line.trim_start().starts_with(['`', 't']) && line.contains("tracer ");
                let wide = screen.lines().filter(|line| line.width() > width && !is_command(line));
                assert_eq!(wide.collect::<Vec<_>>(), [""; 0], "{language} {word:?} {width}");
            }
        }
    }
}

#[test]
fn colours_change_no_word() {
    let texts = Texts::read(Language::ENGLISH).unwrap();
    for word in all_words(&texts).iter().map(|word| Some(word.as_str())).chain([None]) {
        let coloured = shown(word, Look { colour: true, ..LOOK });
        let plain = shown(word, LOOK).replace('`', "");
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain, "{word:?}");
        assert!(coloured.lines().all(|line| !line.contains('\u{1b}') || line.contains("\u{1b}[0m")));
    }
}

/// The commands of a text: what is quoted and begins with tracer's name, and what stands to be typed.
fn commands(texts: &Texts) -> Vec<String> {
    let entries = Topic::ALL.into_iter().flat_map(|topic| texts.words(topic).map(|(_, entry)| entry));
    let mut commands = Vec::new();
    for entry in entries {
        commands.extend(entry.next.iter().map(|(command, _)| command.clone()));
        let quoted = entry.texts().flat_map(|text| text.split('`').skip(1).step_by(2));
        commands.extend(quoted.filter(|quoted| quoted.starts_with("tracer ")).map(str::to_owned));
    }
    commands
}

/// The words of a command line, as a shell takes it: single quotes keep a word together.
fn as_shell(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        match index % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

#[test]
fn every_command_can_be_typed() {
    let texts = Texts::read(Language::ENGLISH).unwrap();
    let commands = commands(&texts);
    assert!(commands.len() > 100, "{}", commands.len());
    for line in commands {
        let words = as_shell(&line);
        let cli = Cli::try_parse_from(with_formats(words.iter().map(Into::into)))
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        // Columns and what belongs together are checked behind the parser.
        let checked = match cli.command.unwrap_or_else(|| Command::Log(Box::new(cli.log))) {
            Command::Log(args) => config::log(*args).map(|_| ()),
            Command::List(args) => config::list(*args).map(|_| ()),
            Command::Life(args) => config::life(*args).map(|_| ()),
            Command::Summary(args) if args.report.in_kernel => config::in_kernel(*args).map(|_| ()),
            Command::Summary(args) => config::summary(*args).map(|_| ()),
            Command::Serve(args) => config::serve(*args).map(|_| ()),
            Command::Record(args) => config::record(*args).map(|_| ()),
            Command::Recording(args) => config::recording(args).map(|_| ()),
            Command::Export(args) => config::export(*args).map(|_| ()),
            Command::Diff(args) => config::diff(&args).map(|_| ()),
            Command::Report(args) => config::report(*args).map(|_| ()),
            Command::Top(args) => config::top(*args).map(|_| ()),
            Command::Explain(args) => {
                let word = args.word.filter(|word| !["WORD", "STATE"].contains(&word.as_str()));
                if let Some(word) = word {
                    find(&texts, &word).unwrap_or_else(|error| panic!("{line}: {error}"));
                }
                Ok(())
            }
            Command::Check(_) | Command::Completions(_) => Ok(()),
        };
        checked.unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

#[test]
fn errors_are_one_line_and_harmless() {
    let error =
        explain(Some("CLOSE_WIAT\u{1b}[2J\n"), Language::ENGLISH, LOOK, |_| None).unwrap_err().to_string();
    assert!(error.contains("is it CLOSE_WAIT") && !error.contains(['\u{1b}', '\n']), "{error}");
}
