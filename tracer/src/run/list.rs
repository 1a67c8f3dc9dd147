//! `tracer list`: what is there now. It needs no privileges, and loads nothing into the kernel.

use std::{
    collections::{HashMap, HashSet},
    io,
    os::unix::ffi::OsStrExt as _,
    process::ExitCode,
    time::Duration,
};

use tracer_common::{filter::family, state as number};

use crate::{
    config::{ListConfig, SocketsConfig},
    explain::here::Here,
    facts::{
        context::Context,
        listing::{ListedSocket, Listing, Protocol},
        names::FilterNames,
    },
    output::{
        stderr::message,
        stdout::{self, write_whole},
    },
    run::{
        asked, drive, error::Error, list_names::ListedNames, list_recorded, listening, network, stop::Stop,
        tolerate_closed_pipe,
    },
    select::{cgroups::CgroupFilter, listed::ListedFilter, story::StoryFilter},
    source::{
        self,
        kernel::{names::HostNames, users::user_name},
        listing::{self, ListingOptions, Where},
    },
    tcp::{limits::Limits, netns::NetnsFilter, state::State},
    text::escape::{escaped, name},
    time::clock::Clock,
};

/// Shows the list.
pub fn list(config: ListConfig) -> Result<ExitCode, Error> {
    match config {
        ListConfig::Sockets(config) => SocketList::new(*config)?.run(),
        ListConfig::Network(config) => network::list(&config),
    }
}

/// How many processes are named of those that hold sockets of a state.
const MOST_OWNERS: usize = 3;

/// Which sockets of TCP are in a state now: of all network namespaces that may be entered. `None` if that cannot be
/// told, as of those in CLOSE, which the kernel does not list.
#[must_use]
pub fn here(state: State) -> Option<Here> {
    let place = if rustix::process::geteuid().is_root() {
        Where::Namespaces(NetnsFilter::default())
    } else {
        Where::Here
    };
    if state.number() == number::CLOSE {
        return None;
    }
    let options = ListingOptions {
        protocols: vec![Protocol::Tcp],
        states: 1_u32.checked_shl(state.number().into())?,
        families: family::ANY,
        info: true,
        owners: true,
        place,
        known: HashMap::new(),
        given: Vec::new(),
    };
    let (listing, _) = listing::list(&options, &|_| true).ok()?;
    let mut owners: HashMap<(u32, String), u64> = HashMap::new();
    for holder in listing.sockets.iter().filter_map(|socket| socket.holders.as_deref()).flatten() {
        *owners.entry((holder.pid, escaped(name(&holder.comm)))).or_default() += 1;
    }
    let mut owners: Vec<_> = owners.into_iter().collect();
    owners.sort_by_key(|((pid, _), count)| (u64::MAX - count, *pid));
    let owners =
        owners.into_iter().take(MOST_OWNERS).map(|((pid, comm), count)| (format!("{comm} ({pid})"), count));
    let limit_ns = Limits::defaults().of(state.number());
    let age_ns = |socket: &ListedSocket| socket.in_state_ns;
    let count = |is_so: &dyn Fn(&ListedSocket) -> bool| {
        u64::try_from(listing.sockets.iter().filter(|socket| is_so(socket)).count()).unwrap_or(u64::MAX)
    };
    let hidden = count(&|socket| socket.holders.is_none());
    // One message is about owners; others are about namespaces.
    let has_unseen = listing.missing.len() > usize::from(hidden > 0);
    Some(Here {
        count: count(&|_| true),
        oldest_ns: listing.sockets.iter().filter_map(age_ns).max(),
        owners: owners.collect(),
        limit_ns,
        stuck: count(&|socket| age_ns(socket).is_some_and(|age| limit_ns.is_some_and(|limit| age >= limit))),
        ageless: count(&|socket| age_ns(socket).is_none()),
        hidden,
        is_part: matches!(options.place, Where::Here) || has_unseen,
    })
}

/// A list of sockets.
struct SocketList {
    config: SocketsConfig,
    options: ListingOptions,
    filter: ListedFilter,
    names: HostNames,
    users: HashMap<u32, Option<String>>,
    ends: Option<ListedNames>,
    /// Messages.
    said: HashSet<String>,
}

