//! `cargo xtask vm`: runs tracer on other kernels in virtual machines, and compares it with those kernels'
//! own trace buffers.
//!
//! # Layout
//! - `kernel`, `arch`: the kernels to boot, and their architectures
//! - `apt`, `sources`: download Debian's packages through a private apt
//! - `build`, `image`: build the programs for guests, and the initramfs with them
//! - `guest`: runs one guest
//! - `power`: cuts the power of one
//! - `report`: the tables of results, and what failed
//! - `known`: earlier results, to compare with

mod apt;
pub(crate) mod arch;
mod build;
mod guest;
mod image;
mod kernel;
mod known;
mod power;
mod report;
mod sources;

pub(crate) use build::RUSTC;

use std::{
    cmp::Reverse,
    collections::HashMap,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::mpsc,
    thread,
    time::Instant,
};

use ::guest::{Found, Play};
use anyhow::{Context as _, Result, anyhow, bail};

use crate::{
    command::run,
    package, root, setup,
    vm::{
        apt::Apt,
        arch::Arch,
        guest::{Run, Slot},
        kernel::Kernel,
        known::Known,
    },
};

/// Arguments of `vm`.
#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// A version of Debian's kernel, such as 6.1 or `newest`, or the path of an image; may be repeated
    /// [default: 5.10, 6.1, 6.12 and newest]
    #[arg(long, value_name = "VERSION|PATH")]
    kernel: Vec<String>,
    /// Only this architecture; for an image, its architecture
    #[arg(long)]
    arch: Option<Arch>,
    /// Measure what each kernel program costs, and nothing else [default kernels: 6.12 and newest]
    #[arg(long)]
    costs: bool,
    /// Cut the power of a guest that records, and nothing else [default kernel: newest, on amd64]
    #[arg(long, conflicts_with = "costs")]
    power: bool,
    /// Install the packages for Debian that `cargo xtask package` has made, instead of what is built now, and remove them
    #[arg(long, conflicts_with = "update")]
    packaged: bool,
    /// Write the results into guest/kernels.txt: verified instructions, and hooks in use
    #[arg(long)]
    update: bool,
    /// Show the whole output of `tracer check`
    #[arg(short, long)]
    verbose: bool,
}

