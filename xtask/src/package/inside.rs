//! What comes with the program: gathered once, because it is the same for all architectures and packages.
//!
//! The folders are those of a system: `share/` for all packages, `deb/` and `rpm/` for what distributions have
//! in different places.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use walkdir::WalkDir;

use crate::{
    command::{cargo, output, run},
    man,
    package::site::Site,
    setup,
    vm::arch::Arch,
};

/// The list of components, in CycloneDX's format.
pub(super) const SBOM: &str = "tracer.cdx.json";

const THIRD_PARTY: &str = "third-party-licences";

/// Examples, as they are in `packaging/`.
const EXAMPLES: [&str; 4] = ["grafana", "kubernetes", "prometheus", "systemd"];

/// Gathers it. `program` runs on this machine.
pub(super) fn gather(site: &Site, program: &Path) -> Result<()> {
    site.empty("inside")?;
    let source = |name: &str| site.source.join(name);
    let inside = |name: &str| site.inside().join(name);
    let manual = inside("share/man/man1");
    man::pages(&site.source, &manual)?;
    for page in files(&manual)? {
        site.gzip(&page)?;
    }
    for (shell, file) in [
        ("bash", "share/bash-completion/completions/tracer"),
        ("fish", "share/fish/vendor_completions.d/tracer.fish"),
        ("zsh", "deb/share/zsh/vendor-completions/_tracer"),
        ("zsh", "rpm/share/zsh/site-functions/_tracer"),
    ] {
        let script = output(site.command(program).args(["completions", shell]))?;
        write(&inside(file), script)?;
    }
    let documents = inside("share/doc/tracer");
    for example in EXAMPLES {
        for file in files(&source("packaging").join(example))? {
            copy(&file, &documents.join("examples").join(file.strip_prefix(source("packaging"))?))?;
        }
    }
    copy(&source("README.md"), &documents.join("README.md"))?;
    copy(&source("CHANGELOG.md"), &documents.join("changelog"))?;
    site.gzip(&documents.join("changelog"))?;
    components(site, &documents.join(SBOM))?;
    write(&documents.join(THIRD_PARTY), licences(site)?)?;
    site.gzip(&documents.join(THIRD_PARTY))?;
    write(&inside("deb/changelog.Debian"), debian_changelog(site)?)?;
    for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
        copy(&source(licence), &inside("rpm/share/licenses/tracer").join(licence))?;
    }
    Ok(())
}

/// The files below a folder, in order.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = WalkDir::new(folder).sort_by_file_name().into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(entries
        .into_iter()
        .filter(|entry| !entry.file_type().is_dir())
        .map(walkdir::DirEntry::into_path)
        .collect())
}

/// Writes a file, and makes its folder if need be.
pub(super) fn write(file: &Path, contents: impl AsRef<[u8]>) -> Result<()> {
    fs::create_dir_all(file.parent().context("a folder")?)?;
    fs::write(file, contents).with_context(|| format!("writing {}", file.display()))
}

/// Copies a file, and makes its folder if need be.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().context("a folder")?)?;
    fs::copy(from, to).with_context(|| format!("copying {}", from.display())).map(drop)
}

fn debian_changelog(site: &Site) -> Result<String> {
    let date = output(Command::new("date").args(["-u", "-R", "-d", &format!("@{}", site.epoch)]))?;
    let maintainer = "The tracer authors <tracer-rs@users.noreply.github.com>";
    Ok(format!(
        "tracer ({}-1) unstable; urgency=medium\n\n  * What is new: see changelog.gz.\n\n -- {maintainer}  {date}",
        site.version
    ))
}

/// Lists what the program is made of.
fn components(site: &Site, to: &Path) -> Result<()> {
    let mut cyclonedx = site.command(setup::cargo_tool("cargo-cyclonedx", setup::CARGO_CYCLONEDX)?);
    cyclonedx.args(["cyclonedx", "-qq", "--format", "json", "--spec-version", "1.5", "--target"]);
    // What each architecture is made of is the same.
    cyclonedx.args([Arch::Amd64.triple(), "--manifest-path", "tracer/Cargo.toml"]);
    run(&mut cyclonedx)?;
    copy(&site.source.join("tracer/tcp-tracer.cdx.json"), to)?;
    // It writes one beside each manifest of the workspace.
    for entry in WalkDir::new(&site.source).min_depth(2).max_depth(2) {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(".cdx.json") {
            fs::remove_file(entry.path())?;
        }
    }
    let text = fs::read_to_string(to)?;
    let components: Value = serde_json::from_str(&text)?;
    if components["components"].as_array().is_none_or(|list| list.len() < 100) {
        bail!("{} lists too little", to.display());
    }
    // Crates of the workspace are named by their folder.
    let here = site.source.to_string_lossy();
    write(to, text.replace(&*here, "/tracer"))
}

/// The licences of the libraries in the program, each text once.
fn licences(site: &Site) -> Result<String> {
    let mut tree = site.command(cargo().get_program());
    tree.args([
        "tree",
        "--quiet",
        "--locked",
        "--package",
        "tcp-tracer",
        "--edges",
        "normal",
        "--prefix",
        "none",
    ]);
    tree.args(["--target", Arch::Amd64.triple(), "--format", "{p}"]);
    let tree = output(&mut tree)?;
    let used: Vec<_> = tree.lines().filter_map(|line| line.split_once(' ')).collect();
    let mut metadata = site.command(cargo().get_program());
    let metadata: Value = serde_json::from_str(&output(metadata.args([
        "metadata",
        "--quiet",
        "--locked",
        "--format-version=1",
    ]))?)?;
    let mut texts = BTreeMap::<String, Vec<String>>::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let word = |name: &str| package[name].as_str().unwrap_or_default();
        let (name, version) = (word("name"), word("version"));
        let is_used = used
            .iter()
            .any(|(used, rest)| *used == name && rest.split(' ').next() == Some(&format!("v{version}")));
        if !is_used || package["source"].is_null() {
            continue;
        }
        let who = format!("{name} {version} ({})", word("license"));
        let folder = Path::new(word("manifest_path")).parent().context("a manifest's folder")?;
        for file in fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()? {
            let name = file.file_name().to_string_lossy().to_uppercase();
            if ["LICENSE", "LICENCE", "COPYING", "NOTICE"].iter().any(|begin| name.starts_with(begin))
                && file.file_type()?.is_file()
            {
                let text = String::from_utf8_lossy(&fs::read(file.path())?).trim().to_owned();
                texts.entry(text).or_default().push(who.clone());
            }
        }
        if !texts.values().any(|all| all.contains(&who)) {
            texts.entry("(the package has no text of its licence)".to_owned()).or_default().push(who);
        }
    }
    let mut all = String::from("The licences of the libraries in tracer.\n");
    for (text, who) in texts {
        let mut who = who;
        who.dedup();
        write!(all, "\n{}\n{}\n\n{text}\n", "=".repeat(80), who.join("\n"))?;
    }
    Ok(all)
}
