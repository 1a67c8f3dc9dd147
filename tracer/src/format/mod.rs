//! How lines are written: a file for each format.

pub mod csv;
pub mod json;
pub mod text;

use bytes::BytesMut;

use crate::{fields::Field, transition::Transition};

/// A format turns transitions into bytes; it does no I/O and cannot fail.
pub trait Format {
    /// What comes before the first line.
    fn begin(&mut self, out: &mut BytesMut);
    /// One line.
    fn line(&mut self, transition: &Transition<'_>, out: &mut BytesMut);
}

/// The columns to show, in order.
pub type Columns = Vec<&'static Field>;
