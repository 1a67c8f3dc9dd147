//! What is made of transitions: a file for each view.

pub mod life;
pub mod log;

use bytes::BytesMut;

use crate::{row::Row, track::Tracked};

/// A view turns what has passed the filters into bytes; it does no I/O.
pub trait View {
    /// What comes before the first line.
    fn begin(&mut self, out: &mut BytesMut);
    /// Whether a transition has a line here.
    fn shows(&self, tracked: &Tracked) -> bool;
    /// Its line.
    fn show(&mut self, row: &Row<'_>, out: &mut BytesMut);
}
