//! What words are about.

use crate::format::{
    columns::{Column, DefaultIn},
    links::Links,
    routes::Routes,
    subject::{Story, Subject},
};

/// What a word is about, in the order in which meanings of a word are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// A TCP state.
    State,
    /// A change from one state to another.
    Transition,
    /// A story of a connection, seen from both ends.
    Story,
    /// Why a connection ended.
    Reason,
    /// A finding.
    Finding,
    /// How the process is known.
    Owner,
    /// A value of `event`.
    Event,
    /// A column.
    Column,
    /// A column of network interfaces (`list -i`).
    Interface,
    /// A column of routes (`list -r`).
    Route,
    /// A word of the receipt.
    Receipt,
}

impl Topic {
    /// All topics.
    pub const ALL: [Self; 11] = [
        Self::State,
        Self::Transition,
        Self::Story,
        Self::Reason,
        Self::Finding,
        Self::Owner,
        Self::Event,
        Self::Column,
        Self::Interface,
        Self::Route,
        Self::Receipt,
    ];

    /// The name in the tables, and before a word that has several meanings: `finding:close-wait`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Transition => "transition",
            Self::Story => "story",
            Self::Reason => "reason",
            Self::Finding => "finding",
            Self::Owner => "owner",
            Self::Event => "event",
            Self::Column => "column",
            Self::Interface => "interface",
            Self::Route => "route",
            Self::Receipt => "receipt",
        }
    }

    /// What the table of columns says about this one; `None` if it is no topic of columns, or no column.
    #[must_use]
    pub(super) fn column(self, key: &str) -> Option<Headed> {
        match self {
            Self::Column => headed::<Story>(key),
            Self::Interface => headed::<Links>(key),
            Self::Route => headed::<Routes>(key),
            _ => None,
        }
    }

    /// Of columns: the key of the one that is typed by its key or by a title that text has for it.
    #[must_use]
    pub(super) fn column_key(self, is_it: impl Fn(&str) -> bool) -> Option<&'static str> {
        match self {
            Self::Column => key_of::<Story>(is_it),
            Self::Interface => key_of::<Links>(is_it),
            Self::Route => key_of::<Routes>(is_it),
            _ => None,
        }
    }
}

/// What stands in the table of columns.
pub(super) struct Headed {
    /// What the column is.
    pub(super) help: &'static str,
    /// The titles that text has for it.
    pub(super) titles: Vec<&'static str>,
}

fn headed<S: Subject>(key: &str) -> Option<Headed> {
    let column = S::column(key)?;
    Some(Headed { help: column.help, titles: titles(column) })
}

fn titles<S: Subject>(column: &Column<S>) -> Vec<&'static str> {
    let mut titles = vec![column.title, S::title(column, DefaultIn::ROUTES6_TEXT)];
    titles.dedup();
    titles
}

fn key_of<S: Subject>(is_it: impl Fn(&str) -> bool) -> Option<&'static str> {
    let columns = S::columns();
    let by_key = columns.iter().find(|column| is_it(column.key));
    // netstat's Destination is a prefix in one family and an address in the other.
    let by_title = || columns.iter().find(|column| titles(column).into_iter().any(&is_it));
    by_key.or_else(by_title).map(|column| column.key)
}
