//! What comes through the seam.

pub mod in_kernel;
