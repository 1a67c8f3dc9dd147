//! What the screen shows, and what keys do to it. Knows nothing of a terminal.

use tracer_common::state as number;

use crate::{
    aggregate::totals::state_index,
    select::{Select, connections::ConnectionFilter},
    tcp::{limits::Limits, state::State},
    track::{Tracker, Transition, connection::Connection, owner::Owner},
    view::{
        input::Input,
        top::{
            counts::{ByState, STATES, Series, Stuck, fullness},
            detail::Detail,
            list::List,
            prompt::Prompt,
            sort::{Sort, SortKey},
        },
    },
};

/// What is typed, and what it means.
#[derive(Clone, Debug)]
pub struct TypedFilter {
    /// Makes filters of words.
    pub parse: fn(&str) -> Result<ConnectionFilter, String>,
    /// Whether a word may be the beginning of another.
    pub may_go_on: fn(&str) -> bool,
    /// What is typed already.
    pub typed: String,
}

/// Listeners that are kept for showing.
const LISTENERS: usize = 64;

/// What is shown in the middle.
#[derive(Debug)]
pub enum Middle {
    /// The connections.
    List,
    /// One of them.
    Story(Box<Detail>),
    /// The keys.
    Help,
}

/// Everything.
#[derive(Debug)]
pub struct Model {
    /// How long is too long.
    pub limits: Limits,
    /// What is shown in the middle.
    pub middle: Middle,
    /// The order.
    pub sort: Sort,
    /// The other way round.
    pub is_reversed: bool,
    /// The typed filter.
    pub line: Prompt,
    chosen: ConnectionFilter,
    words: TypedFilter,
    /// The connections.
    pub list: List,
    /// Sockets by state, of those that the typed filter lets pass.
    pub now: ByState,
    /// Sockets by state, whatever is typed.
    now_all: ByState,
    /// What is stuck.
    pub stuck: Stuck,
    /// The listeners with the fullest accept queues.
    pub listeners: Vec<Connection>,
    /// Listeners in all.
    pub listening: usize,
    /// What is counted of all connections, whatever is typed.
    all: Series,
    /// What is counted of those that the typed filter lets pass, since it was typed.
    of_chosen: Series,
    /// That of them which is shown.
    pub series: Series,
    /// What was there when the user stopped time, and when that was.
    paused: Option<(Vec<Connection>, u64)>,
    /// Up to when events are told.
    pub now_ns: u64,
    /// Events were lost at this time.
    pub loss_gap_ns: u64,
    /// The user wants to leave.
    pub quits: bool,
}

impl Model {
    /// Nothing yet.
    #[must_use]
    pub fn new(limits: Limits, words: TypedFilter) -> Self {
        let mut model = Self {
            limits,
            middle: Middle::List,
            sort: Sort::default(),
            is_reversed: false,
            line: Prompt::new(words.typed.clone()),
            chosen: ConnectionFilter::default(),
            words,
            list: List::default(),
            now: [0; STATES],
            now_all: [0; STATES],
            stuck: Stuck::default(),
            listeners: Vec::new(),
            listening: 0,
            all: Series::default(),
            of_chosen: Series::default(),
            series: Series::default(),
            paused: None,
            now_ns: 0,
            loss_gap_ns: 0,
            quits: false,
        };
        model.apply_line();
        model
    }

    /// Whether time stands still.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// How long a connection has been stuck, if it is.
    #[must_use]
    pub fn stuck_ns(&self, connection: &Connection) -> Option<u64> {
        connection.stuck_ns(&self.limits, self.now_ns, self.loss_gap_ns)
    }

    /// Takes a transition: time goes on behind a screen on which it stands still.
    pub fn note(&mut self, transition: &Transition) {
        self.all.note(transition);
        let connection = &transition.connection;
        let is_chosen = match transition.reason {
            _ if self.chosen.is_open() => false,
            Some(reason) => self.chosen.holds_end(connection, reason),
            None => self.chosen.is_of(connection),
        };
        if is_chosen {
            self.of_chosen.note(transition);
        }
        if let Middle::Story(detail) = &mut self.middle {
            detail.note(transition);
        }
    }

    /// A second has passed.
    pub fn tick(&mut self) {
        self.all.tick(self.now_all);
        self.of_chosen.tick(self.now);
        if !self.is_paused() {
            self.show_series();
        }
    }

    fn show_series(&mut self) {
        self.series = if self.chosen.is_open() { self.all.clone() } else { self.of_chosen.clone() };
    }

    /// Looks at all connections: counts them, and finds those in view.
    pub fn survey(&mut self, tracker: &Tracker, select: &Select, now_ns: u64) {
        if let Some((connections, now_ns)) = self.paused.take() {
            self.look(connections.iter(), now_ns);
            self.paused = Some((connections, now_ns));
        } else {
            self.loss_gap_ns = tracker.loss_gap_ns();
            self.look(tracker.iter().filter(|connection| select.holds(connection)), now_ns);
        }
    }

