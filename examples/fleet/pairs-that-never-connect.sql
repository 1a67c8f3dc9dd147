-- Which pairs never connect? Clients that tried at least three times, and never got through: what the network, a
-- firewall or a missing listener keeps apart. The reason tells which.
select
    host,
    comm,
    remote_addr,
    remote_port as service,
    count(*) filter (where old_state = 'CLOSE' and new_state = 'SYN_SENT') as tries,
    mode(reason) as reason,
    max(time) as last_time
from transitions
where role = 'client'
group by host, comm, remote_addr, remote_port
having count(*) filter (where old_state = 'CLOSE' and new_state = 'SYN_SENT') >= 3
    and count(*) filter (where new_state = 'ESTABLISHED') = 0
order by tries desc, host, comm, remote_addr, service
limit 20
