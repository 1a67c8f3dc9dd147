//! The content of the screen, and what keys change in it. It does not depend on a terminal.

use tracer_common::{aggregate::Side, state as number};

use crate::{
    aggregate::{
        findings::{FindingKind, Findings, Moment, Thresholds},
        totals::{RankingKey, state_index},
    },
    explain::texts::Language,
    facts::{
        known_names::KnownNames,
        names::Names,
        playback::{PlayCommand, Playback},
    },
    select::{Select, connections::ConnectionFilter, spec::FilterSpec},
    tcp::{limits::Limits, state::State, workload::Workload},
    text::escape::name,
    track::{Tracker, Transition, connection::Connection, owner::Owner},
    view::{
        input::Input,
        top::{
            counts::{Arrivals, ByState, Gauge, STATES, Series, fullness},
            detail::Detail,
            explanation::Explanation,
            groups::{GroupRow, GroupTable, Grouping, Groups},
            list::List,
            prompt::Prompt,
            sort::{Sort, SortKey},
        },
    },
};

/// The parser of typed filters.
#[derive(Clone, Debug)]
pub struct TypedFilter {
    /// Parses words as filters.
    pub parse: fn(&str) -> Result<FilterSpec, String>,
    /// Whether a word may be the beginning of a valid one.
    pub is_prefix_of_option: fn(&str) -> bool,
    /// The initial text.
    pub typed: String,
}

/// The word of a typed filter that selects stuck connections. It depends on the limits, which belong to the view.
const STUCK: &str = "stuck";

/// Maximum number of listeners kept for display.
const LISTENERS: usize = 64;

/// What the middle of the screen shows.
#[derive(Debug)]
pub enum Middle {
    /// The list of connections.
    List,
    /// One connection.
    Story(Box<Detail>),
    /// What a word means.
    Explanation(Box<Explanation>),
    /// The help screen.
    Help,
}

/// A finding whose connections are shown.
#[derive(Debug)]
pub struct OpenedFinding {
    /// What is wrong.
    pub kind: FindingKind,
    /// The command for what is not there any more.
    pub command: String,
}

/// The state of the screen.
#[derive(Debug)]
pub struct Model {
    /// How long a connection may stay in each state before it counts as stuck.
    pub limits: Limits,
    /// What the middle of the screen shows.
    pub middle: Middle,
    /// The sort order.
    pub sort: Sort,
    /// The sort order is reversed.
    pub is_reversed: bool,
    /// The typed filter.
    pub line: Prompt,
    /// The finding whose connections are shown.
    pub opened_finding: Option<OpenedFinding>,
    /// The language of explanations.
    language: Language,
    chosen: ConnectionFilter,
    /// Whether only stuck connections are chosen, or only others.
    chosen_stuck: Option<bool>,
    words: TypedFilter,
    /// The list of connections.
    pub list: List,
    /// The same in groups.
    pub groups: Groups,
    /// The group that was opened; Escape goes back to it.
    opened: Option<Grouping>,
    /// Show the command lines of processes.
    pub shows_command_lines: bool,
    /// Sockets by state, of those that pass the typed filter.
    pub now: ByState,
    /// Sockets by state, regardless of the typed filter.
    now_all: ByState,
    /// Trouble that stands out, whatever the typed filter.
    pub findings: Findings,
    /// Sockets by state that are older than the tracer. It is not known yet whether they are stuck.
    pub undecided: ByState,
    /// The listeners with the fullest accept queues.
    pub listeners: Vec<Gauge>,
    /// Number of listeners.
    pub listening: usize,
    /// New connections of servers.
    pub arrivals: Arrivals,
    /// Counts of all connections, regardless of the typed filter.
    all: Series,
    /// Counts of the connections that pass the typed filter, since it was typed.
    of_chosen: Series,
    /// The counts that are shown: one of the two above.
    pub series: Series,
    /// How a recording is played, if that can be chosen, and what the user wants.
    pub playback: Option<Playback>,
    pub(super) play: Option<PlayCommand>,
    /// The connections at the time when the user paused the display, and that time.
    paused: Option<(Vec<Connection>, u64)>,
    /// The watermark in nanoseconds: all events up to this time have been processed.
    pub now_ns: u64,
    /// Time of the last loss of events, in nanoseconds.
    pub loss_gap_ns: u64,
    /// The user wants to leave.
    pub quits: bool,
}

