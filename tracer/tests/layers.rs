//! The rooms of the source tree, and which may know which: read from the sources.

// A panic is how a test says that it failed.
#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use walkdir::{DirEntry, WalkDir};

/// What each room may know, in the order of the way: itself, small tools and what comes before it. What is not
/// here must not be: `docs/how-it-works.md` says what each room is for. The crate's root may know all.
const MAY_KNOW: &[(&str, &str)] = &[
    ("text", ""),
    ("time", ""),
    ("output", "text"),
    ("sandbox", ""),
    ("tcp", "text time"),
    ("facts", "tcp text time"),
    ("filter", "tcp text"),
    ("recording", "facts filter output text"),
    ("source", "facts filter recording tcp text time"),
    ("track", "facts tcp text"),
    ("select", "facts filter tcp text track"),
    ("aggregate", "facts tcp text time track"),
    ("format", "facts tcp text time track"),
    ("explain", "format tcp text"),
    ("view", "aggregate explain facts format select tcp text track"),
    ("cli", "aggregate explain filter format recording select source tcp text time"),
    ("config", "aggregate cli explain facts filter format output recording select source tcp text time view"),
    (
        "run",
        "aggregate config explain facts filter output recording sandbox select source tcp text time track view",
    ),
];

/// Parts of a room that must not know what the room may.
const NEVER: &[(&str, &str)] = &[("source::script", "source::kernel"), ("source::older", "source::kernel")];

/// Files that are in no room.
const ROOT: [&str; 4] = ["lib", "main", "closed", "name_services"];

/// A file of the sources: its module path, and what it says without comments and tests.
struct Source {
    module: String,
    code: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// All files below a folder.
fn files(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = WalkDir::new(folder).into_iter().map(Result::unwrap);
    entries.filter(|entry| entry.file_type().is_file()).map(DirEntry::into_path)
}

fn sources() -> Vec<Source> {
    files(&root())
        .filter(|path| path.extension() == Some("rs".as_ref()))
        .map(|path| Source::read(&path))
        .collect()
}

impl Source {
    fn read(path: &Path) -> Self {
        let below = path.strip_prefix(root()).unwrap().with_extension("");
        let module = below.to_str().unwrap().replace('/', "::");
        let text = fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        Self {
            module: module.trim_end_matches("::mod").to_owned(),
            code: lines.collect::<Vec<_>>().join("\n"),
        }
    }

    fn is_in(&self, room: &str) -> bool {
        is_in(&self.module, room)
    }

    /// The room that it is in; `None` for the crate's root.
    fn room(&self) -> Option<&str> {
        let (room, _) = self.module.split_once("::").unwrap_or((&self.module, ""));
        (!ROOT.contains(&room)).then_some(room)
    }

    /// The paths of this crate that it names, in `use` trees and in code: below `crate::`, and below the
    /// module around it.
    fn names(&self) -> BTreeSet<String> {
        let around = self.module.rsplit_once("::").map_or("", |(around, _)| around);
        let mut names = self.paths("super::", &format!("{around}::"));
        names.append(&mut self.paths("crate::", ""));
        names
    }

    /// The paths behind each `start`, with `before` in its place.
    fn paths(&self, start: &str, before: &str) -> BTreeSet<String> {
        let mut paths = BTreeSet::new();
        for tree in self.code.split(start).skip(1) {
            expand(tree, before, &mut paths);
        }
        paths
    }
}

fn is_in(path: &str, room: &str) -> bool {
    path.strip_prefix(room).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Takes a path, or a tree of them, from the beginning of `text`; gives what is behind it.
fn expand<'a>(text: &'a str, before: &str, names: &mut BTreeSet<String>) -> &'a str {
    let text = text.trim_start();
    let Some(mut rest) = text.strip_prefix('{') else {
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').unwrap_or(text.len());
        let (path, rest) = text.split_at(end);
        let path = format!("{before}{path}");
        if path.ends_with("::") && rest.starts_with('{') {
            return expand(rest, &path, names);
        }
        names.insert(path.trim_end_matches("::").to_owned());
        return rest;
    };
    loop {
        rest = expand(rest, before, names).trim_start();
        // A name may be followed by `as` and another one.
        let end = rest.find([',', '}']).unwrap_or(rest.len());
        rest = &rest[end..];
        if let Some(more) = rest.strip_prefix(',') {
            rest = more.trim_start();
            if let Some(more) = rest.strip_prefix('}') {
                return more;
            }
        } else {
            return rest.strip_prefix('}').unwrap_or_default();
        }
    }
}

