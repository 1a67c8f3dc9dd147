//! Earlier results on each kernel, kept in the repository. They show when a change costs the verifier much
//! more on another kernel, or when another kernel refuses a hook, which nobody would see on this one.

use std::{fmt::Write as _, fs};

use anyhow::{Context as _, Result};

use crate::{
    root,
    vm::{arch::Arch, kernel::version},
};

const KEPT: &str = "guest/kernels.txt";

const HEADER: &str = "# Written by `cargo xtask vm --update`. For each kernel: how many instructions the verifier looked at in all programs that
# `tracer` loads, and which optional hooks are in use.
";

/// A count may grow by this factor before it has to be confirmed with `--update`.
const FACTOR: u64 = 2;

/// The results on a kernel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seen {
    pub(crate) arch: Arch,
    /// Major and minor version: `[6, 1]`.
    pub(crate) version: Vec<u32>,
    pub(crate) verified: u64,
    pub(crate) hooks: Vec<String>,
}

/// The results that are kept.
pub(crate) struct Known(Vec<Seen>);

impl Known {
    /// Reads the results that are kept.
    pub(crate) fn read() -> Result<Self> {
        let text = fs::read_to_string(root().join(KEPT)).with_context(|| format!("no {KEPT}"))?;
        Ok(Self(text.lines().filter_map(line).collect()))
    }

    /// Says what is worse than the kept result.
    pub(crate) fn judge(&self, seen: &Seen) -> Vec<String> {
        // A kernel without a kept result is compared with the next older one.
        let before = self.0.iter().filter(|kept| kept.arch == seen.arch && kept.version <= seen.version);
        let Some(kept) = before.max_by_key(|kept| &kept.version) else {
            return vec![format!("nothing in {KEPT} to compare with")];
        };
        let mut worse = Vec::new();
        if seen.verified > kept.verified * FACTOR {
            worse.push(format!(
                "the verifier looks at {} instructions, more than {FACTOR} times the {} in {KEPT}. If that is intended: cargo xtask vm --update",
                seen.verified, kept.verified
            ));
        }
        let missing: Vec<_> = kept.hooks.iter().filter(|hook| !seen.hooks.contains(hook)).cloned().collect();
        if !missing.is_empty() {
            worse.push(format!(
                "{} was in use according to {KEPT}, and is not any more: `--verbose` shows why. If that is intended: cargo xtask vm --update",
                missing.join(", ")
            ));
        }
        worse
    }

    /// Keeps these results, and the kept ones of other kernels.
    pub(crate) fn update(mut self, seen: impl Iterator<Item = Seen>) -> Result<()> {
        for seen in seen {
            self.0.retain(|kept| (kept.arch, &kept.version) != (seen.arch, &seen.version));
            self.0.push(seen);
        }
        self.0.sort();
        let mut text = String::from(HEADER);
        for Seen { arch, version, verified, hooks } in self.0 {
            let version = version.iter().map(u32::to_string).collect::<Vec<_>>().join(".");
            writeln!(text, "{} {version} {verified} {}", arch.name(), hooks.join(","))?;
        }
        fs::write(root().join(KEPT), text)?;
        println!("wrote {KEPT}");
        Ok(())
    }
}

/// Parses a line such as `amd64 6.1 12345 inet_csk_accept,inet_twsk_kill`.
fn line(line: &str) -> Option<Seen> {
    let mut words = line.split(' ');
    let name = words.next()?;
    let arch = Arch::ALL.into_iter().find(|arch| arch.name() == name)?;
    let (version, verified) = (version(words.next()?), words.next()?.parse().ok()?);
    let hooks = words.next()?.split(',').map(str::to_owned).collect();
    Some(Seen { arch, version, verified, hooks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_worse_is_said() {
        let known =
            Known(["amd64 6.1 100 a,b", "amd64 6.12 200 a,b,c"].into_iter().filter_map(line).collect());
        assert_eq!(known.0.len(), 2);
        let judged = |text: &str| known.judge(&line(text).unwrap());
        assert_eq!(judged("amd64 6.1 200 b,a,c"), Vec::<String>::new());
        assert!(judged("amd64 6.1 201 a,b")[0].contains("201 instructions"));
        assert!(judged("amd64 6.18 100 a,b")[0].starts_with("c was in use"));
        assert!(judged("amd64 5.10 100 a")[0].starts_with("nothing"));
        assert!(judged("arm64 6.1 100 a")[0].starts_with("nothing"));
    }
}
