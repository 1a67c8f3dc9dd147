//! A Prometheus that scrapes, and its tools.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    patience::until,
    program::{self, Program},
};

/// A program of Prometheus: below `target`, or else on the path.
fn program(name: &str) -> PathBuf {
    let unpacked =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/tools/prometheus/usr/bin").join(name);
    if unpacked.exists() { unpacked } else { PathBuf::from(name) }
}

/// A Prometheus that asks its targets every second.
pub struct Prometheus {
    address: String,
    _program: Program,
    _folder: TempDir,
}

impl Prometheus {
    /// Starts one that scrapes a target.
    pub fn start(target: SocketAddr) -> Self {
        Self::with_rules(&[target], &[])
    }

    /// Starts one that scrapes these targets as the job `tracer`, and evaluates the rules in these files, every second.
    pub fn with_rules(targets: &[SocketAddr], rules: &[PathBuf]) -> Self {
        let scrape = serde_json::json!({"job_name": "tracer", "static_configs": [{"targets": targets}]});
        Self::that_scrapes(&scrape, rules)
    }

    /// Starts one that scrapes a target with https, and trusts this authority.
    pub fn with_https(target: SocketAddr, authority: &Path) -> Self {
        let scrape = serde_json::json!({
            "job_name": "tracer",
            "scheme": "https",
            "tls_config": {"ca_file": authority},
            "static_configs": [{"targets": [target]}],
        });
        Self::that_scrapes(&scrape, &[])
    }

    fn that_scrapes(scrape: &Value, rules: &[PathBuf]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("prometheus.yml");
        // JSON is YAML.
        let text = serde_json::json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": rules,
            "scrape_configs": [scrape],
        });
        let text = text.to_string();
        fs::write(&config, text).unwrap();
        let mut command = Command::new(program("prometheus"));
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        command.arg("--web.listen-address=127.0.0.1:0").stdin(Stdio::null());
        let mut program = Program::collect(&mut command);
        let begin = "address=127.0.0.1:";
        let mut port = None;
        program.wait_for_err("the address of Prometheus", |err| {
            err.lines().any(|line| line.contains("Listening on") && line.contains(begin))
        });
        for line in program.err().lines().filter(|line| line.contains("Listening on")) {
            port =
                line.split(begin).nth(1).and_then(|rest| rest.split_whitespace().next()).map(str::to_owned);
        }
        let address = format!("127.0.0.1:{}", port.unwrap());
        // It listens before it answers queries.
        until("Prometheus to be ready", || {
            let mut curl = Command::new("curl");
            let answer = program::output(curl.args(["-sf", &format!("http://{address}/-/ready")]));
            answer.status.success().then_some(())
        });
        Self { address, _program: program, _folder: folder }
    }

    /// What a query gives now: the labels and the value of each series.
    pub fn query(&self, query: &str) -> Vec<(Value, f64)> {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--get", "--data-urlencode", &format!("query={query}")]);
        let answer = program::run(curl.arg(format!("http://{}/api/v1/query", self.address)));
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        let series = answer["data"]["result"].as_array().unwrap().iter();
        let value = |one: &Value| one["value"][1].as_str().unwrap().parse().unwrap();
        series.map(|one| (one["metric"].clone(), value(one))).collect()
    }

    /// Waits until a query that has one value has this one.
    pub fn wait_for(&self, query: &str, wanted: f64) {
        let mut last = Vec::new();
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            until(query, || {
                last = self.query(query);
                matches!(last.as_slice(), [(_, value)] if (value - wanted).abs() < 1e-9).then_some(())
            });
        }));
        assert!(found.is_ok(), "{query}: {last:?} and not {wanted}");
    }
}

/// Lets promtool check files of rules.
pub fn check_rules(rules: &[PathBuf]) {
    program::run(Command::new(program("promtool")).args(["check", "rules", "--lint-fatal"]).args(rules));
}

/// What promtool says of metrics in Prometheus's text format; nothing if it finds no fault.
pub fn faults(metrics: &str) -> String {
    let mut command = Command::new(program("promtool"));
    let mut child = program::spawn(
        command
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped()),
    )
    .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), metrics.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
