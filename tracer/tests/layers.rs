//! The rooms of the source tree, and the arrows between them that must never be: read from the sources.

// A panic is how a test says that it failed.
#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// What must never know what. A room stands for all that is in it.
const NEVER: &[(&str, &str)] = &[
    ("facts", "source"),
    ("facts", "track"),
    ("facts", "view"),
    ("facts", "select"),
    ("facts", "aggregate"),
    ("facts", "format"),
    ("facts", "output"),
    ("facts", "run"),
    ("facts", "config"),
    ("facts", "cli"),
    ("source", "track"),
    ("source", "select"),
    ("source", "view"),
    ("source", "run"),
    ("source", "aggregate"),
    ("source", "format"),
    ("source", "output"),
    ("source", "config"),
    ("source", "cli"),
    ("track", "source"),
    ("track", "select"),
    ("track", "aggregate"),
    ("track", "format"),
    ("track", "view"),
    ("track", "output"),
    ("track", "run"),
    ("filter", "track"),
    ("filter", "source"),
    ("filter", "select"),
    ("select", "source"),
    ("select", "view"),
    ("select", "aggregate"),
    ("select", "format"),
    ("aggregate", "view"),
    ("aggregate", "source"),
    ("aggregate", "format"),
    ("aggregate", "select"),
    ("format", "source"),
    ("format", "view"),
    ("view", "source"),
    ("view", "run"),
    ("view", "output"),
    ("view", "cli"),
    ("output", "view"),
    ("output", "run"),
    ("tcp", "track"),
    ("tcp", "source"),
    ("text", "tcp"),
    ("text", "track"),
    ("time", "source"),
    ("run", "cli::words"),
    ("source::script", "source::kernel"),
    ("source::older", "source::kernel"),
];

/// A file of the sources: its module path, and what it says without comments and tests.
struct Source {
    module: String,
    code: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn sources() -> Vec<Source> {
    let mut folders = vec![root()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push(Source::read(&path));
            }
        }
    }
    sources
}

impl Source {
    fn read(path: &Path) -> Self {
        let below = path.strip_prefix(root()).unwrap().with_extension("");
        let module = below.to_str().unwrap().replace('/', "::");
        let text = fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        Self {
            module: module.trim_end_matches("::mod").to_owned(),
            code: lines.collect::<Vec<_>>().join("\n"),
        }
    }

    fn is_in(&self, room: &str) -> bool {
        is_in(&self.module, room)
    }

    /// The paths that it names, in `use` trees and in code: below `crate::`, and below the module around it.
    fn names(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        let around = self.module.rsplit_once("::").map_or("", |(around, _)| around);
        for tree in self.code.split("super::").skip(1) {
            expand(tree, &format!("{around}::"), &mut names);
        }
        for tree in self.code.split("crate::").skip(1) {
            expand(tree, "", &mut names);
        }
        names
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
fn no_room_knows_what_it_must_not() {
    let sources = sources();
    assert!(sources.len() > 80, "the sources are not there: {}", sources.len());
    let mut broken = Vec::new();
    for (room, never) in NEVER {
        assert!(sources.iter().any(|source| source.is_in(room)), "there is no room {room}");
        for source in sources.iter().filter(|source| source.is_in(room)) {
            let names = source.names();
            let named = names.iter().filter(|name| is_in(name, never));
            broken.extend(named.map(|name| format!("{} knows {name}", source.module)));
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Views are many; none uses another. The keyboard is no view.
#[test]
fn no_view_knows_another() {
    let sources = sources();
    let rooms = fs::read_dir(root().join("view")).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        path.file_stem().unwrap().to_str().unwrap().to_owned()
    });
    let views: Vec<String> = rooms.filter(|room| !["mod", "input"].contains(&room.as_str())).collect();
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

/// What is due is due in the time of the events. Clocks are read by the live source, and by what waits for
/// people and files.
#[test]
fn nobody_behind_the_source_reads_a_clock() {
    const CLOCKS: [&str; 6] =
        ["Instant::now", "SystemTime", "clock_gettime", "monotonic_ns()", "Timestamp::now", ".elapsed()"];
    const MAY: [&str; 4] = ["source::kernel", "source::script", "output", "run::stop"];
    let reads = |source: &Source| CLOCKS.iter().any(|clock| source.code.contains(clock));
    let sources = sources();
    let behind = sources.iter().filter(|source| !MAY.iter().any(|room| source.is_in(room)));
    let reading: Vec<_> = behind.filter(|source| reads(source)).map(|source| &source.module).collect();
    assert!(reading.is_empty(), "{reading:?}");
}

/// One word, one meaning: no two types have the same name. Errors are each module's own.
#[test]
fn no_two_types_share_a_name() {
    let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources() {
        for line in source.code.lines() {
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
    let mut folders = vec![root()];
    let mut without = Vec::new();
    while let Some(folder) = folders.pop() {
        folders.extend(
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()),
        );
        let front = folder.join("mod.rs");
        if front.exists() && !fs::read_to_string(&front).unwrap().contains("//! # Layout") {
            without.push(front);
        }
    }
    assert!(without.is_empty(), "{without:?}");
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