#[test]
fn trees_of_paths_are_read() {
    let mut names = BTreeSet::new();
    expand("{a::{b, c::{self as d, E}}, f::g as h, }; use", "", &mut names);
    let expected = ["a::b", "a::c::self", "a::c::E", "f::g"].map(str::to_owned);
    assert_eq!(names, BTreeSet::from(expected));
}

#[test]
fn rooms_know_what_they_may_and_no_more() {
    let sources = sources();
    assert!(sources.len() > 80, "the sources are not there: {}", sources.len());
    let rooms: BTreeSet<_> = sources.iter().filter_map(Source::room).collect();
    let listed: BTreeSet<_> = MAY_KNOW.iter().map(|(room, _)| *room).collect();
    assert_eq!(rooms, listed, "MAY_KNOW in {} has a line for each room, in `src`", file!());
    let mut broken = Vec::new();
    let mut known = BTreeSet::new();
    for source in &sources {
        let Some(room) = source.room() else { continue };
        let (_, may) = MAY_KNOW.iter().find(|(listed, _)| *listed == room).unwrap();
        let is_allowed = |other: &str| other == room || may.split(' ').any(|may| may == other);
        for name in source.names() {
            let other = name.split("::").next().unwrap();
            known.insert((room, other.to_owned()));
            if !is_allowed(other) {
                broken.push(format!(
                    "{} names {name}, but {room} may know only {may:?}: move it, hand its value in, or, if the \
                     way of a fact goes on from {other} to {room}, add \"{other}\" to {room}'s line of MAY_KNOW",
                    source.module
                ));
            }
        }
    }
    for (room, never) in NEVER {
        for source in sources.iter().filter(|source| source.is_in(room)) {
            let names = source.names().into_iter().filter(|name| is_in(name, never));
            broken.extend(names.map(|name| format!("{} names {name}: see NEVER", source.module)));
        }
    }
    for (room, may) in MAY_KNOW {
        let unused = may.split_terminator(' ').filter(|other| !known.contains(&(*room, (*other).to_owned())));
        broken.extend(unused.map(|other| format!("{room} does not know {other}: take it off MAY_KNOW")));
    }
    assert!(broken.is_empty(), "{}:\n{}", file!(), broken.join("\n"));
}

