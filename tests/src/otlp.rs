//! A receiver of OTLP that decodes with the official protobufs.

use std::{fs, path::PathBuf, process::Command};

use serde_json::Value;
use tempfile::TempDir;

use crate::{engines::python, patience::until, program::Program};

/// A receiver that runs.
pub struct Receiver {
    program: Program,
    folder: TempDir,
    answers: String,
    /// Where it is, if it is there.
    pub url: String,
}

impl Receiver {
    /// Starts one that gives these answers (`otlp_receiver.py`).
    pub fn start(answers: &str) -> Self {
        Self::with_files("http", answers, &[])
    }

    /// Starts one with https.
    pub fn with_https(answers: &str, files: &[PathBuf; 2]) -> Self {
        Self::with_files("https", answers, files)
    }

    fn with_files(scheme: &str, answers: &str, files: &[PathBuf]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mode = folder.path().join("mode");
        fs::write(&mode, answers).unwrap();
        let mut command = Command::new(python("python"));
        command.args(["-c", include_str!("otlp_receiver.py")]).arg(&mode).args(files);
        let mut program = Program::collect(&mut command);
        program.wait_for_out("the receiver", |out| out.contains(&told_mode(answers)));
        let first: Value = serde_json::from_str(program.out().lines().next().unwrap()).unwrap();
        Self {
            program,
            folder,
            answers: answers.to_owned(),
            url: format!("{scheme}://127.0.0.1:{}", first["port"]),
        }
    }

    /// From now on gives these answers.
    pub fn answer(&mut self, answers: &str) {
        if std::mem::replace(&mut self.answers, answers.to_owned()) == answers {
            return;
        }
        let before = self.program.out().len();
        let (mode, new) = (self.folder.path().join("mode"), self.folder.path().join("new"));
        fs::write(&new, answers).unwrap();
        fs::rename(new, mode).unwrap();
        self.program.wait_for_out("another answer", |out| out[before..].contains(&told_mode(answers)));
    }

    /// All requests so far to this path, with what was answered.
    pub fn requests(&self, path: &str) -> Vec<Value> {
        let out = self.program.out();
        // The last line may not be whole.
        let lines = out.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let all: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
        let error = all.iter().find(|line| line.get("error").is_some());
        assert!(error.is_none(), "{error:?}\n{}", self.program.err());
        all.into_iter().filter(|line| line["path"] == path).collect()
    }

    /// Those that were accepted.
    pub fn accepted(&self, path: &str) -> Vec<Value> {
        let mut requests = self.requests(path);
        requests.retain(|request| request["answer"] == "ok");
        requests
    }

    /// All log records that were accepted.
    pub fn records(&self) -> Vec<Value> {
        let requests = self.accepted("/v1/logs");
        requests.iter().flat_map(|request| request["records"].as_array().unwrap().clone()).collect()
    }

    /// Waits until the last metrics that were accepted satisfy a condition, and returns them.
    pub fn wait_for_metrics(&self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        until(what, || self.accepted("/v1/metrics").pop().filter(&condition))
    }
}

fn told_mode(answers: &str) -> String {
    format!("{{\"mode\": \"{answers}\"}}")
}

/// The sum of all points of a metric.
pub fn sum(request: &Value, name: &str) -> u64 {
    let points = request["points"].as_array().unwrap().iter().filter(|point| point["name"] == name);
    points.map(|point| point["value"].as_u64().unwrap()).sum()
}
