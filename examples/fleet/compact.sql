-- Turns the files of an hour, one or more of each host, into one file for all hosts, sorted by host and time. A filter on
-- a host then reads a few row groups of it, and there is one file for each hour instead of one for each host.
-- Set the folders before: SET VARIABLE incoming = 'incoming/*.parquet'; SET VARIABLE hour = TIMESTAMPTZ '2026-11-29 12:00:00+00';
create or replace temp table hour_of_all_hosts as
    select *
    from read_parquet(getvariable('incoming'), union_by_name = true)
    where time >= getvariable('hour') and time < getvariable('hour') + interval 1 hour
    order by host, time_ns
