-- Where did handshakes get slow, and when? The services that clients waited for longest, in steps of five minutes,
-- compared with the same service's usual handshake.
with handshakes as (
    select
        host,
        remote_addr,
        remote_port as service,
        time,
        time_ns - time_ns % 300000000000 as five_minutes,
        handshake_us
    from transitions
    where new_state = 'ESTABLISHED' and role = 'client' and handshake_us is not null
), usual as (
    select service, median(handshake_us) as usual_us
    from handshakes
    group by service
), steps as (
    select
        min(time) as first_time,
        service,
        remote_addr,
        count(*) as handshakes,
        count(distinct host) as hosts,
        median(handshake_us) as median_us,
        max(handshake_us) as slowest_us
    from handshakes
    group by five_minutes, service, remote_addr
    having count(*) >= 10
)
select
    first_time,
    steps.service,
    remote_addr,
    handshakes,
    hosts,
    median_us,
    slowest_us,
    usual_us
from steps
join usual on steps.service = usual.service
where median_us >= 3 * usual_us
order by median_us / usual_us desc, first_time, steps.service, remote_addr
limit 20