impl Model {
    /// An empty model.
    #[must_use]
    pub fn new(limits: Limits, thresholds: Thresholds, words: TypedFilter) -> Self {
        Self {
            findings: Findings::new(limits.clone(), thresholds),
            limits,
            middle: Middle::List,
            sort: Sort::default(),
            is_reversed: false,
            line: Prompt::new(words.typed.clone()),
            chosen: ConnectionFilter::default(),
            opened_finding: None,
            language: Language::ENGLISH,
            chosen_stuck: None,
            words,
            list: List::default(),
            groups: Groups::default(),
            opened: None,
            shows_command_lines: false,
            now: [0; STATES],
            now_all: [0; STATES],
            undecided: [0; STATES],
            listeners: Vec::new(),
            listening: 0,
            arrivals: Arrivals::default(),
            all: Series::default(),
            of_chosen: Series::default(),
            series: Series::default(),
            playback: None,
            play: None,
            paused: None,
            now_ns: 0,
            loss_gap_ns: 0,
            quits: false,
        }
    }

    /// Applies the initial filter, before the first transition.
    pub fn begin(&mut self, names: &mut dyn Names) {
        self.apply_line(names);
    }

    /// Whether the display is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// How long a connection has been stuck, in nanoseconds, if it is.
    #[must_use]
    pub fn stuck_ns(&self, connection: &Connection) -> Option<u64> {
        connection.stuck_ns(&self.limits, self.now_ns, self.loss_gap_ns)
    }

    /// Takes a transition. Counting continues while the display is paused.
    pub fn note(&mut self, transition: &Transition, names: &KnownNames) {
        self.all.note(transition);
        self.findings.note(transition);
        self.arrivals.note(transition);
        let connection = &transition.connection;
        let is_chosen = match transition.reason {
            _ if self.chosen.is_open() => true,
            Some(reason) => self.chosen.holds_end(connection, reason),
            None => self.chosen.is_of(connection),
        };
        if is_chosen {
            self.groups.note(transition, names);
        }
        // Otherwise those of all connections are shown.
        if is_chosen && !self.chosen.is_open() {
            self.of_chosen.note(transition);
        }
        if let Middle::Story(detail) = &mut self.middle {
            detail.note(transition);
        }
    }

    /// Ends a second.
    pub fn tick(&mut self) {
        self.all.tick(self.now_all);
        self.of_chosen.tick(self.now);
        self.arrivals.tick();
        if !self.is_paused() {
            self.groups.tick();
            self.show_series();
        }
    }

    fn show_series(&mut self) {
        self.series = if self.chosen.is_open() { self.all.clone() } else { self.of_chosen.clone() };
    }

    /// Counts all connections, and finds the visible ones.
    pub fn count_all(&mut self, tracker: &Tracker, select: &Select, names: &KnownNames, now_ns: u64) {
        if let Some((connections, now_ns)) = self.paused.take() {
            self.count_and_sort(connections.iter(), (tracker, names), now_ns, true);
            self.paused = Some((connections, now_ns));
        } else {
            self.loss_gap_ns = tracker.loss_gap_ns();
            let shown = self.groups.shown();
            let connections = || tracker.iter().filter(|connection| select.holds(connection));
            self.count_and_sort(connections(), (tracker, names), now_ns, false);
            // What the rows are depends on how many connections there are.
            if self.groups.shown() != shown {
                self.count_and_sort(connections(), (tracker, names), now_ns, false);
            }
            self.refresh_story(tracker);
        }
    }

