//! The sockets as they were at a moment of a recording (`tracer list --from FILE --at TIME`).

use tokio::runtime;
use tracer_common::{event::Holder, state as number};

use crate::{
    config::{RecordedList, ShownSpan, SocketsConfig},
    facts::{
        Fact,
        context::Context,
        listing::{ConnectionInfo, ListedSocket, Listing, Protocol},
        snapshot::TimewaitByNetns,
    },
    recording::header::Header,
    run::{error::Error, known::KnownThen, span::HostSpans},
    select::{cgroups::CgroupFilter, listed::ListedFilter, spec::Filters, story::StoryFilter},
    source::{self, Demand, Source as _, replay::Replay},
    time::{clock::Anchor, span::TimeSpan},
    track::{Tracker, connection::Connection, owner::Evidence},
};

/// Finds them. Nothing of what there is now is asked.
pub(super) fn find(config: &SocketsConfig, recorded: &RecordedList) -> Result<(Listing, Context), Error> {
    let spans = match &recorded.at {
        ShownSpan::OfFiles(spec) => Some(HostSpans::of_files(&recorded.replay.paths, spec)?),
        _ => None,
    };
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Error::system("starting the runtime"))?.block_on(read(config, recorded, spans.as_ref()))
}

async fn read(
    config: &SocketsConfig,
    recorded: &RecordedList,
    spans: Option<&HostSpans>,
) -> Result<(Listing, Context), Error> {
    let is_wanted = |header: &Header| spans.is_none_or(|spans| spans.has_any(header));
    let mut replay = Replay::open_last(&recorded.replay, is_wanted).await?;
    let header = replay.header().cloned().unwrap_or_default();
    let at = spans.map_or_else(|| recorded.at.clone(), |spans| ShownSpan::Known(spans.of(Some(&header))));
    if !header.has_stories {
        return Err(Error::NoSockets);
    }
    let ids = config.names.resolve(replay.names()).map_err(source::Error::from)?;
    let mut constant = config.constant.clone();
    constant.netns = ids.netns.clone();
    let constant = constant.within(&header.filter).map_err(source::Error::from)?;
    let story = StoryFilter { cgroups: CgroupFilter::new(ids), ..config.story.clone() };
    let mut filter = ListedFilter::new(&constant, story, config.shown);

    let mut known = KnownThen::new(&header, Filters::default());
    let timewait = TimewaitByNetns::default();
    let mut end_ns = None;
    let is_cut_off = loop {
        let fact = replay.next(Demand { end_ns, ..Demand::all(&timewait) }).await?;
        match fact {
            Fact::End(totals) => break totals.is_cut_off,
            Fact::Ready(begin_ns) => {
                let span = match &at {
                    ShownSpan::Known(span) => *span,
                    ShownSpan::OfFiles(spec) | ShownSpan::OfStream(spec) => {
                        spec.within(&known.stages.time_so_far(begin_ns))
                    }
                };
                let TimeSpan { until_ns, .. } = span;
                end_ns = until_ns;
            }
            fact => known.learn(fact, replay.names()),
        }
    };
    let stages = &known.stages;
    let now_ns = end_ns.filter(|_| !is_cut_off).unwrap_or_else(|| stages.now_ns());
    let at = Anchor { monotonic_ns: now_ns, wall_ns: stages.wall_ns(now_ns) };
    let mut listing = Listing::begun(at);
    let mut context = stages.context().clone();
    let tracker = stages.tracker().into_iter();
    for (tracker, connection) in tracker.flat_map(|tracker| tracker.iter().map(move |one| (tracker, one))) {
        let socket = listed(connection, tracker, &context, now_ns);
        if is_listed(connection)
            && filter.selects(&socket)
            && filter.selects_owner(&socket, now_ns, replay.names())
        {
            context.names.learn_ids(socket.cgroup, socket.tuple.netns_id(), replay.names());
            context.names.learn_process(socket.owner(now_ns).pid, now_ns, replay.names());
            listing.sockets.push(socket);
        }
    }
    // The table has no order of its own.
    listing.sockets.sort_by_key(|socket| {
        let tuple = &socket.tuple;
        (socket.tuple.netns_id().inum, tuple.local_port, tuple.remote_addr, tuple.remote_port, socket.cookie)
    });
    Ok((listing, context))
}

/// Whether the kernel would list it: not one that is neither bound nor connected.
fn is_listed(connection: &Connection) -> bool {
    connection.state != number::CLOSE
}

/// A connection as a socket in a list.
fn listed(connection: &Connection, tracker: &Tracker, context: &Context, now_ns: u64) -> ListedSocket {
    let is_full = connection.has_queues();
    let counters = connection.counters;
    let is_young = connection.state == number::NEW_SYN_RECV;
    ListedSocket {
        // As the kernel tells those that are half-open.
        state: if is_young { number::SYN_RECV } else { connection.state },
        cookie: connection.cookie,
        uid: connection.known_uid().filter(|_| is_full),
        recv_queue: if is_full { counters.recv_queue } else { 0 },
        send_queue: if is_full { counters.send_queue } else { 0 },
        // Of a full socket they change without an event.
        knows_queues: !is_full || tracker.refreshed_ns() >= connection.last_ns,
        in_state_ns: Some(now_ns.saturating_sub(connection.in_state_from_ns())),
        knows_age: connection.since_ns().is_some(),
        info: (is_full && connection.state != number::LISTEN).then_some(ConnectionInfo {
            srtt_us: counters.srtt_us,
            retransmits: counters.retransmits,
            bytes_acked: counters.bytes_acked,
            bytes_received: counters.received,
        }),
        cgroup: connection.cgroup,
        is_v6_only: connection.is_v6_only(),
        holders: if is_full { holders(connection, context) } else { Some(Box::default()) },
        ..ListedSocket::new(Protocol::Tcp, connection.family, connection.tuple)
    }
}

/// Who holds it, as of the last search; else its owner.
fn holders(connection: &Connection, context: &Context) -> Option<Box<[Holder]>> {
    let found = context.holders.of(connection.cookie, connection.mptcp_token);
    if !found.is_empty() {
        return Some(found.into());
    }
    let owner = &connection.owner;
    // The process that has the listener does not hold what nobody has accepted.
    (owner.is_known() && owner.evidence != Evidence::Listener && owner.holders() != Some(0)).then(|| {
        let holder =
            Holder { cookie: connection.cookie, pid: owner.pid, comm: owner.comm, ..Holder::default() };
        [holder].into()
    })
}
