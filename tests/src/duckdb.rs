//! DuckDB, which reads files of `tracer export`. `cargo xtask test` installs it.

use std::{env, path::PathBuf, process::Command};

use serde_json::{Map, Value};

use crate::program::run;

/// Prints the rows of a query as JSON, an array for each column's name and value.
const QUERY: &str = "
import duckdb, json, sys
result = duckdb.connect().execute(sys.argv[1])
names = [column[0] for column in result.description]
print(json.dumps([dict(zip(names, row)) for row in result.fetchall()]))
";

/// The rows of a query in DuckDB's SQL. Times must be asked for as numbers (`epoch_us`).
pub fn query(sql: &str) -> Vec<Map<String, Value>> {
    let rows = run(Command::new(python()).args(["-c", QUERY, sql]));
    serde_json::from_str(&rows).unwrap_or_else(|error| panic!("{error}: {rows}"))
}

/// The interpreter that has it: the environment variable `PYTHON`, or else the one in `target/tools`.
fn python() -> PathBuf {
    env::var_os("PYTHON").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/tools/python/bin/python"),
        PathBuf::from,
    )
}