impl SocketList {
    fn new(config: SocketsConfig) -> Result<Self, Error> {
        let mut names = HostNames::default();
        // Names in filters are those of the host that the sockets are on.
        let asked = if config.recorded.is_some() { &FilterNames::default() } else { &config.names };
        let ids = asked.resolve(&mut names).map_err(source::Error::from)?;
        let place = if config.all_netns || !ids.netns.is_open() {
            Where::Namespaces(ids.netns.clone())
        } else {
            Where::Here
        };
        let story = StoryFilter { cgroups: CgroupFilter::new(ids), ..config.story.clone() };
        Ok(Self {
            options: ListingOptions {
                protocols: config.protocols.clone(),
                states: config.states,
                families: config.constant.families,
                info: config.info,
                owners: config.owners,
                place,
                known: HashMap::new(),
                given: config.names.paths(),
            },
            filter: ListedFilter::new(&config.constant, story, config.shown),
            names,
            users: HashMap::new(),
            ends: config.end_names.map(ListedNames::new),
            said: HashSet::new(),
            config,
        })
    }

    fn run(mut self) -> Result<ExitCode, Error> {
        let Some(interval) = self.config.watch else {
            return tolerate_closed_pipe(self.show()).map(|()| ExitCode::SUCCESS);
        };
        let (runtime, signals) = listening()?;
        let result = drive(runtime, self.watch(interval, Stop::new(signals)));
        tolerate_closed_pipe(result).map(|()| ExitCode::SUCCESS)
    }

    /// Shows one list after the other until a signal comes.
    async fn watch(&mut self, interval: Duration, mut stop: Stop) -> Result<(), Error> {
        let mut left = self.config.count.unwrap_or(u64::MAX);
        loop {
            self.show()?;
            left = left.saturating_sub(1);
            if left == 0 || stop.comes_within(interval).await {
                return Ok(());
            }
        }
    }

    /// Shows what is there now.
    fn show(&mut self) -> Result<(), Error> {
        let (mut listing, context) = self.find()?;
        // Those that are true of every list are said once.
        for text in std::mem::take(&mut listing.missing) {
            if self.said.insert(text.clone()) {
                message(text);
            }
        }
        let mut out = Vec::new();
        self.config.view.show(&mut listing, &context, &mut out);
        if let Some(recode) = self.config.recoding {
            recode(&mut out);
        }
        write_whole(&out).map_err(|error| stdout::Error::Write(error).into())
    }

    /// Asks a running `serve` since when sockets are in their states, if it is there and ages are shown.
    fn ask(&mut self) {
        if !self.config.info || !self.options.protocols.contains(&Protocol::Tcp) {
            return;
        }
        let Some(path) = &self.config.socket else { return };
        let shown = escaped(path.as_os_str().as_bytes());
        match asked::ages(path) {
            Ok(known) => {
                log::info!("{shown}: knows since when {} sockets are in their states", known.len());
                self.options.known = known;
            }
            Err(error) => {
                log::info!("{shown}: {error}: ages are what the kernel tells");
                self.options.known.clear();
                if error.kind() == io::ErrorKind::TimedOut {
                    // It would take as long again.
                    self.config.socket = None;
                }
            }
        }
    }

    fn find(&mut self) -> Result<(Listing, Context), Error> {
        if let Some(recorded) = &self.config.recorded {
            let (mut listing, mut context) = list_recorded::find(&self.config, recorded)?;
            if let Some(ends) = &mut self.ends {
                context.end_names = ends.of(&mut listing);
            }
            return Ok((listing, context));
        }
        self.ask();
        let filter = &self.filter;
        let (mut listing, interfaces) =
            listing::list(&self.options, &|socket| filter.selects(socket)).map_err(source::Error::from)?;
        let at_ns = listing.at.monotonic_ns;
        let Self { filter, names, .. } = self;
        listing.sockets.retain(|socket| filter.selects_owner(socket, at_ns, names));
        let mut context = Context { interfaces, ..Context::new(Clock::new(listing.at)) };
        for socket in &listing.sockets {
            context.names.learn_ids(socket.cgroup, socket.tuple.netns_id(), &mut self.names);
            if self.config.runs_in {
                context.names.learn_process(socket.owner(at_ns).pid, at_ns, &mut self.names);
            }
            if let Some(uid) = socket.uid.filter(|_| self.config.users) {
                let users = &mut self.users;
                context
                    .names
                    .learn_user(uid, |uid| users.entry(uid).or_insert_with(|| user_name(uid)).clone());
            }
        }
        if let Some(ends) = &mut self.ends {
            context.end_names = ends.of(&mut listing);
        }
        Ok((listing, context))
    }
}
