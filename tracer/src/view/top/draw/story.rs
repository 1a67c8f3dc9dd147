//! The known history of one connection.

use ratatui::text::{Line, Span};

use super::{DrawContext, bold, dim, heading, plain, style_of};
use crate::{
    facts::context::Context,
    format::value::MOST_HOLDERS,
    tcp::{colour, limits::waits_for, state::State},
    text::{
        duration::duration,
        escape::{escaped, name},
        width::{grouped, left, right},
    },
    track::connection::{Connection, Role},
    view::top::{
        detail::{Detail, Stay},
        draw::list::{comm, ends},
        model::Model,
    },
};

/// Width of the names of facts.
const NAME: usize = 11;

/// All known facts of a connection.
pub(super) fn lines<'a>(
    detail: &Detail,
    model: &Model,
    around: &mut DrawContext<'_>,
    width: u16,
) -> Vec<Line<'a>> {
    let connection = &detail.connection;
    let arrow = match connection.role {
        Role::Client => "->",
        Role::Server => "<-",
        _ => "--",
    };
    let role = connection.role.name().unwrap_or("part not known");
    let (local, remote) = ends(connection, around.context);
    let mut lines = vec![heading(format!("{local} {arrow} {remote}  ({role})"), width)];
    let owner = &connection.owner;
    let (who, how) = match owner.evidence.name() {
        Some(how) => (format!("{} ({})", comm(connection), owner.pid), format!("  known from: {how}")),
        None => ("not known".to_owned(), String::new()),
    };
    let cgroup = cgroup(connection.cgroup, around);
    lines.push(fact("owner", vec![bold(who), dim(how)]));
    lines.extend(holders(connection, around.context).map(|text| fact("held by", vec![plain(text)])));
    let uid = connection.known_uid().map_or_else(|| "not known".to_owned(), |uid| uid.to_string());
    lines.push(fact("cgroup", vec![plain(format!("{cgroup}  uid {uid}"))]));
    lines.push(fact(
        "netns",
        vec![
            plain(format!("{}  cookie {}", connection.tuple.netns, connection.cookie)),
            dim(format!("  (ss -e: sk:{:x})", connection.cookie)),
        ],
    ));
    let counters = &connection.counters;
    let bytes =
        |acked: u64, received: u64| format!("{} bytes sent, {} received", grouped(acked), grouped(received));
    lines.push(fact(
        "traffic",
        vec![plain(bytes(counters.sent(connection.role, connection.state), counters.received))],
    ));
    let (recv, send) = (u64::from(counters.recv_queue), u64::from(counters.send_queue));
    let queues = format!("{} bytes to be read, {} to be acknowledged", grouped(recv), grouped(send));
    lines.push(fact("queues", vec![plain(if connection.is_timewait { "none".to_owned() } else { queues })]));
    lines.extend(
        hindrance(connection).map(|text| fact("sending", vec![Span::styled(text, style_of(colour::STUCK))])),
    );
    let time = |us: u32| if us == 0 { "not measured".to_owned() } else { duration(u64::from(us) * 1000) };
    lines.push(fact(
        "path",
        vec![plain(format!(
            "round trip {}, handshake {}, {} retransmitted",
            time(counters.srtt_us),
            time(connection.handshake_us()),
            counters.retransmits
        ))],
    ));
    lines.push(Line::default());
    lines.push(heading("SINCE           STATE           FOR", width));
    if connection.born_ns().is_none() {
        lines.push(Line::from(dim("its beginning was not seen")));
    }
    let stays = detail.stays(model.now_ns);
    lines.extend(stays.iter().map(|stay| stay_line(stay, detail, model, around)));
    if let Some((reason, time_ns)) = detail.end {
        let style = style_of(colour::end(reason.is_orderly()));
        lines.push(Line::from(vec![
            plain(left(&time_of_day(Some(time_ns), around), 16)),
            Span::styled(format!("ended for its processes: {}", reason.name()), style),
        ]));
    }
    if detail.has_vanished {
        lines.push(Line::from(dim("it is not there any more; how it ended was not seen")));
    }
    if let Some(time_ns) = detail.gone_ns {
        lines.push(Line::from(vec![
            plain(left(&time_of_day(Some(time_ns), around), 16)),
            Span::styled("CLOSE", style_of(colour::of(State::CLOSE))),
        ]));
    }
    lines
}

/// Who holds the socket, if these are several processes.
fn holders(connection: &Connection, context: &Context) -> Option<String> {
    let holders = context.holders.of(connection.cookie, connection.mptcp_token);
    let names: Vec<_> = holders
        .iter()
        .take(MOST_HOLDERS)
        .map(|holder| format!("{} ({})", escaped(name(&holder.comm)), holder.pid))
        .collect();
    (holders.len() > 1).then(|| format!("{} processes: {}", holders.len(), names.join(", ")))
}

/// What keeps the send queue from going out. `backoff` is the word of `ss` for how often the timer was doubled.
fn hindrance(connection: &Connection) -> Option<String> {
    let window = connection.is_window_zero().then(|| "the peer's window is zero".to_owned());
    let backoff = (connection.backoff > 0).then(|| format!("backoff {}", connection.backoff));
    let parts: Vec<_> = window.into_iter().chain(backoff).collect();
    (!parts.is_empty()).then(|| parts.join("  "))
}

fn cgroup(id: u64, around: &mut DrawContext<'_>) -> String {
    match (id, around.names.cgroup_path(id)) {
        (0, _) => "not known".to_owned(),
        (_, Some(path)) => path,
        (id, None) => format!("{id} (gone)"),
    }
}

fn fact<'a>(name: &str, mut value: Vec<Span<'a>>) -> Line<'a> {
    value.insert(0, dim(left(name, NAME)));
    Line::from(value)
}

fn stay_line<'a>(stay: &Stay, detail: &Detail, model: &Model, around: &DrawContext<'_>) -> Line<'a> {
    let connection = &detail.connection;
    let lasted = stay.duration_ns.map_or_else(
        || {
            let at_least = model.now_ns.saturating_sub(connection.in_state_from_ns());
            if stay.goes_on { format!(">{}", duration(at_least)) } else { "-".to_owned() }
        },
        duration,
    );
    let mut spans = vec![
        plain(left(&time_of_day(stay.from_ns, around), 16)),
        Span::styled(left(&stay.state.to_string(), 12), style_of(colour::of(stay.state))),
        plain(right(&lasted, 7)),
    ];
    if stay.goes_on {
        spans.push(dim(" and goes on"));
        if model.stuck_ns(connection).is_some() {
            spans.push(Span::styled(
                format!("  STUCK: {}", waits_for(stay.state.number())),
                style_of(colour::STUCK),
            ));
        }
    }
    Line::from(spans)
}

fn time_of_day(ns: Option<u64>, around: &DrawContext<'_>) -> String {
    ns.map_or_else(
        || "-".to_owned(),
        |ns| around.context.clock.wall(ns).to_zoned(around.zone.clone()).strftime("%H:%M:%S.%3f").to_string(),
    )
}
