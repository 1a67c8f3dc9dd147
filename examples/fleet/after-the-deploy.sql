-- What changed after the deploy? How often connections of each service ended for each reason, per hour, before and
-- after; what grew most is first. Set the time before: SET VARIABLE deploy = TIMESTAMPTZ '2026-11-29 12:00:00+00';
with spans as (
    select
        epoch(getvariable('deploy') - min(time)) / 3600 as hours_before,
        epoch(max(time) - getvariable('deploy')) / 3600 as hours_after
    from transitions
), ends as (
    select
        comm,
        case when role = 'server' then local_port else remote_port end as service,
        reason,
        count(*) filter (where time < getvariable('deploy')) as before,
        count(*) filter (where time >= getvariable('deploy')) as after
    from transitions
    where reason is not null
    group by all
)
select
    comm,
    service,
    reason,
    before / nullif(hours_before, 0) as per_hour_before,
    after / nullif(hours_after, 0) as per_hour_after
from ends, spans
where before + after >= 10
order by
    abs(after / nullif(hours_after, 0) - before / nullif(hours_before, 0)) desc nulls last,
    comm, service, reason
limit 20
