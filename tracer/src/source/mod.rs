//! Where facts come from.

pub mod decode;
pub mod kernel;
pub mod merge;
pub mod older;
pub mod order;
