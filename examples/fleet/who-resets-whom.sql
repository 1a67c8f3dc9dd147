-- Who resets whom? Connections that ended by an RST, by who sent it: `reset-remote` came from the peer, all
-- other `reset-*` from the host itself. The reset of a connection between two of our hosts is in both hosts' rows.
select
    host,
    comm,
    case when role = 'server' then local_port else remote_port end as service,
    remote_addr,
    reason,
    count(*) as resets,
    min(time) as first_time,
    max(time) as last_time
from transitions
where reason like 'reset-%'
group by host, comm, service, remote_addr, reason
order by resets desc, host, comm, service, remote_addr, reason
limit 20
