//! Runs one guest, from its start to its end.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc::Sender,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use guest::{Found, MARK, Play, Report};

use crate::vm::{
    kernel::{self, Kernel},
    known::Seen,
};

/// A guest that has ended, and what it reported.
pub(crate) struct Run {
    pub(crate) kernel: Kernel,
    pub(crate) play: Play,
    pub(crate) reports: Vec<Report>,
    /// What went wrong with the machine, if it did not end by itself.
    pub(crate) trouble: Option<String>,
    pub(crate) console: PathBuf,
    pub(crate) took: Duration,
}

/// A guest that takes longer hangs, even on a slow host.
const LIMIT: Duration = Duration::from_secs(300);
const MEMORY: &str = "1024";
const CPUS: &str = "2";
/// Room for the kernel's type information, which the guest writes to the disk.
const DISK_BYTES: u64 = 32 << 20;

/// How many of the console's last lines are shown when a report is missing.
const TAIL: usize = 30;

/// The kernel's command line: no slow mitigations, no randomness, no check of a timer that a busy host may
/// delay, and the paths of our programs.
const COMMAND_LINE: &str =
    "panic=-1 quiet no_timer_check mitigations=off nokaslr rdinit=/init TRACER=/bin/tracer ACTOR=/bin/actor";

/// The scenarios that a guest has to report.
pub(crate) fn scenarios(play: Play) -> &'static [&'static str] {
    match play {
        Play::Short | Play::Long => &[
            "kernel",
            "check",
            "list",
            "load",
            "oracle",
            "story",
            "owners",
            "in-kernel",
            "vrf",
            LAST,
            "time-wait",
        ],
        Play::Costs => &["costs"],
        Play::Record | Play::Replay => &["power-cut"],
    }
}

/// After this scenario a guest only waits, for TIME_WAIT to end.
const LAST: &str = "hooks";

/// A processor to run a guest on. It is free again when this is dropped.
pub(crate) struct Slot(pub(crate) Sender<()>);

impl Drop for Slot {
    fn drop(&mut self) {
        // Nobody receives it once all guests have started.
        let _ = self.0.send(());
    }
}

/// Boots a guest and waits for its end. Frees the slot as soon as the guest only waits for time to pass.
pub(crate) fn boot(folder: &Path, kernel: &Kernel, image: &Path, play: Play, slot: Slot) -> Result<Run> {
    let mut slot = Some(slot);
    let started = Instant::now();
    let place = |what: &str, kind: &str| -> Result<PathBuf> {
        fs::create_dir_all(folder.join(what))?;
        Ok(folder.join(what).join(format!("{}.{kind}", kernel.name)))
    };
    let (console, disk) = (place("logs", "log")?, place("btf", "btf")?);
    fs::File::create(&disk)?.set_len(DISK_BYTES)?;
    // Emptied: reports of the previous run would be taken for this one's.
    fs::File::create(&console)?;
    let said = place("logs", "qemu")?;
    let mut qemu = qemu(kernel, image, &console, &disk, play)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&said)?)
        .spawn()
        .context("cannot start qemu")?;
    let trouble = loop {
        if let Some(status) = qemu.try_wait()? {
            break (!status.success()).then(|| format!("qemu: {status}"));
        }
        if slot.is_some() && reports(&console).iter().any(|report| report.scenario == LAST) {
            slot = None;
        }
        if started.elapsed() > LIMIT {
            qemu.kill()?;
            qemu.wait()?;
            break Some(format!("the guest hung: killed after {} s", LIMIT.as_secs()));
        }
        sleep(Duration::from_millis(100));
    };
    let trouble = trouble.map(|trouble| trouble + "\n" + &fs::read_to_string(said).unwrap_or_default());
    let reports = reports(&console);
    keep_types(&disk, &reports)?;
    Ok(Run { kernel: kernel.clone(), play, reports, trouble, console, took: started.elapsed() })
}

/// The command that boots a guest.
pub(crate) fn qemu(kernel: &Kernel, image: &Path, console: &Path, disk: &Path, play: Play) -> Command {
    let mut qemu = kernel.arch.machine();
    // Emulation, because not every host has hardware virtualisation. One thread emulates both processors:
    // with a thread for each, a guest sometimes waits forever for the other one's interrupt. And as many
    // guests run as there are processors anyway.
    qemu.args([
        "-accel",
        "tcg,thread=single",
        "-nodefaults",
        "-display",
        "none",
        "-no-reboot",
        "-m",
        MEMORY,
        "-smp",
        CPUS,
    ]);
    qemu.arg("-serial").arg(format!("file:{}", console.display()));
    qemu.arg("-drive").arg(format!("if=virtio,format=raw,file={}", disk.display()));
    qemu.arg("-kernel").arg(&kernel.image).arg("-initrd").arg(image);
    if play == Play::Costs {
        // The guest's clock counts instructions, so its times include neither the host's load nor the
        // emulator's translation of new code. It takes several times as long.
        qemu.args(["-icount", "shift=0"]);
    }
    let play = format!("{}={}", Play::VARIABLE, play.name());
    qemu.arg("-append").arg(format!("console={} {COMMAND_LINE} {play}", kernel.arch.console()));
    qemu
}

/// What a guest has reported so far.
pub(crate) fn reports(console: &Path) -> Vec<Report> {
    let text = fs::read(console).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines = text.lines().filter_map(|line| line.strip_prefix(MARK));
    lines.filter_map(|line| serde_json::from_str(line.trim()).ok()).collect()
}

/// Cuts the disk to the kernel's type information, so that it is a BTF file. Removes it if it has none.
fn keep_types(disk: &Path, reports: &[Report]) -> Result<()> {
    let bytes = reports.iter().find_map(|report| match &report.result {
        Ok(Found::Kernel { btf_bytes: bytes @ 1.., .. }) => u64::try_from(*bytes).ok(),
        _ => None,
    });
    match bytes {
        Some(bytes) => fs::File::options().write(true).open(disk)?.set_len(bytes)?,
        None => fs::remove_file(disk)?,
    }
    Ok(())
}

impl Run {
    /// The results to keep, if the guest reported all of them.
    pub(crate) fn seen(&self) -> Option<Seen> {
        let (mut version, mut verified, mut hooks) = (None, None, None);
        for report in &self.reports {
            match &report.result {
                // The version that the kernel itself reports: a file may have any name.
                Ok(Found::Kernel { release, .. }) => version = Some(kernel::version(release)),
                Ok(Found::Load { verified: count, .. }) => verified = Some(*count),
                Ok(Found::Hooks { used }) => hooks = Some(used.clone()),
                _ => {}
            }
        }
        Some(Seen { arch: self.kernel.arch, version: version?, verified: verified?, hooks: hooks? })
    }

    /// The last lines of the console, without reports.
    pub(crate) fn tail(&self) -> String {
        let text = fs::read(&self.console).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> =
            text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with(MARK)).collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }
}