/// Views are many; none uses another. The keyboard is no view.
#[test]
fn no_view_knows_another() {
    let sources = sources();
    let rooms = fs::read_dir(root().join("view")).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        path.file_stem().unwrap().to_str().unwrap().to_owned()
    });
    let views: Vec<String> =
        rooms.filter(|room| !["mod", "input", "page", "reload"].contains(&room.as_str())).collect();
    assert!(views.len() > 3, "{views:?}");
    let mut broken = Vec::new();
    for source in &sources {
        for view in views.iter().filter(|view| source.is_in(&format!("view::{view}"))) {
            let names = source.names();
            let others = names.iter().filter_map(|name| name.strip_prefix("view::"));
            let others =
                others.filter(|other| views.iter().any(|view| is_in(other, view)) && !is_in(other, view));
            broken.extend(others.map(|other| format!("{} knows view::{other}", source.module)));
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// The library that speaks to the kernel stays where the kernel is.
#[test]
fn only_the_live_source_knows_aya() {
    let others: Vec<_> = sources().into_iter().filter(|source| !source.is_in("source::kernel")).collect();
    let words = |source: &Source| source.code.contains("aya::") || source.code.contains("aya_");
    let knowing: Vec<_> = others.iter().filter(|source| words(source)).map(|source| &source.module).collect();
    assert!(knowing.is_empty(), "{knowing:?}");
}

/// The library that reads the command line stays there.
#[test]
fn nobody_behind_the_command_line_knows_clap() {
    const MAY: [&str; 3] = ["cli", "config", "main"];
    let sources = sources();
    let behind = sources.iter().filter(|source| !MAY.iter().any(|room| source.is_in(room)));
    let knowing: Vec<_> =
        behind.filter(|source| source.code.contains("clap")).map(|source| &source.module).collect();
    assert!(knowing.is_empty(), "clap stays in {MAY:?}; words of values are in cli/values.rs: {knowing:?}");
}

/// What is due is due in the time of the events. Clocks are read, and waited for, by the live source, and by
/// what waits for people and files.
#[test]
fn nobody_behind_the_source_reads_a_clock() {
    const CLOCKS: [&str; 6] =
        ["Instant::now", "SystemTime", "clock_gettime", "monotonic_ns()", "Timestamp::now", ".elapsed()"];
    const WAITS: [&str; 3] = ["tokio::time", "std::thread::sleep", "crate::time::wait"];
    const MAY: [&str; 9] = [
        // It only names the calls.
        "sandbox",
        "source::kernel",
        "source::script",
        "source::replay::pace",
        "source::recorded",
        "source::streamed",
        // Its thread brings files to the disk, twice a second.
        "recording::writer",
        "output",
        "time::wait",
    ];
    // For people, after the first signal; for a service manager that wants to hear something in time.
    const MAY_WAIT: [&str; 2] = ["run::stop", "run::service_manager"];
    let uses = |source: &Source| {
        let words = CLOCKS.into_iter().filter(|clock| source.code.contains(clock)).map(str::to_owned);
        let paths = ["tokio::", "std::", "crate::"].into_iter().flat_map(|root| source.paths(root, root));
        let waits = paths.filter(|path| {
            !MAY_WAIT.iter().any(|room| source.is_in(room)) && WAITS.iter().any(|wait| is_in(path, wait))
        });
        words.chain(waits).collect::<Vec<_>>()
    };
    let sources = sources();
    let behind = sources.iter().filter(|source| !MAY.iter().any(|room| source.is_in(room)));
    let reading: Vec<_> =
        behind.map(|source| (&source.module, uses(source))).filter(|(_, uses)| !uses.is_empty()).collect();
    assert!(reading.is_empty(), "say when it is due (`View::due`, `Demand`) instead: {reading:?}");
}

/// One word, one meaning: no two types have the same name. Errors are each module's own.
#[test]
fn no_two_types_share_a_name() {
    let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources() {
        for line in source.code.lines() {
            // Each type that has a trait names the trait's types anew.
            if line.starts_with("    type ") {
                continue;
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            let (["pub" | "pub(crate)" | "pub(super)", kind, name, ..] | [kind, name, ..]) = &words[..]
            else {
                continue;
            };
            if ["struct", "enum", "trait", "type"].contains(kind) {
                let name = name.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned();
                places.entry(name).or_default().insert(source.module.clone());
            }
        }
    }
    assert!(places.len() > 100, "the sources are not there: {}", places.len());
    places.retain(|name, modules| !["Error", "Err"].contains(&name.as_str()) && modules.len() > 1);
    assert!(places.is_empty(), "{places:#?}");
}

/// `mod.rs` is the front of a room: it says what is in it.
#[test]
fn fronts_of_rooms_have_a_layout() {
    let fronts = files(&root()).filter(|path| path.ends_with("mod.rs"));
    let without: Vec<_> =
        fronts.filter(|front| !fs::read_to_string(front).unwrap().contains("//! # Layout")).collect();
    assert!(without.is_empty(), "{without:?}");
}

/// proptest replays the failures that it has found beside a source file of the same path.
#[test]
fn regressions_belong_to_sources() {
    let regressions = root().with_file_name("proptest-regressions");
    let source = |path: &Path| root().join(path.strip_prefix(&regressions).unwrap()).with_extension("rs");
    assert!(files(&regressions).next().is_some(), "there are none in {}", regressions.display());
    let stray: Vec<_> = files(&regressions).filter(|path| !source(path).exists()).collect();
    assert!(stray.is_empty(), "move them with their sources: {stray:?}");
}

/// Docs name files; a file that is moved takes its name with it.
#[test]
fn files_that_docs_name_are_there() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let docs = fs::read_dir(workspace.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages =
        docs.chain([workspace.join("README.md")]).filter(|path| path.extension().is_some_and(|e| e == "md"));
    let (mut named, mut missing) = (0, Vec::new());
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for name in text.split('`').skip(1).step_by(2) {
            let is_path = name.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c));
            let is_file =
                [".rs", ".txt", ".md", ".toml"].iter().any(|end| name.ends_with(end)) && name.contains('/');
            if !is_path || !is_file || name.starts_with('/') {
                continue;
            }
            named += 1;
            let places = ["", "tracer/src", "tracer", "tracer-ebpf/src", "tracer-common/src"];
            if !places.iter().any(|place| workspace.join(place).join(name).exists()) {
                missing.push(format!("{}: {name}", page.display()));
            }
        }
    }
    assert!(named > 20, "the docs name no files: {named}");
    assert!(missing.is_empty(), "{missing:#?}");
}