    fn count_and_sort<'a>(
        &mut self,
        connections: impl Iterator<Item = &'a Connection>,
        (tracker, names): (&Tracker, &KnownNames),
        now_ns: u64,
        is_paused: bool,
    ) {
        self.now_ns = now_ns;
        (self.now, self.now_all) = ([0; STATES], [0; STATES]);
        self.undecided = [0; STATES];
        let mut listeners: Vec<&Connection> = Vec::new();
        let mut order: Vec<(SortKey, &Connection)> = Vec::new();
        let mut table = GroupTable::default();
        for connection in connections {
            let state = state_index(connection.state);
            self.now_all[state] += 1;
            let stuck_ns = self.stuck_ns(connection);
            let is_stuck = stuck_ns.is_some();
            let is_chosen = self.chosen.is_open() || self.chosen.holds(connection);
            if !is_chosen || self.chosen_stuck.is_some_and(|wanted| wanted != is_stuck) {
                continue;
            }
            self.now[state] += 1;
            if connection.state == number::LISTEN {
                listeners.push(connection);
                continue;
            }
            self.groups.add(&mut table, connection, stuck_ns, (now_ns, names));
            if !is_stuck && connection.may_be_older() && self.limits.of(connection.state).is_some() {
                self.undecided[state] += 1;
            }
            order.push((self.sort.place(connection, is_stuck), connection));
        }
        listeners.sort_by_key(|listener| (u64::MAX - fullness(listener), listener.tuple.local_port));
        self.listening = listeners.len();
        self.arrivals.note_queues(listeners.iter().copied());
        let gauge =
            |listener: &Connection| Gauge { listener: *listener, read_ns: tracker.queue_read_ns(listener) };
        self.listeners = listeners.into_iter().take(LISTENERS).map(gauge).collect();
        self.groups.decide(order.len());
        // Paused rows do not move.
        let looked_ns = if is_paused { 0 } else { tracker.refreshed_ns() };
        self.groups.arrange(table, self.is_reversed, looked_ns);
        self.list.arrange(order, self.is_reversed);
    }

    /// Looks for trouble if that is due. While the display is paused, what was found stays.
    pub fn survey(&mut self, tracker: &Tracker, select: &Select, moment: &Moment<'_>) {
        if !self.is_paused() {
            self.findings.survey(tracker.iter().filter(|connection| select.holds(connection)), moment);
        }
    }

    /// Updates the visible connections without counting all.
    pub fn refresh(&mut self, tracker: &Tracker, now_ns: u64) {
        if self.is_paused() {
            return;
        }
        self.now_ns = now_ns;
        self.list.refresh(tracker);
        self.refresh_story(tracker);
    }

    fn refresh_story(&mut self, tracker: &Tracker) {
        if let Middle::Story(detail) = &mut self.middle {
            detail.refresh(tracker.get(detail.connection.cookie));
        }
    }

    /// Handles a key. All connections must be counted again after it.
    pub fn input(&mut self, input: Input, tracker: &Tracker, select: &Select, names: &mut dyn Names) {
        if self.line.is_open() {
            if self.line.input(input) {
                self.apply_line(names);
            }
            return;
        }
        match (&self.middle, input) {
            (_, Input::Interrupt | Input::Char('q')) => self.quits = true,
            (_, Input::Screen(..)) => {}
            (Middle::Help, _) | (Middle::Story(_), Input::Escape | Input::Enter | Input::Left) => {
                self.middle = Middle::List;
            }
            (_, Input::Char('?' | 'h')) => self.middle = Middle::Help,
            (_, Input::Char(' ')) if self.playback.is_some() => self.play = Some(PlayCommand::Toggle),
            (_, Input::Char('.')) if self.playback.is_some() => self.play = Some(PlayCommand::Step),
            (_, Input::Char(' ')) => self.pause(tracker, select),
            (Middle::Story(_), _) => {}
            (Middle::Explanation(_), input) => {
                if let Middle::Explanation(explanation) = &mut self.middle
                    && explanation.input(input)
                {
                    self.middle = Middle::List;
                }
            }
            (Middle::List, input) => self.list_input(input, names),
        }
    }

    fn list_input(&mut self, input: Input, names: &mut dyn Names) {
        match input {
            Input::Enter | Input::Right if self.groups.shown().is_some() => self.open_group(names),
            Input::Char('b') => {
                let next = Grouping::after(self.groups.shown());
                self.groups.choose(next, self.list.cursor.total);
                self.opened = None;
            }
            Input::Char('e') => self.explain(),
            Input::Char('c') => self.shows_command_lines = !self.shows_command_lines,
            Input::Enter | Input::Right => {
                if let Some(connection) = self.list.at_cursor() {
                    self.middle = Middle::Story(Box::new(Detail::new(connection)));
                }
            }
            Input::Char('/' | 'f') => self.line.open(),
            Input::Char(digit @ '1'..='9') => {
                let index = usize::try_from(u32::from(digit) - u32::from('1')).unwrap_or_default();
                if let Some(finding) = self.findings.found().get(index) {
                    let (filter, command) = (finding.filter.clone(), finding.command.clone());
                    let opened = OpenedFinding { kind: finding.kind, command };
                    self.line.text = filter;
                    self.apply_line(names);
                    self.opened_finding = Some(opened);
                    self.opened.get_or_insert(self.groups.grouping);
                    self.groups.choose(Grouping::Off, self.list.cursor.total);
                }
            }
            Input::Char('s') => self.order(self.sort.next(true), self.is_reversed),
            Input::Char('S') => self.order(self.sort.next(false), self.is_reversed),
            Input::Char('r') => self.order(self.sort, !self.is_reversed),
            Input::Char('t') => {
                let state = self.list.at_cursor().map(|connection| State::from_kernel(connection.state));
                self.narrow("state", state.map(|state| state.to_string()), names);
            }
            Input::Char('p') => {
                let owner = self.list.at_cursor().map(|connection| connection.owner);
                let pid = owner.filter(Owner::is_known).map(|owner| owner.pid.to_string());
                self.narrow("pid", pid, names);
            }
            Input::Escape | Input::Clear | Input::Left
                if !self.line.text.is_empty() || self.opened.is_some() =>
            {
                self.line.text.clear();
                self.apply_line(names);
                if let Some(grouping) = self.opened.take() {
                    self.groups.choose(grouping, self.list.cursor.total);
                }
            }
            input if self.groups.shown().is_some() => self.groups.input(input),
            input => self.list.input(input),
        }
    }

    /// Shows the connections of the selected group.
    fn open_group(&mut self, names: &mut dyn Names) {
        let Some(filter) = self.groups.at_cursor().and_then(|group| filter_of(group, names)) else {
            return;
        };
        self.line.text = filter;
        self.apply_line(names);
        self.opened = Some(self.groups.grouping);
        self.groups.choose(Grouping::Off, self.list.cursor.total);
    }

    fn order(&mut self, sort: Sort, is_reversed: bool) {
        (self.sort, self.is_reversed) = (sort, is_reversed);
        self.list.go_to_top();
    }

    fn narrow(&mut self, word: &str, value: Option<String>, names: &mut dyn Names) {
        if let Some(value) = value {
            self.line.put(word, &value);
            self.apply_line(names);
        }
    }

    /// Applies the typed filter as soon as it is valid. While the last word is incomplete, the words before
    /// it apply.
    fn apply_line(&mut self, names: &mut dyn Names) {
        let mut parse = |text: &str| {
            let (stuck, others): (Vec<&str>, Vec<&str>) =
                text.split_whitespace().partition(|word| word.trim_start_matches('!') == STUCK);
            let spec = (self.words.parse)(&others.join(" "))?;
            let filters = spec.resolve(names).map_err(|error| error.to_string())?;
            let stuck = stuck.last().map(|word| *word == STUCK);
            Ok((ConnectionFilter::new(&filters.constant, filters.story), stuck))
        };
        let text = &self.line.text;
        let (before, last) = text.rsplit_once(' ').unwrap_or(("", text));
        self.line.error = None;
        let is_incomplete = (self.words.is_prefix_of_option)(last) || is_prefix(last, STUCK);
        let chosen = if self.line.is_open() && is_incomplete {
            parse(before).ok()
        } else {
            parse(text).map_err(|error| self.line.error = Some(error)).or_else(|()| parse(before)).ok()
        };
        if let Some(chosen) = chosen {
            (self.chosen, self.chosen_stuck) = chosen;
            self.of_chosen = Series::default();
            self.groups.forget();
            self.show_series();
            self.list.go_to_top();
            self.opened_finding = None;
        }
    }

    /// Explains the finding whose connections are shown, or else the state of the connection under the cursor, or else the
    /// heaviest finding.
    fn explain(&mut self) {
        let opened = self.opened_finding.as_ref().map(|opened| opened.kind);
        let state = || {
            let connection = self.list.at_cursor().filter(|_| self.groups.shown().is_none())?;
            Some(State::from_kernel(connection.state).to_string())
        };
        let heaviest = || self.findings.found().first().map(|finding| finding.kind);
        let word = |kind: FindingKind| format!("finding:{kind}");
        let word = opened.map(word).or_else(state).or_else(|| heaviest().map(word));
        if let Some(explanation) = word.and_then(|word| Explanation::of(&word, self.language)) {
            self.middle = Middle::Explanation(Box::new(explanation));
        }
    }

    /// Explains in this language from now on.
    pub fn speak(&mut self, language: Language) {
        self.language = language;
    }

    fn pause(&mut self, tracker: &Tracker, select: &Select) {
        if self.paused.take().is_some() {
            return self.show_series();
        }
        let all = tracker.iter().filter(|connection| select.holds(connection));
        self.paused = Some((all.copied().collect(), self.now_ns));
    }
}

