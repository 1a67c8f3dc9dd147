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
    /// Keep them for all requests.
    KeepAlive,
    /// A new one for each request.
    Close,
}

/// Its name on the command line.
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

/// Those that leave nothing in TIME_WAIT first.
pub(crate) const VARIANTS: [Connections; 2] = [Connections::KeepAlive, Connections::Close];

/// How long clients run before it is asked again whether TIME_WAIT grows.
const TOP_UP_S: f64 = 1.0;
const TOP_UPS: u32 = 30;
/// TIME_WAIT is full when it grows by less than these hundredths.
const GROWTH: u64 = 3;

/// The ports of a client towards one address: no more can be in TIME_WAIT.
const PORTS: u64 = 1 << 15;

/// A service with clients of one kind.
pub(crate) struct Service {
    nginx: Nginx,
    connections: Connections,
    /// Sockets in TIME_WAIT when there came no more; 0 before that.
    plateau: Cell<u64>,
}

/// What the machine lacks of it.
pub(crate) fn missing() -> Option<&'static str> {
    [nginx::PROGRAM, wrk::PROGRAM].into_iter().find(|program| places::on_path(&[program]).is_none())
}

impl Service {
    /// Starts it, when TIME_WAIT has room for what its clients leave there.
    pub(crate) fn start(connections: Connections, scratch: &Path) -> Result<Self> {
        time_wait::wait_for_at_most(time_wait::limit()?.saturating_sub(PORTS))?;
        Ok(Self { nginx: Nginx::start(scratch)?, connections, plateau: Cell::new(0) })
    }

    /// Requests per second.
    pub(crate) fn run(&self, seconds: f64) -> Result<f64> {
        let header = match self.connections {
            Connections::KeepAlive => "Connection: keep-alive",
            Connections::Close => "Connection: close",
        };
        wrk::run(self.nginx.address, header, seconds)
    }

    /// Runs it until as many of its sockets are in TIME_WAIT as can be, so that all find it alike.
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
