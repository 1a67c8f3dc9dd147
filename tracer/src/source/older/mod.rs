//! Kernels that tell less.

pub mod cookies;
pub mod unfilled;
