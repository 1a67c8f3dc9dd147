//! The contract between the kernel program and user space: everything that both sides must agree
//! on stands here once, and nowhere else.

#![no_std]

pub mod event;
pub mod filter;
pub mod fold;
pub mod helper;
pub mod member;
pub mod state;
pub mod timewait;
pub mod wakeup;

pub use event::Event;
