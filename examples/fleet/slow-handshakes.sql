-- Where did handshakes get slow, and when? The services that clients waited for longest, in steps of five minutes,
-- compared with the same service's usual handshake.
with handshakes as (
    select
        host,
        remote_addr,
        remote_port as service,
        time_bucket(interval 5 minutes, time) as five_minutes,
        handshake_us
    from transitions
    where new_state = 'ESTABLISHED' and role = 'client' and handshake_us is not null
), usual as (
    select service, quantile_cont(handshake_us, 0.5) as usual_us
    from handshakes
    group by service
)
select
    five_minutes,
    service,
    remote_addr,
    count(*) as handshakes,
    count(distinct host) as hosts,
    quantile_cont(handshake_us, 0.5) as median_us,
    quantile_cont(handshake_us, 0.99) as p99_us,
    any_value(usual_us) as usual_us
from handshakes
join usual using (service)
group by five_minutes, service, remote_addr
having count(*) >= 10 and quantile_cont(handshake_us, 0.5) >= 3 * any_value(usual_us)
order by median_us / any_value(usual_us) desc, five_minutes, service, remote_addr
limit 20
