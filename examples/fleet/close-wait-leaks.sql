-- Which service leaks CLOSE_WAIT? Connections whose peer has closed, and whose own process has not closed by
-- the end of the data. A socket is told apart by its host, its namespace and its cookie.
with entered as (
    select host, netns_cookie, cookie, comm, role, local_port, remote_port, time
    from transitions
    where new_state = 'CLOSE_WAIT'
), left_again as (
    select host, netns_cookie, cookie
    from transitions
    where old_state = 'CLOSE_WAIT'
)
select
    host,
    comm,
    case when role = 'server' then local_port else remote_port end as service,
    count(*) as leaked,
    min(time) as oldest
from entered
where not exists (
    select 1
    from left_again
    where left_again.host = entered.host
        and left_again.cookie = entered.cookie
        and left_again.netns_cookie is not distinct from entered.netns_cookie
)
group by all
having count(*) >= 10
order by leaked desc, host, comm, service
limit 20
