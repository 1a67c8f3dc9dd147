//! A source whose facts others on this host get, too, as a recording that begins with all that is known.
//!
//! # Layout
//! - [`Streamed`]: passes facts on, and hands them to clients
//! - [`server`]: the socket, on a thread of its own

pub mod server;

use std::time::Duration;

use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tracer_common::Event;

use crate::{
    facts::{
        Fact,
        checkpoint::Checkpoint,
        kernel::KernelInfo,
        names::Names,
        playback::{PlayCommand, Playback},
        source_counts::SourceCounts,
    },
    recording::header::{self, Header},
    source::{
        Demand, Error, Source,
        recorded::{Resumption, Scribe},
        streamed::server::{ClientQueue, Clients, StreamedPiece},
    },
};

/// How long a fact waits for others before clients get it.
const PATIENCE: Duration = Duration::from_millis(200);

/// How long clients have to read the rest when it ends.
const END_PATIENCE: Duration = Duration::from_secs(2);

/// Passes on the facts of a source, and hands them to clients.
pub struct Streamed<S> {
    source: S,
    header: Header,
    /// Where clients come from, if there may be any.
    clients: Option<Clients>,
    /// Those that wait for their beginning.
    waiting: Vec<ClientQueue>,
    begun: Vec<Client>,
    resumption: Resumption,
    due: Option<Instant>,
    now_ns: u64,
    /// The last fact, while clients get it.
    last: Option<Fact>,
}

/// A client, and what it does not have yet.
struct Client {
    queue: ClientQueue,
    scribe: Scribe,
}

impl Client {
    /// Hands over what there is. Returns whether the client gets it.
    fn hand_over(&mut self) -> bool {
        let blocks: Vec<_> = std::iter::from_fn(|| self.scribe.encoder.take()).collect();
        blocks.is_empty() || self.queue.push(StreamedPiece::Blocks(blocks))
    }
}

impl<S: Source> Streamed<S> {
    /// Hands what comes from `source` to clients, if there may be any. The header says what is true of it.
    pub fn new(source: S, header: Header, clients: Option<Clients>) -> Self {
        Self {
            source,
            header,
            clients,
            waiting: Vec::new(),
            begun: Vec::new(),
            resumption: Resumption::default(),
            due: None,
            now_ns: 0,
            last: None,
        }
    }

    fn hand_on(&mut self, fact: &Fact) {
        if self.clients.is_none() {
            return;
        }
        self.now_ns = self.now_ns.max(fact.time_ns().unwrap_or_default());
        self.resumption.learn(fact);
        for client in &mut self.begun {
            client.scribe.learn(fact, self.source.names());
            client.scribe.write(fact);
        }
        if self.begun.iter().any(|client| client.scribe.encoder.is_full()) || matches!(fact, Fact::End(_)) {
            self.hand_over();
        } else if !self.begun.is_empty() {
            self.due.get_or_insert_with(|| Instant::now() + PATIENCE);
        }
    }

    /// Hands over what there is. Who is too slow is cut off.
    fn hand_over(&mut self) {
        self.due = None;
        self.begun.retain_mut(Client::hand_over);
    }

    /// Waits until clients have everything, for a short time.
    async fn finish(&mut self) {
        let begun = std::mem::take(&mut self.begun);
        let ends: JoinSet<_> = begun.into_iter().map(|client| client.queue.finish()).collect();
        // Who has not read all by then gets no end.
        _ = timeout(END_PATIENCE, ends.join_all()).await;
    }

    /// Begins the stream of a client.
    fn begin(&mut self, queue: ClientQueue, checkpoint: &Checkpoint) {
        let mut scribe = Scribe::default();
        // As a later part of a recording: what was lost before is not missing in it.
        let header = Header { id: header::new_id(), part: 1, ..self.header.clone() };
        if !queue.push(StreamedPiece::Header(scribe.encoder.header(&header))) {
            return;
        }
        scribe.learn_cgroups(self.source.names());
        for fact in self.resumption.clone().facts(Some(checkpoint.clone()), checkpoint.at_ns) {
            scribe.learn(&fact, self.source.names());
            scribe.write(&fact);
        }
        let mut client = Client { queue, scribe };
        if client.hand_over() {
            self.begun.push(client);
        }
    }
}

impl<S: Source> Source for Streamed<S> {
    fn kernel(&self) -> &KernelInfo {
        self.source.kernel()
    }

    fn header(&self) -> Option<&Header> {
        self.source.header()
    }

    async fn next(&mut self, demand: Demand<'_>) -> Result<Fact, Error> {
        loop {
            if self.due.is_some_and(|due| due <= Instant::now()) {
                self.hand_over();
            }
            if self.last.is_some() {
                self.finish().await;
            }
            if let Some(last) = self.last.take() {
                return Ok(last);
            }
            let due = self.due;
            tokio::select! {
                biased;
                client = Clients::next(self.clients.as_mut()) => {
                    self.waiting.push(client);
                    // It begins when the capture has processed the last fact.
                    return Ok(Fact::Time(self.now_ns));
                }
                fact = self.source.next(demand) => {
                    let fact = fact?;
                    self.hand_on(&fact);
                    if !matches!(fact, Fact::End(_)) {
                        return Ok(fact);
                    }
                    self.last = Some(fact);
                }
                () = async { sleep_until(due.unwrap_or_else(Instant::now)).await }, if due.is_some() => {}
            }
        }
    }

    fn is_live(&self) -> bool {
        self.source.is_live()
    }

    fn has_more(&self) -> bool {
        self.source.has_more()
    }

    fn stop(&mut self) {
        self.source.stop();
    }

    fn recycle(&mut self, events: Vec<Event>) {
        self.source.recycle(events);
    }

    fn wants_checkpoint(&self) -> bool {
        !self.waiting.is_empty() || self.source.wants_checkpoint()
    }

    fn checkpoint(&mut self, checkpoint: Checkpoint, freeze: Option<&str>) -> Option<String> {
        for queue in std::mem::take(&mut self.waiting) {
            self.begin(queue, &checkpoint);
        }
        if freeze.is_some() || self.source.wants_checkpoint() {
            return self.source.checkpoint(checkpoint, freeze);
        }
        None
    }

    fn counts(&self) -> SourceCounts {
        SourceCounts { clients: self.clients.as_ref().map(Clients::counts), ..self.source.counts() }
    }

    fn play(&mut self, command: PlayCommand) {
        self.source.play(command);
    }

    fn playback(&self) -> Option<Playback> {
        self.source.playback()
    }

    fn names(&mut self) -> &mut dyn Names {
        self.source.names()
    }
}
