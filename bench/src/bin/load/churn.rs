//! Opens and closes connections, as fast as possible.

use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};
use bench::{ChurnResult, EVENTS_CLOSED, EVENTS_FAILED, EVENTS_LISTENER, EVENTS_RESET};
use rustix::time::{ClockId, clock_gettime};
use socket2::{SockAddr, Socket};

use crate::{
    exchange::Exchange,
    socket::{addresses, listen, socket},
    stop,
};

/// The clock is read once for so many connections, so that reading it is no part of the load.
const CONNECTIONS_PER_CLOCK_READ: u32 = 32;

/// Arguments of `churn`.
#[derive(Clone, Copy, clap::Args)]
pub(crate) struct Args {
    /// How many seconds
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Threads, each of which is client and server [default: one per CPU]
    #[arg(long)]
    threads: Option<u16>,
    /// Bytes that the client sends and the server sends back
    #[arg(long, default_value_t = 0)]
    payload: usize,
    /// How often they do so on a connection
    #[arg(long, default_value_t = 1)]
    keep_alive: u32,
    /// Reset connections instead of closing them
    #[arg(long)]
    reset: bool,
}

/// Runs the load, and prints the result as JSON.
pub(crate) fn churn(args: &Args) -> Result<()> {
    stop::with_stdin();
    let threads =
        args.threads.map_or_else(|| thread::available_parallelism().map_or(1, usize::from), usize::from);
    let barrier = Barrier::new(threads);
    let counts: Result<Vec<_>> = thread::scope(|scope| {
        let workers = (0..threads).map(|index| Worker::new(index, args)).collect::<Result<Vec<_>>>()?;
        let threads: Vec<_> =
            workers.into_iter().map(|worker| scope.spawn(|| worker.run(args, &barrier))).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?).collect()
    });
    println!("{}", serde_json::to_string(&sum(&counts?, args.reset))?);
    Ok(())
}

struct Count {
    connections: u64,
    failures: u64,
    elapsed: Duration,
}

#[expect(clippy::cast_precision_loss, reason = "nobody counts 2^52 connections")]
fn sum(counts: &[Count], is_reset: bool) -> ChurnResult {
    let connections = counts.iter().map(|count| count.connections).sum();
    let failures = counts.iter().map(|count| count.failures).sum();
    let elapsed_s = counts.iter().map(|count| count.elapsed.as_secs_f64()).fold(0.0, f64::max);
    let events_each = if is_reset { EVENTS_RESET } else { EVENTS_CLOSED };
    ChurnResult {
        connections,
        failures,
        elapsed_s,
        connections_per_s: connections as f64 / elapsed_s,
        cpu_s: cpu_s(),
        events: connections * events_each + failures * EVENTS_FAILED + counts.len() as u64 * EVENTS_LISTENER,
    }
}

/// CPU time of this process so far.
#[expect(clippy::cast_precision_loss, reason = "seconds")]
fn cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

struct Worker {
    listener: Socket,
    addresses: Vec<SockAddr>,
    exchange: Exchange,
}

impl Worker {
    fn new(index: usize, args: &Args) -> Result<Self> {
        let listener = listen()?;
        let addresses = addresses(&listener, u8::try_from(index % 200)?)?;
        Ok(Self { listener, addresses, exchange: Exchange::new(args.payload) })
    }

    fn run(mut self, args: &Args, barrier: &Barrier) -> Result<Count> {
        barrier.wait();
        let started = Instant::now();
        let length = Duration::from_secs_f64(args.seconds);
        let (mut connections, mut failures, mut next) = (0, 0, 0);
        while started.elapsed() < length && !stop::is_requested() {
            for _ in 0..CONNECTIONS_PER_CLOCK_READ {
                let is_connected = self.connection(next, args)?;
                next = (next + 1) % self.addresses.len();
                connections += u64::from(is_connected);
                failures += u64::from(!is_connected);
            }
        }
        Ok(Count { connections, failures, elapsed: started.elapsed() })
    }

    /// Opens and closes one connection. Returns false if it could not be opened.
    fn connection(&mut self, address: usize, args: &Args) -> Result<bool> {
        let client = socket()?;
        if client.connect(&self.addresses[address]).is_err() {
            return Ok(false);
        }
        let (server, _) = self.listener.accept().context("accepting")?;
        if args.payload > 0 {
            for _ in 0..args.keep_alive {
                self.exchange.run(&client, &server).context("exchanging payload")?;
            }
        }
        if args.reset {
            client.set_linger(Some(Duration::ZERO))?;
        }
        // The client closes first, and so goes through TIME_WAIT. In most protocols the server does, but one
        // end of every connection has to.
        drop(client);
        drop(server);
        Ok(true)
    }
}
