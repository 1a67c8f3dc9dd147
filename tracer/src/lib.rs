//! lib

pub mod aggregate;
pub mod cli;
pub mod config;
pub mod facts;
pub mod filter;
pub mod format;
pub mod output;
pub mod run;
pub mod select;
pub mod source;
pub mod tcp;
pub mod text;
pub mod time;
pub mod track;
pub mod view;
