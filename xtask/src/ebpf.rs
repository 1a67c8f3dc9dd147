//! `cargo xtask ebpf`: builds the kernel programs into `tracer/bpf`.
//!
//! The build is reproducible. `BUILD.txt` beside the objects records tools and inputs. `--check` fails when
//! the committed objects are stale.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};
use walkdir::WalkDir;

use crate::{
    command::{cargo, output, run},
    root, setup,
};

/// Arguments of `ebpf`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Change nothing; fail if the committed objects differ from what the sources produce
    #[arg(long)]
    check: bool,
}

impl Args {
    /// The arguments for `--check`.
    pub(crate) fn check() -> Self {
        Self { check: true }
    }
}

/// The objects: file name, and the arguments that build it.
const OBJECTS: [(&str, &[&str]); 4] = [
    ("transitions.bpf.o", &["--bin", "tracer-transitions", "--features", "hook"]),
    ("transitions-debug.bpf.o", &["--bin", "tracer-transitions", "--features", "hook,log"]),
    ("summary.bpf.o", &["--bin", "tracer-summary", "--features", "hook"]),
    ("sockets.bpf.o", &["--bin", "tracer-sockets"]),
];

/// The files and folders that the objects are built from.
const INPUTS: [&str; 5] = [
    "tracer-ebpf/src",
    "tracer-ebpf/Cargo.toml",
    "tracer-ebpf/Cargo.lock",
    "tracer-common/src",
    "tracer-common/Cargo.toml",
];

const RECORD: &str = "BUILD.txt";
const TARGET: &str = "bpfel-unknown-none";

/// Debian's compiler, for which Debian packages `core` for the BPF target. `TRACER_BPF_RUSTC` overrides it.
const RUSTC: &str = "/usr/bin/rustc";
const OBJCOPY: &str = "/usr/lib/llvm-22/bin/llvm-objcopy";

/// Builds the objects, then replaces the committed ones or compares with them.
pub(crate) fn ebpf(args: &Args) -> Result<ExitCode> {
    setup::packages(setup::EBPF)?;
    let linker = setup::bpf_linker()?;
    let committed = root().join("tracer/bpf");
    let target = root().join("target/ebpf");
    fs::create_dir_all(&target)?;
    let record = record(&linker)?;
    for (object, arguments) in OBJECTS {
        build(&linker, arguments, &target, &target.join(object))?;
    }
    if args.check {
        return check(&committed, &target, &record);
    }
    fs::create_dir_all(&committed)?;
    for (object, _) in OBJECTS {
        fs::copy(target.join(object), committed.join(object))?;
        println!("wrote tracer/bpf/{object}");
    }
    fs::write(committed.join(RECORD), record + &objects_hash(&committed)?)?;
    Ok(ExitCode::SUCCESS)
}

fn check(committed: &Path, built: &Path, record: &str) -> Result<ExitCode> {
    let remedy = "run `cargo xtask ebpf` and commit tracer/bpf";
    let recorded =
        fs::read_to_string(committed.join(RECORD)).with_context(|| format!("no {RECORD}: {remedy}"))?;
    if inputs_of(&recorded) != inputs_of(record) {
        bail!("the sources of the kernel side have changed since the objects were built: {remedy}");
    }
    if !recorded.ends_with(&objects_hash(committed)?) {
        bail!("the objects differ from those that {RECORD} records: {remedy}");
    }
    if !recorded.starts_with(record) {
        // Other tools produce other bytes, so a comparison would prove nothing. But the sources do build.
        println!("ebpf: other tools than in tracer/bpf/{RECORD}, so the objects were built but not compared");
        return Ok(ExitCode::SUCCESS);
    }
    for (object, _) in OBJECTS {
        if fs::read(committed.join(object)).ok() != Some(fs::read(built.join(object))?) {
            bail!("tracer/bpf/{object} differs from what the sources produce: {remedy}");
        }
    }
    println!("ebpf: the committed objects are what the sources produce, byte for byte");
    Ok(ExitCode::SUCCESS)
}

