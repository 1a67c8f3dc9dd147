//! Completing what older kernels tell, so that nobody behind the source can tell the difference.
//!
//! # Layout
//! - [`unfilled`]: births that are told before the child has its addresses (up to Linux 6.12)
//! - [`cookies`]: numbers for sockets where the kernel tells no cookies (before Linux 5.12)

pub mod cookies;
pub mod unfilled;

use tracer_common::Event;

use crate::{
    facts::snapshot::Snapshot,
    source::older::{cookies::Cookies, unfilled::Unfilled},
};

/// What there is to complete.
#[derive(Default)]
pub struct Older {
    /// Not with `--raw`, which shows what the tracepoint says.
    unfilled: Option<Unfilled>,
    /// Where the kernel tells no cookies.
    cookies: Option<Cookies>,
}

impl Older {
    /// `has_stories`: events are told as stories, not raw.
    #[must_use]
    pub fn new(has_stories: bool, has_cookies: bool) -> Self {
        Self { unfilled: has_stories.then(Unfilled::default), cookies: (!has_cookies).then(Cookies::default) }
    }

    /// Completes events, which come in order.
    pub fn events(&mut self, events: &mut Vec<Event>) {
        if let Some(unfilled) = &mut self.unfilled {
            unfilled.complete(events);
        }
        if let Some(cookies) = &mut self.cookies {
            cookies.events(events);
        }
    }

    /// Completes a snapshot.
    pub fn snapshot(&mut self, snapshot: &mut Snapshot) {
        if let Some(cookies) = &mut self.cookies {
            cookies.found(snapshot.sockets.iter_mut().chain(&mut snapshot.holders));
        }
    }

    /// Completes what full sockets count.
    pub fn refresh(&self, sockets: &mut [Event]) {
        if let Some(cookies) = &self.cookies {
            cookies.known(sockets);
        }
    }

    /// How many events were left out, because nothing completes them.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.unfilled.as_ref().map_or(0, Unfilled::dropped)
    }
}
