//! One guest, from its start to its end.

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

/// What a guest told.
pub(crate) struct Run {
    pub(crate) kernel: Kernel,
    pub(crate) play: Play,
    pub(crate) reports: Vec<Report>,
    /// Why it ended, unless it ended by itself.
    pub(crate) trouble: Option<String>,
    pub(crate) console: PathBuf,
    pub(crate) took: Duration,
}

/// A guest that takes so long hangs, also on a slow host.
const LIMIT: Duration = Duration::from_secs(300);
const MEMORY: &str = "1024";
const CPUS: &str = "2";
/// Room for a kernel's type information.
const DISK_BYTES: u64 = 32 << 20;

/// Lines of the console that tell what happened last.
const TAIL: usize = 30;

/// What it starts with: nothing slow, nothing random, no trial of a timer that a busy host may delay, and
/// where our programs are.
const COMMAND_LINE: &str =
    "panic=-1 quiet no_timer_check mitigations=off nokaslr rdinit=/init TRACER=/bin/tracer ACTOR=/bin/actor";

/// What a guest has to report.
pub(crate) fn scenarios(play: Play) -> &'static [&'static str] {
    match play {
        Play::Short | Play::Long => {
            &["kernel", "check", "load", "oracle", "story", "in-kernel", LAST, "time-wait"]
        }
        Play::Costs => &["costs"],
    }
}

/// Behind this scenario a guest only waits.
const LAST: &str = "hooks";

/// A processor to run a guest on; free again when this goes.
pub(crate) struct Slot(pub(crate) Sender<()>);

impl Drop for Slot {
    fn drop(&mut self) {
        // Nobody takes it when there are no more guests.
        let _ = self.0.send(());
    }
}

/// Boots it and waits for its end; the slot is free as soon as it only waits for time to pass.
pub(crate) fn boot(folder: &Path, kernel: &Kernel, image: &Path, play: Play, slot: Slot) -> Result<Run> {
    let mut slot = Some(slot);
    let started = Instant::now();
    let place = |what: &str, kind: &str| -> Result<PathBuf> {
        fs::create_dir_all(folder.join(what))?;
        Ok(folder.join(what).join(format!("{}.{kind}", kernel.name)))
    };
    let (console, disk) = (place("logs", "log")?, place("btf", "btf")?);
    fs::File::create(&disk)?.set_len(DISK_BYTES)?;
    // What the last one wrote would be taken for this one's.
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
            break Some(format!("it hung: killed after {} s", LIMIT.as_secs()));
        }
        sleep(Duration::from_millis(100));
    };
    let trouble = trouble.map(|trouble| trouble + "\n" + &fs::read_to_string(said).unwrap_or_default());
    let reports = reports(&console);
    keep_types(&disk, &reports)?;
    Ok(Run { kernel: kernel.clone(), play, reports, trouble, console, took: started.elapsed() })
}

fn qemu(kernel: &Kernel, image: &Path, console: &Path, disk: &Path, play: Play) -> Command {
    let mut qemu = kernel.arch.machine();
    // Hardware virtualisation is not there in every place that tests. One thread for both processors:
    // with one for each a guest now and then waits for ever for the other's interrupt, and there
    // are as many guests as processors anyway.
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
        // The guest's clock counts instructions: the host's load, and what the emulator does where it
        // has not been before, are not in its times. It takes several times as long.
        qemu.args(["-icount", "shift=0"]);
    }
    let play = format!("{}={}", Play::VARIABLE, play.name());
    qemu.arg("-append").arg(format!("console={} {COMMAND_LINE} {play}", kernel.arch.console()));
    qemu
}

fn reports(console: &Path) -> Vec<Report> {
    let text = fs::read(console).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines = text.lines().filter_map(|line| line.strip_prefix(MARK));
    lines.filter_map(|line| serde_json::from_str(line.trim()).ok()).collect()
}

/// The disk becomes a file with the kernel's type information.
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
    /// What is kept of it, if it told all of that.
    pub(crate) fn seen(&self) -> Option<Seen> {
        let (mut version, mut verified, mut hooks) = (None, None, None);
        for report in &self.reports {
            match &report.result {
                // By its own word: a file may be called anything.
                Ok(Found::Kernel { release, .. }) => version = Some(kernel::version(release)),
                Ok(Found::Load { verified: count, .. }) => verified = Some(*count),
                Ok(Found::Hooks { used }) => hooks = Some(used.clone()),
                _ => {}
            }
        }
        Some(Seen { arch: self.kernel.arch, version: version?, verified: verified?, hooks: hooks? })
    }

    /// The end of what it wrote.
    pub(crate) fn tail(&self) -> String {
        let text = fs::read(&self.console).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> =
            text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with(MARK)).collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }
}