/// Downloads kernels, builds programs, boots guests and compares their results.
pub(crate) fn vm(args: &Args) -> Result<ExitCode> {
    let started = Instant::now();
    let wanted = wanted(args)?;
    let archs = archs(&wanted);
    let made = |arch: &Arch| Ok((*arch, package::made(*arch)?));
    let packages = archs.iter().filter(|_| args.packaged).map(made).collect::<Result<HashMap<_, _>>>()?;
    let store = Store::open()?;
    let mut build = build::command(&store, &archs)?;
    // At the same time: building needs processors, downloading the network.
    let kernels = thread::scope(|scope| -> Result<Vec<_>> {
        let build = scope.spawn(|| run(&mut build));
        let kernels = download(&store, &wanted);
        build.join().map_err(|_| anyhow!("the build's thread panicked"))??;
        kernels
    })?;
    let mut guests = Vec::new();
    for &arch in &archs {
        let base = image::base(&store, arch, packages.get(&arch).map(PathBuf::as_path))?;
        for kernel in kernels.iter().filter(|kernel| kernel.arch == arch) {
            guests.push((kernel.clone(), image::image(&store, &base, kernel)?));
        }
    }
    // The newest first: guests that wait a minute for TIME_WAIT do so while others run.
    guests.sort_by_key(|(kernel, _)| Reverse(kernel::version(&kernel.name)));
    if args.power {
        for (kernel, image) in &guests {
            power::cut(&store.folder, kernel, image)
                .with_context(|| format!("cutting the power, Linux {}", kernel.name))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let known = Known::read()?;
    let runs = boot(&store.folder, &guests, &known, args.costs, started)?;
    println!("{}", if args.costs { report::costs(&runs) } else { report::table(&runs, &known) });
    print_summary(&runs, known, args)
}

/// Runs `vm` as a test.
pub(crate) fn test() -> Result<()> {
    match vm(&Args::default())? {
        ExitCode::SUCCESS => Ok(()),
        _ => Err(anyhow!("tracer failed on other kernels")),
    }
}

/// Downloads everything that [`test`] will need.
pub(crate) fn fetch_ahead() -> Result<()> {
    let store = Store::open()?;
    build::fetch(&store, &Arch::ALL)?;
    download(&store, &wanted(&Args::default())?).map(drop)
}

/// Builds the programs that [`test`] will need. After [`fetch_ahead`] it does not use the network.
pub(crate) fn build_ahead() -> Result<()> {
    run(&mut build::command(&Store::open()?, &Arch::ALL)?)
}

/// A sysroot with the standard library of an architecture other than this machine's.
pub(crate) fn sysroot(arch: Arch) -> Result<PathBuf> {
    build::sysroot(&Store::open()?, arch)
}

/// The folder that is kept from one run to the next, and the apt that downloads into it.
struct Store {
    folder: PathBuf,
    apt: Apt,
}

impl Store {
    fn open() -> Result<Self> {
        setup::packages(setup::EBPF)?;
        setup::packages(setup::VM)?;
        let folder = root().join("target/vm");
        let apt = Apt::open(folder.join("apt"))?;
        Ok(Self { folder, apt })
    }
}

/// Downloads kernels, and the programs that run beside ours on them.
fn download(store: &Store, wanted: &[Wanted<'_>]) -> Result<Vec<Kernel>> {
    let archs = archs(wanted);
    // Apt can do only one of these at a time. It also builds its caches here.
    for &arch in &archs {
        image::userland(store, arch)?;
    }
    // One thread per architecture: one unpacks while the other waits for the network.
    let of_arch = |arch| wanted.iter().filter(move |it| it.arch() == arch).map(|it| it.get(store)).collect();
    thread::scope(|scope| {
        let threads: Vec<_> =
            archs.into_iter().map(|arch| scope.spawn(move || -> Result<Vec<_>> { of_arch(arch) })).collect();
        let kernels = threads.into_iter().map(|it| it.join().map_err(|_| anyhow!("a download panicked"))?);
        distinct(kernels.collect::<Result<Vec<_>>>()?.concat())
    })
}

/// Removes kernels that were asked for twice. The files of a guest are named after its kernel, so names have
/// to differ.
fn distinct(mut kernels: Vec<Kernel>) -> Result<Vec<Kernel>> {
    kernels.sort_by(|one, other| (&one.name, &one.image).cmp(&(&other.name, &other.image)));
    kernels.dedup_by(|one, other| one.image == other.image);
    match kernels.windows(2).find(|pair| pair[0].name == pair[1].name) {
        Some(pair) => bail!("two kernels are called {}: give one of the files another name", pair[0].name),
        None => Ok(kernels),
    }
}

fn archs(wanted: &[Wanted<'_>]) -> Vec<Arch> {
    Arch::ALL.into_iter().filter(|arch| wanted.iter().any(|it| it.arch() == *arch)).collect()
}

/// Prints what is being done.
fn say(what: &str) {
    println!("vm: {what}");
}

/// Appends to a path. `with_extension` would replace the last number of a version.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// A kernel that is asked for.
enum Wanted<'a> {
    /// Debian's newest release of a version.
    Debian(&'a str, Arch),
    Own(Kernel),
}

impl Wanted<'_> {
    fn arch(&self) -> Arch {
        match self {
            Self::Debian(_, arch) => *arch,
            Self::Own(kernel) => kernel.arch,
        }
    }

    fn get(&self, store: &Store) -> Result<Kernel> {
        match self {
            Self::Debian(version, arch) => {
                kernel::debian(&store.apt, &store.folder.join("kernels"), version, *arch)
            }
            Self::Own(kernel) => Ok(kernel.clone()),
        }
    }
}

fn wanted(args: &Args) -> Result<Vec<Wanted<'_>>> {
    let names: Vec<&str> = match &args.kernel[..] {
        [] if args.costs => kernel::WITH_COUNTING_CLOCK.into(),
        [] if args.power => vec![kernel::NEWEST],
        [] => kernel::DEFAULT.into(),
        names => names.iter().map(String::as_str).collect(),
    };
    let mut wanted = Vec::new();
    for name in names {
        if name.contains('/') {
            wanted.push(Wanted::Own(kernel::of_path(Path::new(name), args.arch)?));
            continue;
        }
        if !kernel::is_version(name) {
            bail!("{name:?} is not a version such as 6.1 or `newest`; a path needs a slash, as in ./bzImage");
        }
        // Power cuts are the same on all architectures.
        let only = args.arch.or(args.power.then_some(Arch::Amd64));
        let archs = Arch::ALL.into_iter().filter(|arch| only.is_none_or(|only| only == *arch));
        wanted.extend(archs.map(|arch| Wanted::Debian(name, arch)));
    }
    Ok(wanted)
}

/// Boots all guests, as many at a time as there are processors. Guests that only wait do not count.
fn boot(
    folder: &Path,
    guests: &[(Kernel, PathBuf)],
    known: &Known,
    costs: bool,
    started: Instant,
) -> Result<Vec<Run>> {
    let (free, slots) = mpsc::channel();
    let workers = thread::available_parallelism().map_or(1, usize::from);
    say(&format!("booting {} guests, {workers} at a time ({} s)", guests.len(), started.elapsed().as_secs()));
    for _ in 0..workers {
        drop(Slot(free.clone()));
    }
    let boot = |index: usize, slot: Slot| {
        let (kernel, image) = &guests[index];
        // A whole TIME_WAIT is measured once per version, because the architectures do not differ in it. On
        // the newest version it is measured on both, because an event may be lost meanwhile.
        let version = kernel::version(&kernel.name);
        let is_first = guests[..index].iter().all(|(before, _)| kernel::version(&before.name) != version);
        let is_newest = kernel::version(&guests[0].0.name) == version;
        let play = match (costs, is_first || is_newest) {
            (true, _) => Play::Costs,
            (false, true) => Play::Long,
            (false, false) => Play::Short,
        };
        let run = guest::boot(folder, kernel, image, play, slot);
        let run = run.with_context(|| format!("booting {}", kernel.name))?;
        let result = if report::failures(&run, known).is_empty() { "ok" } else { "FAILED" };
        let seconds = started.elapsed().as_secs();
        say(&format!("{} ({}): {result} ({seconds} s)", kernel.name, kernel.arch.name()));
        Ok(run)
    };
    thread::scope(|scope| {
        let mut runs = Vec::new();
        for index in 0..guests.len() {
            slots.recv()?;
            let (boot, slot) = (&boot, Slot(free.clone()));
            runs.push(scope.spawn(move || boot(index, slot)));
        }
        runs.into_iter().map(|run| run.join().map_err(|_| anyhow!("a guest's thread panicked"))?).collect()
    })
}

/// Prints what failed, updates the kept results if asked to, and returns the exit status.
fn print_summary(runs: &[Run], known: Known, args: &Args) -> Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    for run in runs {
        if args.verbose {
            for text in run.reports.iter().filter_map(|report| match &report.result {
                Ok(Found::Check { text, .. }) => Some(text),
                _ => None,
            }) {
                println!("\n{}:\n{text}", run.kernel.name);
            }
        }
        for failure in report::failures(run, &known) {
            println!("\n{}: {failure}", run.kernel.name);
            code = ExitCode::FAILURE;
        }
    }
    if args.update {
        known.update(runs.iter().filter_map(Run::seen))?;
    }
    Ok(code)
}
