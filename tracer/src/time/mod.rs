//! Time.

pub mod clock;
pub mod duration;
pub mod wait;