    fn look<'a>(&mut self, connections: impl Iterator<Item = &'a Connection>, now_ns: u64) {
        self.now_ns = now_ns;
        (self.now, self.now_all) = ([0; STATES], [0; STATES]);
        self.stuck = Stuck::default();
        let mut listeners: Vec<&Connection> = Vec::new();
        let mut order: Vec<(SortKey, &Connection)> = Vec::new();
        for connection in connections {
            let state = state_index(connection.state);
            self.now_all[state] += 1;
            if !self.chosen.is_open() && !self.chosen.holds(connection) {
                continue;
            }
            self.now[state] += 1;
            if connection.state == number::LISTEN {
                listeners.push(connection);
                continue;
            }
            let is_stuck = self.stuck_ns(connection).is_some();
            if is_stuck {
                self.stuck.add(connection);
            } else if connection.since_ns().is_none() && self.limits.of(connection.state).is_some() {
                self.stuck.undecided[state] += 1;
            }
            order.push((self.sort.place(connection, is_stuck), connection));
        }
        listeners.sort_by_key(|listener| (u64::MAX - fullness(listener), listener.tuple.local_port));
        self.listening = listeners.len();
        self.listeners = listeners.into_iter().take(LISTENERS).copied().collect();
        self.list.arrange(order, self.is_reversed);
    }

    /// Brings those in view up to date without looking at all.
    pub fn refresh(&mut self, tracker: &Tracker, now_ns: u64) {
        if self.is_paused() {
            return;
        }
        self.now_ns = now_ns;
        self.list.refresh(tracker);
        if let Middle::Story(detail) = &mut self.middle {
            let now = tracker.get(detail.connection.cookie);
            detail.refresh(now);
        }
    }

    /// Takes a key. All connections have to be looked at again after it.
    pub fn input(&mut self, input: Input, tracker: &Tracker, select: &Select) {
        if self.line.is_open() {
            if self.line.input(input) {
                self.apply_line();
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
            (_, Input::Char(' ')) => self.pause(tracker, select),
            (Middle::Story(_), _) => {}
            (Middle::List, input) => self.list_input(input),
        }
    }

    fn list_input(&mut self, input: Input) {
        match input {
            Input::Enter | Input::Right => {
                if let Some(connection) = self.list.at_cursor() {
                    self.middle = Middle::Story(Box::new(Detail::new(connection)));
                }
            }
            Input::Char('/' | 'f') => self.line.open(),
            Input::Char('s') => self.order(self.sort.next(true), self.is_reversed),
            Input::Char('S') => self.order(self.sort.next(false), self.is_reversed),
            Input::Char('r') => self.order(self.sort, !self.is_reversed),
            Input::Char('t') => {
                let state = self.list.at_cursor().map(|connection| State::from_kernel(connection.state));
                self.narrow("state", state.map(|state| state.to_string()));
            }
            Input::Char('p') => {
                let owner = self.list.at_cursor().map(|connection| connection.owner);
                let pid = owner.filter(Owner::is_known).map(|owner| owner.pid.to_string());
                self.narrow("pid", pid);
            }
            Input::Escape | Input::Clear if !self.line.text.is_empty() => {
                self.line.text.clear();
                self.apply_line();
            }
            input => self.list.input(input),
        }
    }

    fn order(&mut self, sort: Sort, is_reversed: bool) {
        (self.sort, self.is_reversed) = (sort, is_reversed);
        self.list.go_to_top();
    }

    fn narrow(&mut self, word: &str, value: Option<String>) {
        if let Some(value) = value {
            self.line.put(word, &value);
            self.apply_line();
        }
    }

    /// The filter of the line is in force as soon as it is one. Until the word that is being typed is
    /// one, those before it are.
    fn apply_line(&mut self) {
        let text = &self.line.text;
        let (before, last) = text.rsplit_once(' ').unwrap_or(("", text));
        self.line.error = None;
        let chosen = if self.line.is_open() && (self.words.may_go_on)(last) {
            (self.words.parse)(before).ok()
        } else {
            (self.words.parse)(text)
                .map_err(|error| self.line.error = Some(error))
                .or_else(|()| (self.words.parse)(before))
                .ok()
        };
        if let Some(chosen) = chosen {
            self.chosen = chosen;
            self.of_chosen = Series::default();
            self.show_series();
            self.list.go_to_top();
        }
    }

    fn pause(&mut self, tracker: &Tracker, select: &Select) {
        if self.paused.take().is_some() {
            return self.show_series();
        }
        let all = tracker.iter().filter(|connection| select.holds(connection));
        self.paused = Some((all.copied().collect(), self.now_ns));
    }
}
