//! Cuts the power of a guest that records to a disk, and looks what the next one finds there.

use std::{
    collections::HashSet,
    fs,
    path::Path,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use guest::{Found, MADE, Play};

use crate::{
    command::run,
    vm::{
        guest::{self as machine, qemu},
        kernel::Kernel,
        say,
    },
};

/// The disk: enough for a minute's recording.
const DISK_BYTES: u64 = 64 << 20;

/// How long is recorded until the power is cut.
const RECORDED: Duration = Duration::from_secs(6);

/// What is older is promised to be there, in milliseconds.
const PROMISED_MS: u64 = 1000;

/// A guest that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(180);

/// Cuts the power, and fails unless what was older is there, undamaged.
pub(crate) fn cut(folder: &Path, kernel: &Kernel, image: &Path) -> Result<()> {
    let place = folder.join("power");
    fs::create_dir_all(&place)?;
    let disk = place.join("disk");
    // A new file: nothing of an earlier run is on it.
    let _ = fs::remove_file(&disk);
    fs::File::create(&disk)?.set_len(DISK_BYTES)?;
    run(Command::new("/usr/sbin/mkfs.ext4").args(["-q", "-F"]).arg(&disk))?;
    let made = record(&place, kernel, image, &disk)?;
    let (last_ms, _) = *made.last().context("no connection was made")?;
    let found = replay(&place, kernel, image, &disk)?;
    let Found::AfterPowerCut { ports, verdict } = found else { bail!("another scenario was played") };
    let ports: HashSet<_> = ports.into_iter().collect();
    let promised: Vec<_> = made.iter().filter(|(at_ms, _)| at_ms + PROMISED_MS < last_ms).collect();
    let missing: Vec<_> = promised.iter().filter(|(_, port)| !ports.contains(port)).collect();
    if promised.is_empty() || !missing.is_empty() {
        bail!("of {} connections before {last_ms} ms these are missing: {missing:?}", promised.len());
    }
    if verdict != "endless" {
        bail!("the recording is {verdict}");
    }
    let newest_ms = made.iter().rev().find(|(_, port)| ports.contains(port)).map(|(at_ms, _)| *at_ms);
    let newest_ms = newest_ms.context("nothing is there")?;
    say(&format!(
        "power cut, Linux {}: {} connections that were older are there; the newest that is there ended {} ms before the last",
        kernel.name,
        promised.len(),
        last_ms - newest_ms
    ));
    Ok(())
}

/// Boots a guest that records, cuts its power, and returns what it has told: times and ports.
fn record(place: &Path, kernel: &Kernel, image: &Path, disk: &Path) -> Result<Vec<(u64, u16)>> {
    let console = place.join("record.log");
    fs::File::create(&console)?;
    let mut guest = qemu(kernel, image, &console, disk, Play::Record).stdin(Stdio::null()).spawn()?;
    let (started, mut begun) = (Instant::now(), None);
    let trouble = loop {
        if let Some(status) = guest.try_wait()? {
            break Some(format!("it ended: {status}"));
        }
        if begun.is_none() && !made(&console).is_empty() {
            begun = Some(Instant::now());
        }
        if begun.is_some_and(|begun| begun.elapsed() > RECORDED) {
            break None;
        }
        if started.elapsed() > LIMIT {
            break Some("it hung".to_owned());
        }
        sleep(Duration::from_millis(50));
    };
    // This is the power cut: all that is in the guest's memory is gone.
    guest.kill()?;
    guest.wait()?;
    match trouble {
        None => Ok(made(&console)),
        Some(trouble) => bail!("the guest did not record: {trouble}: see {}", console.display()),
    }
}

/// What a guest has told.
fn made(console: &Path) -> Vec<(u64, u16)> {
    let text = fs::read(console).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    // The last line may be cut off.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let told = whole.lines().filter_map(|line| line.strip_prefix(MADE)?.trim().split_once(' '));
    told.filter_map(|(at_ms, port)| Some((at_ms.parse().ok()?, port.parse().ok()?))).collect()
}

/// Boots a guest that replays, and returns what it found.
fn replay(place: &Path, kernel: &Kernel, image: &Path, disk: &Path) -> Result<Found> {
    let console = place.join("replay.log");
    fs::File::create(&console)?;
    let mut guest = qemu(kernel, image, &console, disk, Play::Replay).stdin(Stdio::null()).spawn()?;
    let started = Instant::now();
    while guest.try_wait()?.is_none() {
        if started.elapsed() > LIMIT {
            guest.kill()?;
            guest.wait()?;
        }
        sleep(Duration::from_millis(50));
    }
    let reports = machine::reports(&console);
    let report = reports.into_iter().find(|report| report.scenario == "power-cut");
    let report = report.with_context(|| format!("the guest told nothing: see {}", console.display()))?;
    report.result.map_err(anyhow::Error::msg)
}