fn build(linker: &Path, arguments: &[&str], target: &Path, object: &Path) -> Result<()> {
    let mut build = cargo();
    build
        .current_dir(root().join("tracer-ebpf"))
        .env("RUSTC", rustc())
        // Neither the BPF target nor inline assembly for it is stable.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags(linker)?.join("\x1f"))
        .env_remove("RUSTC_WRAPPER")
        .env_remove("CARGO_INCREMENTAL")
        .args(["build", "--quiet", "--release", "--locked", "--target", TARGET, "--target-dir"])
        .arg(target)
        .args(arguments);
    run(&mut build)?;
    let built = target.join(TARGET).join("release").join(arguments[1]);
    // DWARF is ten times as large as the program, and nothing reads it: loader and verifier use BTF. Places in BTF
    // are offsets in sections already; what would relocate them is as large again.
    let unread = ["--strip-debug", "--remove-section=.rel.BTF", "--remove-section=.rel.BTF.ext"];
    run(Command::new(OBJCOPY).args(unread).arg(built).arg(object))
}

/// The compiler's flags. Local paths are replaced by paths that exist nowhere, so that every checkout
/// produces the same bytes, and no source line is copied into the type information.
fn flags(linker: &Path) -> Result<Vec<String>> {
    let mut flags: Vec<String> = ["-C", "debuginfo=2", "-C", "link-arg=--btf"].map(String::from).into();
    flags.push(format!("-Clinker={}", linker.display()));
    let places = remapped(&root())?.into_iter();
    flags.extend(places.map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display())));
    Ok(flags)
}

/// The folders that sources are in, and what takes their place in what is built: it exists nowhere.
pub(crate) fn remapped(source: &Path) -> Result<Vec<(PathBuf, &'static str)>> {
    let registries = fs::read_dir(cargo_home()?.join("registry/src")).into_iter().flatten().flatten();
    let registries = registries.map(|registry| (registry.path(), "/registry"));
    Ok(std::iter::once((source.to_owned(), "/tracer")).chain(registries).collect())
}

fn cargo_home() -> Result<PathBuf> {
    std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))
        .context("neither CARGO_HOME nor HOME is set")
}

fn rustc() -> PathBuf {
    std::env::var_os("TRACER_BPF_RUSTC").map_or(RUSTC.into(), PathBuf::from)
}

/// The text of `BUILD.txt` without the objects' hashes: the tools, and a hash of the inputs.
fn record(linker: &Path) -> Result<String> {
    let mut record =
        String::from("# Written by `cargo xtask ebpf`: what built the objects beside this file.\n");
    record += &output(Command::new(rustc()).arg("-vV"))?;
    record += &output(Command::new(linker).arg("--version"))?;
    let objcopy = output(Command::new(OBJCOPY).arg("--version"))?;
    let version = objcopy.lines().find(|line| line.contains("version")).unwrap_or_default();
    writeln!(record, "llvm-objcopy:{version}")?;
    writeln!(record, "inputs: {}", inputs_hash()?)?;
    Ok(record)
}

fn objects_hash(folder: &Path) -> Result<String> {
    let mut hashes = String::new();
    for (object, _) in OBJECTS {
        writeln!(hashes, "{object}: {:x}", Sha256::digest(fs::read(folder.join(object))?))?;
    }
    Ok(hashes)
}

fn inputs_of(record: &str) -> Option<&str> {
    record.lines().find(|line| line.starts_with("inputs: "))
}

fn inputs_hash() -> Result<String> {
    let mut hash = Sha256::new();
    for input in INPUTS {
        for entry in WalkDir::new(root().join(input)).sort_by_file_name() {
            let entry = entry?;
            if entry.file_type().is_file() {
                hash.update(entry.path().strip_prefix(root())?.as_os_str().as_encoded_bytes());
                hash.update(fs::read(entry.path())?);
            }
        }
    }
    Ok(format!("{:x}", hash.finalize()))
}