/// The typed filter that selects the connections of a group; `None` if there is none.
fn filter_of(group: &GroupRow, names: &mut dyn Names) -> Option<String> {
    Some(match group.key {
        RankingKey::Pid(pid) => format!("pid={}", pid?),
        RankingKey::Process(comm) => format!("comm={}", pattern(name(&comm?))?),
        RankingKey::Service(Side::Local, port) => format!("local-port={}", port?),
        RankingKey::Service(Side::Remote, port) => format!("remote-port={}", port?),
        RankingKey::Service(Side::Unknown, _) => return None,
        RankingKey::Peer(addr) => format!("remote-addr={}", addr?),
        RankingKey::Cgroup(id) => {
            let path = names.cgroup_path(id)?;
            // Words are separated by blanks, and values by commas.
            (path != "/" && !path.contains([' ', ',', '\\', '*', '?', '!']))
                .then(|| format!("cgroup={path}"))?
        }
        RankingKey::Container(of) => {
            let of = of.filter(|of| *of != 0)?;
            let id = Workload::of(&names.cgroup_path(of)?).container;
            let name = names.container_names(of).and_then(|names| names.container).or(id)?;
            format!("container={}", pattern(name.as_bytes())?)
        }
        RankingKey::Netns(inum) => format!("netns={inum}"),
        RankingKey::State(state) => format!("state={}", State::from_kernel(state)),
    })
}

/// A pattern for a name, in which each character that has a meaning in the filter stands for any one.
fn pattern(name: &[u8]) -> Option<String> {
    let name = str::from_utf8(name).ok().filter(|name| !name.is_empty())?;
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && !"*?,!=\\".contains(c);
    Some(name.chars().map(|c| if is_plain(c) { c } else { '?' }).collect())
}

/// Whether this is the beginning of a word, and not all of it.
fn is_prefix(beginning: &str, word: &str) -> bool {
    !beginning.is_empty() && beginning != word && word.starts_with(beginning)
}
