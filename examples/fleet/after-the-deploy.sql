-- What changed after the deploy? How often connections of each service ended for each reason, per hour, before and
-- after; what grew most is first. The table `deploy` has one row: its time as `time_ns`, nanoseconds since 1970.
with spans as (
    select
        max(deploy.time_ns) as deploy_ns,
        (max(deploy.time_ns) - min(transitions.time_ns)) / 3600e9 as hours_before,
        (max(transitions.time_ns) - max(deploy.time_ns)) / 3600e9 as hours_after
    from transitions
    cross join deploy
), ends as (
    select
        comm,
        case when role = 'server' then local_port else remote_port end as service,
        reason,
        sum(case when time_ns < deploy_ns then 1 else 0 end) as ends_before,
        sum(case when time_ns >= deploy_ns then 1 else 0 end) as ends_after
    from transitions
    cross join spans
    where reason is not null
    group by comm, service, reason
), rates as (
    select
        comm,
        service,
        reason,
        ends_before / nullif(hours_before, 0) as per_hour_before,
        ends_after / nullif(hours_after, 0) as per_hour_after
    from ends
    cross join spans
    where ends_before + ends_after >= 10
)
select comm, service, reason, per_hour_before, per_hour_after
from rates
order by abs(per_hour_after - per_hour_before) desc nulls last, comm, service, reason
limit 20
