//! The steps that an event takes from the kernel to the screen, one direction, each a module:
//! `source -> decode -> order -> track -> select -> view -> write`.

pub mod buffer;
pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod decode;
pub mod error;
pub mod escape;
pub mod fields;
pub mod filter;
pub mod follow;
pub mod format;
pub mod order;
pub mod pipeline;
pub mod receipt;
pub mod row;
pub mod run;
pub mod say;
pub mod select;
pub mod show;
pub mod source;
pub mod state;
pub mod stop;
pub mod timer;
pub mod track;
pub mod view;
pub mod write;
