//! Runs chains of steps at the same time: while one waits for the network, another links on a single thread.

use std::{
    io::{self, Read as _, Write as _},
    process::{Command, ExitStatus},
    thread,
};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::test::steps::Chain;

/// Runs all chains to their end. Prints the output of each when it is done.
pub(crate) fn run(chains: &[Chain]) -> Result<()> {
    let names: Vec<_> = chains.iter().map(|chain| chain.name()).collect();
    println!("=== at the same time, each shown when it is done: {}", names.join(", "));
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

/// Runs a chain in a process of its own, so that outputs do not mix.
fn run_one(chain: Chain) -> Result<ExitStatus> {
    let (mut reader, writer) = io::pipe()?;
    // Not by its path: a build may have replaced that file meanwhile.
    let mut command = Command::new("/proc/self/exe");
    command.args(["test", "--chain", &chain.name()]).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().context("cannot start another xtask")?;
    // The command holds write ends of the pipe, so reading would not end.
    drop(command);
    let mut said = Vec::new();
    reader.read_to_end(&mut said)?;
    let status = child.wait()?;
    io::stdout().lock().write_all(&said)?;
    Ok(status)
}
