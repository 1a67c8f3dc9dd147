#!/usr/bin/env python3
"""Turns what all hosts exported into one file for each hour: FOLDER/2026-11-29/12.parquet, sorted by host and time.

A filter on a host then reads a few row groups of it, and a thousand hosts make 24 files a day.

    pip install duckdb
    compact.py INCOMING FOLDER          # all *.parquet below INCOMING

Hours that are there already keep their rows. What comes later is added, and what is in them already is not added again. So
files may be removed from INCOMING when this has ended.
"""

import glob
import os
import sys

import duckdb

# Rows in a row group. Hosts are found by the smallest and the largest value of each.
ROWS = 131_072


def main(incoming: str, folder: str) -> None:
    db = duckdb.connect()
    # Order in files comes from the sort; to keep that of the source costs memory.
    db.execute("set timezone = 'UTC'; set preserve_insertion_order = false")
    # Files of `export --life` have other rows.
    files = [path for path in glob.glob(f"{incoming}/**/*.parquet", recursive=True) if not path.endswith(".life.parquet")]
    if not files:
        sys.exit(f"{incoming}: no files of exports (*.parquet)")
    db.read_parquet(files, union_by_name=True).create_view("incoming")
    hours = db.execute("select distinct time_ns // 3600000000000 from incoming order by 1").fetchall()
    for (hour,) in hours:
        start = hour * 3_600_000_000_000
        day, name = db.execute(
            "select strftime(t, '%Y-%m-%d'), strftime(t, '%H') from (select make_timestamp_ns(?) as t)", [start]
        ).fetchone()
        os.makedirs(f"{folder}/{day}", exist_ok=True)
        path = f"{folder}/{day}/{name}.parquet"
        rows = f"from incoming where time_ns >= {start} and time_ns < {start + 3_600_000_000_000}"
        if os.path.exists(path):
            rows = f"select distinct * from ({rows} union all by name from read_parquet('{path}'))"
        db.execute(
            f"copy (from ({rows}) order by host, time_ns) to '{path}.tmp' (format parquet, compression zstd, row_group_size {ROWS})"
        )
        os.rename(f"{path}.tmp", path)
        print(path)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
