//! Words that all others use.

pub mod colour;
pub mod limits;
pub mod reset;
pub mod state;
