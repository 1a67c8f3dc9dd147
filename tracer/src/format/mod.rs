//! How lines are written: a file for each format.

pub mod csv;
pub mod json;
pub mod text;

use bytes::BytesMut;
use tracer_common::member::Member;

use crate::{
    fields::{FIELDS, Field, Shown, Value},
    format::{
        csv::Csv,
        json::Json,
        text::{Style, Text},
    },
    row::Row,
};

/// A format turns rows into bytes; it does no I/O and cannot fail.
pub trait Format {
    /// What comes before the first line.
    fn begin(&mut self, out: &mut BytesMut);
    /// One line.
    fn line(&mut self, row: &Row<'_>, out: &mut BytesMut);
}

/// A column to show.
pub struct Column {
    /// Its row in the table.
    pub field: &'static Field,
    /// The running kernel does not tell it.
    is_absent: bool,
}

impl Column {
    /// Its value; null if the kernel does not tell it.
    #[must_use]
    pub fn value<'a>(&self, row: &Row<'a>) -> Value<'a> {
        if self.is_absent { Value::Null } else { (self.field.value)(row) }
    }
}

/// Formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Aligned columns.
    Text,
    /// An object per line.
    Json,
    /// RFC 4180 with a header.
    Csv,
}

/// How lines are to be written.
#[derive(Clone)]
pub struct Plan {
    /// Format.
    pub kind: Kind,
    /// Columns that the user chose; none for the default ones.
    pub columns: Option<Vec<&'static Field>>,
    /// Where the default ones are: in text, and in JSON and CSV.
    pub place: (Shown, Shown),
    /// For text.
    pub style: Style,
}

impl Plan {
    /// Makes the format, on a kernel that does not tell `absent`.
    #[must_use]
    pub fn format(&self, absent: &[Member]) -> Box<dyn Format> {
        let place = if self.kind == Kind::Text { self.place.0 } else { self.place.1 };
        let fields = match &self.columns {
            Some(chosen) => chosen.clone(),
            None => FIELDS.iter().filter(|field| field.shown.is_in(place)).collect(),
        };
        let is_absent = |field: &Field| field.needs.iter().any(|needed| absent.contains(needed));
        let columns = fields.into_iter().map(|field| Column { field, is_absent: is_absent(field) }).collect();
        match self.kind {
            Kind::Text => Box::new(Text::new(columns, &self.style, self.columns.is_some())),
            Kind::Json => Box::new(Json::new(columns)),
            Kind::Csv => Box::new(Csv::new(columns)),
        }
    }
}

/// Microseconds with nanoseconds as fraction.
fn micros(ns: u64) -> f64 {
    // Exact up to 104 days; beyond that the last digits of nanoseconds do not matter.
    #[allow(clippy::cast_precision_loss)]
    let micros = ns as f64 / 1000.0;
    micros
}
