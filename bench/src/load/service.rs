//! A service and its clients: nginx and wrk.

use std::{cell::Cell, path::Path};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::{nginx, nginx::Nginx, time_wait, wrk};
use crate::places;

/// What clients do with their connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Connections {
    /// One connection for all requests of a client.
    KeepAlive,
    /// A new one for each request.
    Close,
}

/// The name of this load on the command line.
pub(crate) const NAME: &str = "service";

impl Connections {
    /// Its name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::KeepAlive => "keep-alive",
            Self::Close => "close",
        }
    }
}

/// Both kinds. The one that leaves nothing in TIME_WAIT comes first.
pub(crate) const VARIANTS: [Connections; 2] = [Connections::KeepAlive, Connections::Close];

/// How long clients run before it is checked again whether TIME_WAIT still grows.
const TOP_UP_S: f64 = 1.0;
const TOP_UPS: u32 = 30;
/// TIME_WAIT counts as full when it grows by less than so many percent.
const GROWTH: u64 = 3;

/// Ports that a client can use towards one address. No more of them can be in TIME_WAIT.
const PORTS: u64 = 1 << 15;

/// A service with clients of one kind.
pub(crate) struct Service {
    nginx: Nginx,
    connections: Connections,
    /// Sockets in TIME_WAIT when it was full; 0 before that.
    plateau: Cell<u64>,
}

/// A program of this load that the machine lacks.
pub(crate) fn missing() -> Option<&'static str> {
    [nginx::PROGRAM, wrk::PROGRAM].into_iter().find(|program| places::on_path(&[program]).is_none())
}

impl Service {
    /// Starts the service once TIME_WAIT has room for what its clients leave there.
    pub(crate) fn start(connections: Connections, scratch: &Path) -> Result<Self> {
        time_wait::wait_for_at_most(time_wait::limit()?.saturating_sub(PORTS))?;
        Ok(Self { nginx: Nginx::start(scratch)?, connections, plateau: Cell::new(0) })
    }

    /// Runs the clients, and returns requests per second.
    pub(crate) fn run(&self, seconds: f64) -> Result<f64> {
        let header = match self.connections {
            Connections::KeepAlive => "Connection: keep-alive",
            Connections::Close => "Connection: close",
        };
        wrk::run(self.nginx.address, header, seconds)
    }

    /// Runs the clients until TIME_WAIT is full, so that all contestants find the same.
    pub(crate) fn fill_time_wait(&self) -> Result<()> {
        if self.connections == Connections::KeepAlive {
            return Ok(());
        }
        let mut before = time_wait::sockets()?;
        for _ in 0..TOP_UPS {
            if before * 100 >= self.plateau.get() * (100 - GROWTH) && self.plateau.get() > 0 {
                return Ok(());
            }
            self.run(TOP_UP_S)?;
            let now = time_wait::sockets()?;
            if now * 100 <= before * (100 + GROWTH) {
                self.plateau.set(now);
            }
            before = now;
        }
        Ok(())
    }
}
