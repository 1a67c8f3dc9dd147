//! What a word means, and what to do: states, transitions, reasons, findings, columns, the receipt.
//!
//! # Layout
//! - [`texts`]: a table of texts for each language; [`topic`]: what words are about

pub mod texts;
pub mod topic;
