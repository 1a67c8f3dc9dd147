//! Text.

pub mod duration;
pub mod escape;
pub mod line;
pub mod number;
pub mod second;
pub mod width;
