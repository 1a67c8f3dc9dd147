#!/usr/bin/env python3
"""Asks one of several engines the questions in these files. Answers are printed as JSON, a line for each row.

    pip install duckdb                  # or polars, chdb (ClickHouse), pyspark
    ask.py ENGINE 'FOLDER/2026-11-29/*.parquet' QUESTION.sql... [--deploy '2026-11-29 12:30:00+00:00']

ENGINE is duckdb, polars, clickhouse or spark. Times are in UTC.
"""

import argparse
import datetime
import glob
import json
import os
import time


def duckdb(files, deploy):
    import duckdb

    db = duckdb.connect()
    db.execute("set timezone = 'UTC'")
    db.read_parquet(files).create_view("transitions")
    db.execute(f"create view deploy as {deploy}")

    def ask(sql):
        rows = db.execute(sql)
        names = [column[0] for column in rows.description]
        return [dict(zip(names, row)) for row in rows.fetchall()]

    return ask


def polars(files, deploy):
    import polars

    context = polars.SQLContext(transitions=polars.scan_parquet(files))
    context.register("deploy", context.execute(deploy))
    return lambda sql: context.execute(sql, eager=True).to_dicts()


def clickhouse(files, deploy):
    from chdb.session import Session

    session = Session()
    session.query("create database fleet; use fleet")
    session.query(f"create view transitions as select * from file('{files}', Parquet)")
    session.query(f"create view deploy as {deploy}")

    def ask(sql):
        # ClickHouse's `median` is that of a sample.
        sql = sql.replace("median(", "quantileExactInclusive(0.5)(")
        settings = "settings output_format_json_quote_64bit_integers = 0, date_time_output_format = 'iso'"
        rows = str(session.query(f"{sql} {settings}", "JSONEachRow"))
        return [json.loads(row) for row in rows.splitlines()]

    return ask


def spark(files, deploy):
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.config("spark.sql.session.timeZone", "UTC")
    # A few partitions are enough for one machine. A cluster's own settings stand elsewhere.
    builder = builder.config("spark.sql.shuffle.partitions", 4).config("spark.ui.enabled", "false")
    session = builder.config("spark.ui.showConsoleProgress", "false").getOrCreate()
    os.environ["TZ"] = "UTC"
    time.tzset()
    session.read.parquet(files).createOrReplaceTempView("transitions")
    session.sql(deploy).createOrReplaceTempView("deploy")
    return lambda sql: [row.asDict() for row in session.sql(sql).collect()]


def utc(time):
    """Spark's times say no zone."""
    return (time if time.tzinfo else time.replace(tzinfo=datetime.timezone.utc)).isoformat()


ENGINES = {engine.__name__: engine for engine in (duckdb, polars, clickhouse, spark)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("files")
    parser.add_argument("questions", nargs="+")
    parser.add_argument("--deploy", type=datetime.datetime.fromisoformat, help="when, with its zone")
    arguments = parser.parse_args()
    if not glob.glob(arguments.files) and "://" not in arguments.files:
        parser.error(f"no files are called {arguments.files}")
    deploy = arguments.deploy or datetime.datetime.fromtimestamp(0, datetime.timezone.utc)
    seconds = int(deploy.timestamp())
    ask = ENGINES[arguments.engine](arguments.files, f"select {seconds * 1_000_000_000} as time_ns")
    for question in arguments.questions:
        if len(arguments.questions) > 1:
            print(json.dumps({"question": question}))
        with open(question, encoding="utf-8") as text:
            for row in ask(text.read()):
                print(json.dumps(row, default=utc))


if __name__ == "__main__":
    main()
