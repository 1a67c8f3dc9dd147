//! Opens connections and keeps them.

use std::{io::Write as _, time::Duration};

use anyhow::{Context as _, Result};
use bench::READY;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::Socket;

use crate::{
    socket::{addresses, listen, socket},
    stop,
};

/// Arguments of `hold`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many connections; each has two sockets
    #[arg(long)]
    connections: usize,
}

/// Opens the connections, prints [`READY`], and keeps them until standard input ends.
pub(crate) fn hold(args: &Args) -> Result<()> {
    as_many_descriptors_as_allowed()?;
    let listener = listen()?;
    let addresses = addresses(&listener, 0)?;
    let mut ends = Vec::with_capacity(args.connections);
    for address in addresses.iter().cycle().take(args.connections) {
        let client = socket()?;
        client.connect(address).context("connecting")?;
        let (server, _) = listener.accept().context("accepting")?;
        // Closing then leaves nothing in TIME_WAIT, which would change the next measurement.
        client.set_linger(Some(Duration::ZERO))?;
        ends.push((client, server));
    }
    drop(listener);
    println!("{READY}");
    std::io::stdout().flush()?;
    stop::wait_for_stdin();
    close(ends);
    Ok(())
}

/// Closes the clients first: their resets have ended the servers' sockets already.
fn close(ends: Vec<(Socket, Socket)>) {
    for (client, server) in ends {
        drop(client);
        drop(server);
    }
}

fn as_many_descriptors_as_allowed() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .context("raising the number of descriptors")
}
