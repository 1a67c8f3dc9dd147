//! `cargo xtask vm`: tracer on other kernels, in virtual machines, held against what those kernels'
//! own trace buffers say.

mod apt;
mod arch;
mod budget;
mod build;
mod guest;
mod image;
mod kernel;
mod report;
mod sources;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use ::guest::Found;
use anyhow::{Context as _, Result, anyhow};

use crate::{
    root, setup,
    vm::{apt::Apt, arch::Arch, budget::Budget, guest::Run, kernel::Kernel},
};

/// Arguments of `vm`.
#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// A version of Debian's kernel, such as 6.1 or `newest`, or the path of an image; may be repeated
    /// [default: 5.10, 6.1, 6.12 and newest]
    #[arg(long, value_name = "VERSION|PATH")]
    kernel: Vec<String>,
    /// Only this architecture
    #[arg(long)]
    arch: Option<Arch>,
    /// Write how many instructions the verifier looked at into guest/verified.txt
    #[arg(long)]
    update: bool,
    /// Show all that `tracer check` says
    #[arg(short, long)]
    verbose: bool,
}

/// Downloads, builds, boots, compares.
pub(crate) fn vm(args: &Args) -> Result<ExitCode> {
    let started = Instant::now();
    setup::packages(setup::EBPF)?;
    setup::packages(setup::VM)?;
    let folder = root().join("target/vm");
    let apt = Apt::open(folder.join("apt"))?;
    let kernels = kernels(args, &apt, &folder)?;
    let mut archs: Vec<_> = kernels.iter().map(|kernel| kernel.arch).collect();
    archs.sort_unstable();
    archs.dedup();
    let built = build::programs(&apt, &folder, &archs)?;
    let mut guests = Vec::new();
    for &arch in &archs {
        let base = image::base(&apt, &folder, arch, &built(arch))?;
        for kernel in kernels.iter().filter(|kernel| kernel.arch == arch) {
            guests.push((kernel.clone(), image::image(&folder, &base, kernel)?));
        }
    }
    let budget = Budget::read();
    let runs = boot(&folder, &guests, &budget, started)?;
    println!("{}", report::table(&runs, &budget));
    told(&runs, &budget, args)
}

/// `vm` as a test.
pub(crate) fn test() -> Result<()> {
    match vm(&Args::default())? {
        ExitCode::SUCCESS => Ok(()),
        _ => Err(anyhow!("tracer failed on other kernels")),
    }
}

/// What goes on.
fn say(what: &str) {
    println!("vm: {what}");
}

/// A path with more behind it. A version's last number is no extension.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

fn kernels(args: &Args, apt: &Apt, folder: &Path) -> Result<Vec<Kernel>> {
    let names: Vec<&str> = match &args.kernel[..] {
        [] => kernel::DEFAULT.into(),
        names => names.iter().map(String::as_str).collect(),
    };
    let mut kernels = Vec::new();
    for name in names {
        if name.contains('/') {
            kernels.push(kernel::of_path(Path::new(name), args.arch)?);
            continue;
        }
        for arch in Arch::ALL.into_iter().filter(|arch| args.arch.is_none_or(|only| only == *arch)) {
            kernels.push(kernel::debian(apt, &folder.join("kernels"), name, arch)?);
        }
    }
    Ok(kernels)
}

/// Boots all, as many at a time as there are processors.
fn boot(folder: &Path, guests: &[(Kernel, PathBuf)], budget: &Budget, started: Instant) -> Result<Vec<Run>> {
    let next = AtomicUsize::new(0);
    let runs = Mutex::new(Vec::new());
    let work = || {
        while let Some((kernel, image)) = guests.get(next.fetch_add(1, Ordering::Relaxed)) {
            let run = guest::boot(folder, kernel, image).with_context(|| format!("booting {}", kernel.name));
            if let Ok(run) = &run {
                let result = if report::failures(run, budget).is_empty() { "ok" } else { "FAILED" };
                let seconds = started.elapsed().as_secs();
                say(&format!("{} ({}): {result} ({seconds} s)", kernel.name, kernel.arch.name()));
            }
            if let Ok(mut runs) = runs.lock() {
                runs.push(run);
            }
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    say(&format!("booting {} guests, {workers} at a time ({} s)", guests.len(), started.elapsed().as_secs()));
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    let runs = runs.into_inner().map_err(|_| anyhow!("a guest's thread panicked"))?;
    let mut runs = runs.into_iter().collect::<Result<Vec<_>>>()?;
    let place = |run: &Run| guests.iter().position(|(kernel, _)| kernel.name == run.kernel.name);
    runs.sort_by_key(place);
    Ok(runs)
}

/// What is beside the table, and the exit status.
fn told(runs: &[Run], budget: &Budget, args: &Args) -> Result<ExitCode> {
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
        for failure in report::failures(run, budget) {
            println!("\n{}: {failure}", run.kernel.name);
            code = ExitCode::FAILURE;
        }
    }
    if args.update {
        Budget::read().update(runs.iter().filter_map(count))?;
    }
    Ok(code)
}

fn count(run: &Run) -> Option<(Arch, Vec<u32>, u64)> {
    run.reports.iter().find_map(|report| match report.result {
        Ok(Found::Load { verified: Some(count), .. }) => {
            Some((run.kernel.arch, kernel::version(&run.kernel.name), count))
        }
        _ => None,
    })
}
