//! Chains of steps at once: one waits for the network, another for its only thread to link.

use std::{
    io::{self, Read as _, Write as _},
    process::{Command, ExitStatus},
    thread,
};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::test::steps::Chain;

/// Runs all to their end, and shows what each says when it is done.
pub(crate) fn run(chains: &[Chain]) -> Result<()> {
    let names: Vec<_> = chains.iter().map(|chain| chain.name()).collect();
    println!("=== at once, and shown when they are done: {}", names.join(", "));
    let results: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = chains.iter().map(|chain| scope.spawn(|| run_one(*chain))).collect();
        threads.into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    let mut failed = Vec::new();
    for (name, result) in names.into_iter().zip(results) {
        let status = result.map_err(|_| anyhow!("the thread of {name} panicked"))??;
        if !status.success() {
            failed.push(name);
        }
    }
    if failed.is_empty() { Ok(()) } else { bail!("failed, see above: {}", failed.join(", ")) }
}

/// In a process of its own, whose output does not mix with others'.
fn run_one(chain: Chain) -> Result<ExitStatus> {
    let (mut reader, writer) = io::pipe()?;
    // Not by its path, where a build may have put another one meanwhile.
    let mut command = Command::new("/proc/self/exe");
    command.args(["test", "--chain", &chain.name()]).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().context("cannot start another xtask")?;
    // It holds our ends of the pipe.
    drop(command);
    let mut said = Vec::new();
    reader.read_to_end(&mut said)?;
    let status = child.wait()?;
    io::stdout().lock().write_all(&said)?;
    Ok(status)
}
