-- Made rows of many hosts, as DuckDB's view `made`, in which one thing is wrong for each question. To try the
-- queries with, and for the tests. Set the hour before, and other sizes if wanted:
-- SET VARIABLE hour = TIMESTAMPTZ '2026-11-29 12:00:00+00'; SET VARIABLE hosts = 60; SET VARIABLE connections = 36000;
create or replace view made as
with sizes as (
    select
        getvariable('hour')::timestamptz as hour,
        coalesce(getvariable('hosts'), 60)::bigint as hosts,
        coalesce(getvariable('connections'), 36000)::bigint as connections
), connections as (
    select
        hour,
        i % hosts as h,
        -- Most hosts have a number of their own, so that a query on a thousand hosts has no easier data.
        i // hosts % 7 as k,
        epoch_us(hour) // 3600000000 * 1000000000 + i as cookie,
        epoch_us(hour) + i * 3600000000 // connections as began_us
    from sizes, range(coalesce(getvariable('connections'), 36000)::bigint) as numbers(i)
), stories as (
    select
        *,
        (began_us - epoch_us(hour)) // 60000000 as minute,
        -- The proxies of host 3 are reset by their peers.
        h = 3 and k < 4 as is_reset,
        -- From minute 40 on one peer is slow for five minutes.
        k = 5 and minute >= 40 and minute < 45 as is_slow,
        -- Host 9 never gets to 10.0.0.6.
        h = 9 and k = 6 as is_apart,
        -- The service of host 11 does not close.
        h = 11 as is_leaking,
        -- After the deploy, in the middle of the hour, billing times out.
        h = 20 and minute >= 30 as is_bad
    from connections
), steps as (
    select *, unnest([0, 1, 2, 3]) as step
    from stories
)
select
    'host' || h as host,
    cookie,
    1::bigint as netns_cookie,
    make_timestamptz(began_us + 1000 * step) as time,
    (began_us + 1000 * step) * 1000 as time_ns,
    case when is_leaking then 'orders' when h = 20 then 'billing' else 'proxy' end as comm,
    'client' as role,
    '10.1.' || h // 250 || '.' || h % 250 as local_addr,
    40000 + cookie % 20000 as local_port,
    '10.0.0.' || k as remote_addr,
    443::bigint as remote_port,
    ['CLOSE', 'SYN_SENT', 'ESTABLISHED', 'CLOSE_WAIT'][step + 1] as old_state,
    case
        when is_apart and step = 1 or is_reset and step = 2 then 'CLOSE'
        else ['SYN_SENT', 'ESTABLISHED', 'CLOSE_WAIT', 'CLOSE'][step + 1]
    end as new_state,
    case
        when is_apart and step = 1 then 'timeout-connect'
        when is_reset and step = 2 then 'reset-remote'
        when is_bad and step = 3 then 'timeout-retransmit'
        when step = 3 then 'fin-remote'
    end as reason,
    case
        when step = 0 or is_apart then null
        when is_slow then 90000.5 + cookie % 100
        else 300.25 + cookie % 50
    end::double as handshake_us
from steps
where not (is_apart and step > 1) and not (is_reset and step > 2) and not (is_leaking and step > 2);
