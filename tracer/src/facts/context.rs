//! What facts have told about the host.

use crate::{
    facts::{
        end_names::EndNames, gauges::Gauges, holders::Holders, interfaces::Interfaces,
        known_names::KnownNames,
    },
    time::clock::Clock,
};

/// What lines need besides the connection that they tell of.
#[derive(Clone, Debug)]
pub struct Context {
    /// Converts kernel times to times of day.
    pub clock: Clock,
    /// Names of network devices.
    pub interfaces: Interfaces,
    /// Which processes hold which sockets, when they were last searched.
    pub holders: Holders,
    /// What the kernel counts in network namespaces, when it was last read.
    pub gauges: Gauges,
    /// Names of cgroups and network namespaces, if lines show them.
    pub names: KnownNames,
    /// The name of the host.
    pub host: String,
    /// Names of services and hosts, if text shows them.
    pub end_names: EndNames,
    /// The length of a jiffy in nanoseconds; 0 if it is not known.
    pub tick_ns: u64,
}

impl Context {
    /// Nothing is known but the time.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            interfaces: Interfaces::default(),
            holders: Holders::default(),
            gauges: Gauges::default(),
            names: KnownNames::default(),
            host: String::new(),
            end_names: EndNames::default(),
            tick_ns: 0,
        }
    }
}
