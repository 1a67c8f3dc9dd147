//! Runs test programs, several at a time.

use std::{
    cmp::Reverse,
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};

use crate::{
    command::is_root,
    root, target,
    test::kernel::{
        build::{Built, Program},
        outcome::Outcome,
    },
};

/// This program starts first: it waits a minute for TIME_WAIT while others run.
const FIRST: &str = "timewait";

/// A test program that takes longer hangs, and is killed.
const LIMIT: Duration = Duration::from_secs(900);

/// How often disturbed tests are run again.
const MORE_TRIES: usize = 2;

/// Runs test programs.
pub(crate) struct Runner<'a> {
    built: &'a Built,
    tracer: PathBuf,
    logs: PathBuf,
    variable: Option<(&'static str, String)>,
    limit: Duration,
}

impl<'a> Runner<'a> {
    /// A runner of tests for the build of tracer at this path.
    pub(crate) fn new(
        built: &'a Built,
        tracer: PathBuf,
        variable: Option<(&'static str, String)>,
        more_time: Duration,
    ) -> Self {
        Self { built, tracer, logs: target().join("kernel-tests"), variable, limit: LIMIT + more_time }
    }

    /// Runs the tests that `arguments` select, `at_once` programs at a time. Prints the output of each
    /// program when it is done.
    pub(crate) fn run(
        &self,
        programs: &[&Program],
        arguments: &[&str],
        at_once: usize,
    ) -> Result<Vec<Outcome>> {
        fs::create_dir_all(&self.logs)?;
        let mut queue = programs.to_vec();
        // Programs are taken from the end.
        queue.sort_by_key(|program| (program.name == FIRST, Reverse(&program.name)));
        let (queue, outcomes) = (Mutex::new(queue), Mutex::new(Vec::new()));
        let work = || -> Result<()> {
            while let Some(program) = queue.lock().ok().and_then(|mut queue| queue.pop()) {
                let outcome = self.run_undisturbed(program, arguments)?;
                let mut outcomes = outcomes.lock().map_err(|_| anyhow!("another thread panicked"))?;
                outcome.show();
                outcomes.push(outcome);
            }
            Ok(())
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..at_once).map(|_| scope.spawn(work)).collect();
            let mut results = workers.into_iter().map(thread::ScopedJoinHandle::join);
            results.try_for_each(|result| result.map_err(|_| anyhow!("a thread panicked"))?)
        })?;
        outcomes.into_inner().map_err(|_| anyhow!("a thread panicked"))
    }

    /// Runs a program, and again those of its tests that failed because they were disturbed.
    fn run_undisturbed(&self, program: &Program, arguments: &[&str]) -> Result<Outcome> {
        let mut outcome = self.run_one(program, arguments)?;
        for _ in 0..MORE_TRIES {
            let disturbed = outcome.disturbed();
            if disturbed.is_empty() {
                break;
            }
            outcome.show();
            println!("=== again, because the kernel kept an event from tracer: {}", disturbed.join(", "));
            let again = ["--test-threads=1", "--include-ignored", "--exact"];
            let again = self.run_one(program, &[&again, &disturbed[..]].concat())?;
            outcome = outcome.then(again);
        }
        Ok(outcome)
    }

    fn run_one(&self, program: &Program, arguments: &[&str]) -> Result<Outcome> {
        // Not a pipe: a process that a test left running would hold it open.
        let path = self.logs.join(format!("{}-{}.log", program.name, std::process::id()));
        let log = File::create(&path)?;
        let mut command = privileged(&program.path);
        command
            .current_dir(root().join("tests"))
            .args(arguments)
            .env("ACTOR", &self.built.actor)
            .envs(self.variable.clone());
        // `TRACER` in the environment selects another build.
        if env::var_os("TRACER").is_none() {
            command.env("TRACER", &self.tracer);
        }
        command.stdout(log.try_clone()?).stderr(log);
        let begun = Instant::now();
        let status = wait(&mut command, begun, self.limit)
            .with_context(|| format!("running {}", program.path.display()))?;
        let mut said = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
        fs::remove_file(&path)?;
        if status.is_none() {
            said.push_str("\nkilled: it did not end\n");
        }
        let is_ok = status.is_some_and(|status| status.success());
        Ok(Outcome {
            name: program.name.clone(),
            is_ok,
            said,
            took: begun.elapsed(),
            passed_before: 0,
            repeated: Vec::new(),
        })
    }
}

fn wait(command: &mut Command, begun: Instant, limit: Duration) -> Result<Option<ExitStatus>> {
    let mut child = command.spawn()?;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if begun.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The tests need the privileges that tracer needs, and make namespaces.
fn privileged(program: &Path) -> Command {
    if is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.arg("-E").arg(program);
    command
}
