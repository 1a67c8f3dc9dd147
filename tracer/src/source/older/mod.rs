//! Completing what older kernels report, so that the stages behind the source need not know the difference.
//!
//! # Layout
//! - [`unfilled`]: births of accepted connections without cookie and addresses (up to Linux 6.12)
//! - [`cookies`]: numbers for sockets without cookies (before Linux 5.12)

pub mod cookies;
pub mod unfilled;

use tracer_common::Event;

use crate::{
    facts::{holders::Holders, snapshot::Snapshot},
    source::older::{cookies::Cookies, unfilled::EarlyBirths},
};

/// Completes events and sockets, where the kernel makes that necessary.
#[derive(Default)]
pub struct Older {
    /// `None` with `--raw`, which shows what the tracepoint reports.
    unfilled: Option<EarlyBirths>,
    /// Only where programs cannot read cookies.
    cookies: Option<Cookies>,
}

impl Older {
    /// `has_stories`: connections are tracked, rather than events shown as they are (`--raw`).
    /// `has_cookies`: the kernel program can read socket cookies.
    #[must_use]
    pub fn new(has_stories: bool, has_cookies: bool) -> Self {
        Self {
            unfilled: has_stories.then(EarlyBirths::default),
            cookies: (!has_cookies).then(Cookies::default),
        }
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

    /// Completes a refresh of full sockets' counters.
    pub fn refresh(&self, sockets: &mut [Event]) {
        if let Some(cookies) = &self.cookies {
            cookies.known(sockets);
        }
    }

    /// Completes a search for holders.
    pub fn holders(&self, holders: &mut Holders) {
        if let Some(cookies) = &self.cookies {
            holders.renumber(|address| cookies.known_number(address));
        }
    }

    /// How many events were dropped, because the event that would complete them did not come.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.unfilled.as_ref().map_or(0, EarlyBirths::dropped)
    }
}
