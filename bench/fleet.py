"""Makes a day of a thousand hosts, about 100 million rows, and asks DuckDB the questions of examples/fleet with two threads.

Prints a line `NAME SECONDS` for each, and `NAME, of CPU time SECONDS`, medians of three times, and `rows NUMBER`.
"""

import os
import pathlib
import statistics
import sys
import time

import duckdb

HOURS = 24
HOSTS = 1_000
CONNECTIONS = 1_050_000  # an hour
ROWS_IN_GROUP = 131_072
TIMES = 3

examples, folder = map(pathlib.Path, sys.argv[1:])
made = (examples / "made.sql").read_text()
db = duckdb.connect()
db.execute("set threads = 2; set timezone = 'UTC'; set preserve_insertion_order = false")
db.execute(f"set temp_directory = '{folder}/spilled'")
db.execute(f"set variable hosts = {HOSTS}; set variable connections = {CONNECTIONS}")
for hour in range(HOURS):
    db.execute(f"set variable hour = timestamptz '2026-11-29 {hour:02}:00:00+00'")
    db.execute(made)
    db.execute(
        f"copy (from made order by host, time_ns) to '{folder}/{hour:02}.parquet'"
        f" (format parquet, compression zstd, row_group_size {ROWS_IN_GROUP})"
    )
db.read_parquet(f"{folder}/*.parquet").create_view("transitions")
db.execute("create view deploy as select epoch_ns(timestamptz '2026-11-29 12:30:00+00') as time_ns")
for question in sorted(examples.glob("*.sql")):
    if question.name == "made.sql":
        continue
    took, used = [], []
    for _ in range(TIMES):
        begun, before = time.monotonic(), os.times()
        db.execute(question.read_text()).fetchall()
        after = os.times()
        took.append(time.monotonic() - begun)
        used.append(after.user + after.system - before.user - before.system)
    print(f"{question.stem} {statistics.median(took)}")
    print(f"{question.stem}, of CPU time {statistics.median(used)}", flush=True)
print("rows", db.execute("select count(*) from transitions").fetchone()[0])
