//! Whether crates.io would take what a user installs with `cargo install`, and the oldest compiler that it says.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{
    command::{cargo, output, run},
    root,
};

/// What is published, in this order.
const PUBLISHED: [&str; 2] = ["tracer-common", "tcp-tracer"];

/// Without these the program does nothing.
const OBJECTS: [&str; 3] = ["bpf/transitions.bpf.o", "bpf/summary.bpf.o", "bpf/sockets.bpf.o"];

/// Packs what would be published, and builds it from there.
pub(super) fn check() -> Result<()> {
    let packages = PUBLISHED.iter().flat_map(|package| ["--package", package]);
    let mut list = cargo();
    let list = output(list.current_dir(root()).args([
        "package",
        "--list",
        "--allow-dirty",
        "--package",
        PUBLISHED[1],
    ]))?;
    for object in OBJECTS {
        ensure!(list.lines().any(|file| file == object), "{object} is not in the package");
    }
    oldest_compiler()?;
    let mut publish = cargo();
    publish.current_dir(root()).args(["publish", "--dry-run", "--locked", "--allow-dirty"]).args(packages);
    run(&mut publish)
}

/// No library says that it needs a newer compiler than tracer does. Which features of the language and the standard
/// library tracer itself uses, clippy's lint `incompatible_msrv` and the edition say.
fn oldest_compiler() -> Result<()> {
    let mut tree = cargo();
    tree.current_dir(root()).args([
        "tree",
        "--quiet",
        "--locked",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
    ]);
    let tree = output(tree.args(["--package", PUBLISHED[1], "--format", "{p}"]))?;
    let mut metadata = cargo();
    let metadata =
        output(metadata.current_dir(root()).args(["metadata", "--quiet", "--locked", "--format-version=1"]))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let ours = version(env!("CARGO_PKG_RUST_VERSION")).context("a version")?;
    let mut counted = 0;
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let word = |name: &str| package[name].as_str().unwrap_or_default();
        let shown = format!("{} v{}", word("name"), word("version"));
        if !tree.lines().any(|line| line == shown || line.starts_with(&format!("{shown} "))) {
            continue;
        }
        counted += 1;
        let needs = package["rust_version"].as_str().and_then(version);
        ensure!(needs.is_none_or(|needs| needs <= ours), "{shown} needs Rust {}", word("rust_version"));
    }
    println!(
        "package: none of {counted} crates says that it needs a newer Rust than {}",
        env!("CARGO_PKG_RUST_VERSION")
    );
    Ok(())
}

fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}
