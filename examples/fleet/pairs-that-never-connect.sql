-- Which pairs never connect? Clients that tried at least three times, and never got through: what the network, a
-- firewall or a missing listener keeps apart. `refused` were answered by an RST, `unanswered` not at all.
with pairs as (
    select
        host,
        comm,
        remote_addr,
        remote_port as service,
        sum(case when old_state = 'CLOSE' and new_state = 'SYN_SENT' then 1 else 0 end) as tries,
        sum(case when reason = 'refused' then 1 else 0 end) as refused,
        sum(case when reason in ('timeout-connect', 'unanswered') then 1 else 0 end) as unanswered,
        sum(case when reason = 'unreachable' then 1 else 0 end) as unreachable,
        sum(case when new_state = 'ESTABLISHED' then 1 else 0 end) as connected,
        max(time) as last_time
    from transitions
    where role = 'client'
    group by host, comm, remote_addr, remote_port
)
select host, comm, remote_addr, service, tries, refused, unanswered, unreachable, last_time
from pairs
where tries >= 3 and connected = 0
order by tries desc, host, comm, remote_addr, service
limit 20
