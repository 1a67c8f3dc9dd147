//! How many instructions the verifier looks at, kept in the repository: on another kernel a small
//! change may cost it much more than here.

use std::{fmt::Write as _, fs};

use anyhow::{Context as _, Result};

use crate::{
    root,
    vm::{arch::Arch, kernel::version},
};

const KEPT: &str = "guest/verified.txt";

/// By what a count may grow before somebody has to say that it is meant.
const FACTOR: u64 = 2;

/// Counts by architecture and version.
pub(crate) struct Budget(Vec<(Arch, Vec<u32>, u64)>);

impl Budget {
    /// What is kept.
    pub(crate) fn read() -> Result<Self> {
        let text = fs::read_to_string(root().join(KEPT)).with_context(|| format!("no {KEPT}"))?;
        Ok(Self(text.lines().filter_map(line).collect()))
    }

    /// Why this count is too much, if it is.
    pub(crate) fn judge(&self, arch: Arch, kernel: &str, count: u64) -> Option<String> {
        let version = version(kernel);
        // A kernel that is not kept is judged as the one before it.
        let before = self.0.iter().filter(|(its, kept, _)| *its == arch && *kept <= version);
        let Some((_, _, kept)) = before.max_by_key(|(_, version, _)| version) else {
            return Some(format!("nothing in {KEPT} to hold {count} verified instructions against"));
        };
        (count > kept * FACTOR).then(|| {
            format!(
                "the verifier looks at {count} instructions, more than {FACTOR} times the {kept} in {KEPT}. If that is meant: cargo xtask vm --update"
            )
        })
    }

    /// Keeps these, and what is kept of other kernels.
    pub(crate) fn update(mut self, counts: impl Iterator<Item = (Arch, Vec<u32>, u64)>) -> Result<()> {
        for (arch, version, count) in counts {
            self.0.retain(|(its, kept, _)| (*its, kept) != (arch, &version));
            self.0.push((arch, version, count));
        }
        self.0.sort();
        let mut text = String::from(
            "# Instructions that the verifier looks at, of all programs that `tracer` loads; `cargo xtask vm --update`.\n",
        );
        for (arch, version, count) in self.0 {
            let version = version.iter().map(u32::to_string).collect::<Vec<_>>().join(".");
            writeln!(text, "{} {version} {count}", arch.name())?;
        }
        fs::write(root().join(KEPT), text)?;
        println!("wrote {KEPT}");
        Ok(())
    }
}

/// As in `amd64 6.1 12345`.
fn line(line: &str) -> Option<(Arch, Vec<u32>, u64)> {
    let mut words = line.split(' ');
    let name = words.next()?;
    let arch = Arch::ALL.into_iter().find(|arch| arch.name() == name)?;
    Some((arch, version(words.next()?), words.next()?.parse().ok()?))
}
