//! Engines that read files of `tracer export`: `cargo xtask test` installs DuckDB and Polars, with `--long`
//! also ClickHouse's and Spark's.

use std::{collections::BTreeMap, env, path::PathBuf, process::Command};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::program::run;

/// A row of an answer.
pub type Row = Map<String, Value>;

/// Prints the rows of a query as JSON, an array for each column's name and value.
const QUERY: &str = "
import duckdb, json, sys
result = duckdb.connect().execute(sys.argv[1])
names = [column[0] for column in result.description]
print(json.dumps([dict(zip(names, row)) for row in result.fetchall()]))
";

/// The rows of a query in DuckDB's SQL. Times must be asked for as numbers (`epoch_us`).
pub fn query(sql: &str) -> Vec<Row> {
    let rows = run(Command::new(python("python")).args(["-c", QUERY, sql]));
    serde_json::from_str(&rows).unwrap_or_else(|error| panic!("{error}: {rows}"))
}

/// Python with the packages of this environment in `target/tools`, or the one that the environment variable
/// `PYTHON` names.
pub fn python(environment: &str) -> PathBuf {
    env::var_os("PYTHON")
        .map_or_else(|| root().join("target/tools").join(environment).join("bin/python"), PathBuf::from)
}

/// An engine, as `examples/fleet/ask.py` names it.
#[derive(Clone, Copy, Debug)]
pub struct Engine {
    /// Its name.
    pub name: &'static str,
    environment: &'static str,
}

/// DuckDB.
pub const DUCKDB: Engine = Engine { name: "duckdb", environment: "python" };
/// Polars.
pub const POLARS: Engine = Engine { name: "polars", environment: "python" };
/// ClickHouse.
pub const CLICKHOUSE: Engine = Engine { name: "clickhouse", environment: "engines" };
/// Spark.
pub const SPARK: Engine = Engine { name: "spark", environment: "engines" };

impl Engine {
    /// Its answers to the questions in `examples/fleet`, by name: times are numbers, in microseconds.
    pub fn ask(self, files: &str, questions: &[&str], deploy: &str) -> BTreeMap<String, Vec<Row>> {
        let mut command = Command::new(python(self.environment));
        command.arg(example("ask.py")).args([self.name, files]);
        command.args(questions.iter().map(|name| example(name))).args(["--deploy", deploy]);
        let mut answers = BTreeMap::new();
        let mut question = String::new();
        for line in run(&mut command).lines() {
            let mut row: Row = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            if let Some(Value::String(path)) = row.get("question") {
                path.rsplit('/').next().unwrap_or_default().clone_into(&mut question);
                answers.insert(question.clone(), Vec::new());
                continue;
            }
            row.values_mut().for_each(time_as_number);
            answers.entry(question.clone()).or_default().push(row);
        }
        answers
    }
}

/// Engines write times in several ways.
fn time_as_number(value: &mut Value) {
    if let Some(time) = value.as_str().and_then(|text| text.parse::<Timestamp>().ok()) {
        *value = json!(time.as_microsecond());
    }
}

/// A file of `examples/fleet`.
pub fn example(name: &str) -> PathBuf {
    root().join("examples/fleet").join(name)
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}
