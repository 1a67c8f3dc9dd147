-- Which service leaks CLOSE_WAIT? Connections whose peer has closed, and whose own process has not closed by
-- the end of the data. A socket is told apart by its host, its namespace and its cookie.
with moves as (
    select
        host,
        netns_cookie,
        cookie,
        comm,
        case when role = 'server' then local_port else remote_port end as service,
        case when new_state = 'CLOSE_WAIT' then 1 else -1 end as entered,
        time
    from transitions
    where new_state = 'CLOSE_WAIT' or old_state = 'CLOSE_WAIT'
), suspects as (
    -- Sockets are many: only those of services that more have entered than left are looked at one by one.
    select host, service
    from moves
    group by host, service
    having sum(entered) >= 10
), sockets as (
    select
        moves.host,
        moves.service,
        max(case when entered = 1 then comm end) as comm,
        min(case when entered = 1 then time end) as entered_time
    from moves
    join suspects on moves.host = suspects.host and moves.service = suspects.service
    group by moves.host, moves.service, netns_cookie, cookie
    having min(entered) = 1
)
select
    host,
    comm,
    service,
    count(*) as leaked,
    min(entered_time) as oldest
from sockets
group by host, comm, service
having count(*) >= 10
order by leaked desc, host, comm, service
limit 20
