//! Leaves sockets in TIME_WAIT.

use std::{
    net::{Ipv4Addr, SocketAddr},
    thread,
};

use anyhow::{Context as _, Result, anyhow};
use socket2::SockAddr;

use crate::socket::socket;

/// Ports that a socket may have, of each address.
const PORTS: std::ops::Range<u16> = 1_024..65_024;

/// Arguments of `time-wait`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many
    #[arg(long)]
    sockets: usize,
}

/// Makes the sockets, on all CPUs, and ends. The network namespace should have no others.
pub(crate) fn time_wait(args: &Args) -> Result<()> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let fill = |index| move || fill(index, threads, args.sockets);
        let threads: Vec<_> = (0..threads).map(|index| scope.spawn(fill(index))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?)
    })
}

fn fill(index: usize, step: usize, sockets: usize) -> Result<()> {
    let ends = (0..u16::MAX).flat_map(|net| PORTS.map(move |port| end(net, port)));
    ends.take(sockets).skip(index).step_by(step).try_for_each(|end| with_itself(&end.into()))
}

fn end(net: u16, port: u16) -> SocketAddr {
    let [high, low] = net.to_be_bytes();
    SocketAddr::from((Ipv4Addr::new(127, 2 + high, low, 1), port))
}

/// A socket that connects to itself is a whole connection, and goes through TIME_WAIT: half the work of two
/// ends.
fn with_itself(end: &SockAddr) -> Result<()> {
    let socket = socket()?;
    socket.bind(end).context("binding")?;
    socket.connect(end).context("connecting")
}
