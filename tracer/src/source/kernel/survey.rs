//! Reading sockets and counters of all network namespaces, on a separate thread. Entering a namespace moves
//! the whole thread, and needs capabilities that the other threads have given up.

use std::{
    collections::HashSet,
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Sender, channel},
    },
    thread,
    time::Duration,
};

use caps::Capability;
use tokio::sync::oneshot;
use tracer_common::Event;

use crate::{
    facts::{
        counts::CountersByNetns,
        gauges::Gauges,
        holders::Holders,
        interfaces::{DeviceKey, Interfaces},
        snapshot::{Snapshot, TimewaitSample},
    },
    source::kernel::{
        privileges,
        sockets::{Error, Sockets},
        surveyor::Surveyor,
        whereabouts::Whereabouts,
    },
    tcp::netns::{NetnsFilter, NetnsId},
};

/// Which namespaces to list the sockets of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tour {
    /// All.
    New,
    /// Those for which there was no time before.
    Rest,
}

/// A sample of timewait sockets, and its cost.
#[derive(Debug)]
pub struct TimewaitPoll {
    /// The timewait sockets.
    pub sample: TimewaitSample,
    /// The CPU time that it took.
    pub cost: Duration,
}

/// The counters of full sockets, and what reading them cost.
#[derive(Debug)]
pub struct Refresh {
    /// The full sockets of all namespaces that can be entered, without holders.
    pub sockets: Vec<Event>,
    /// There was no time for all of them.
    pub is_part: bool,
    /// The CPU time that it took.
    pub cost: Duration,
}

/// Gauges of namespaces, and what reading them cost.
#[derive(Debug)]
pub struct GaugePoll {
    /// Those that are known.
    pub gauges: Gauges,
    /// The CPU time that it took.
    pub cost: Duration,
}

/// Who holds which sockets, and what the search cost.
#[derive(Debug)]
pub struct HolderSearch {
    /// The holders.
    pub holders: Holders,
    /// The CPU time that it took.
    pub cost: Duration,
}

/// A question to the thread, and where to send the answer.
pub(super) enum Question {
    Snapshot(Tour, oneshot::Sender<Result<Snapshot, Error>>),
    Timewait(HashSet<NetnsId>, oneshot::Sender<Result<TimewaitPoll, Error>>),
    Counters(oneshot::Sender<CountersByNetns>),
    Holders(oneshot::Sender<Result<HolderSearch, Error>>),
    Interfaces(HashSet<DeviceKey>, oneshot::Sender<Result<Interfaces, Error>>),
    Refresh(oneshot::Sender<Result<Refresh, Error>>),
    Gauges(oneshot::Sender<Result<GaugePoll, Error>>),
    Listeners(oneshot::Sender<Result<Refresh, Error>>),
}

/// Sends questions to the survey thread.
pub struct Survey {
    questions: Sender<Question>,
    is_ending: Arc<AtomicBool>,
}

impl Survey {
    /// Starts the thread. It inherits the caller's capabilities, and gives up all but those in `kept`.
    pub fn start(
        sockets: Sockets,
        kept: &'static [Capability],
        given: Vec<PathBuf>,
        asked_for: NetnsFilter,
    ) -> io::Result<Self> {
        let (questions, inbox) = channel();
        let is_ending = Arc::<AtomicBool>::default();
        let ending = Arc::clone(&is_ending);
        thread::Builder::new().name("tracer-survey".into()).spawn(move || {
            // The thread also works with more capabilities, so this is only a warning.
            if let Err(error) = privileges::drop_all_but(kept) {
                log::warn!("{error}");
            }
            let mut surveyor = Surveyor::new(sockets, Whereabouts::new(given, asked_for), ending);
            surveyor.answer(&inbox);
        })?;
        Ok(Self { questions, is_ending })
    }

    /// The capture ends: visits that are under way end soon.
    pub fn hurry(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
    }

    /// Asks for the sockets of all namespaces, as far as there is time.
    #[must_use]
    pub fn snapshot(&self, tour: Tour) -> oneshot::Receiver<Result<Snapshot, Error>> {
        let (answer, receiver) = oneshot::channel();
        self.ask(Question::Snapshot(tour, answer), receiver)
    }

    /// Asks for the timewait sockets of these namespaces.
    #[must_use]
    pub fn timewait(&self, netns: HashSet<NetnsId>) -> oneshot::Receiver<Result<TimewaitPoll, Error>> {
        let (answer, receiver) = oneshot::channel();
        self.ask(Question::Timewait(netns, answer), receiver)
    }

    /// Asks for the kernel's counters of all namespaces, as far as there is time.
    #[must_use]
    pub fn counters(&self) -> oneshot::Receiver<CountersByNetns> {
        let (answer, receiver) = oneshot::channel();
        self.ask(Question::Counters(answer), receiver)
    }

    /// Asks who holds which sockets.
    #[must_use]
    pub fn holders(&self) -> oneshot::Receiver<Result<HolderSearch, Error>> {
        let (answer, receiver) = oneshot::channel();
        self.ask(Question::Holders(answer), receiver)
    }

    /// Asks for the names of devices.
    #[must_use]
    pub fn interfaces(&self, devices: HashSet<DeviceKey>) -> oneshot::Receiver<Result<Interfaces, Error>> {
        let (answer, receiver) = oneshot::channel();
        self.ask(Question::Interfaces(devices, answer), receiver)
    }

    /// Asks for all full sockets, without their holders.
    #[must_use]
    pub fn refresh(&self) -> oneshot::Receiver<Result<Refresh, Error>> {
        let (answer, receiver) = oneshot::channel();
        self.ask(Question::Refresh(answer), receiver)
    }

    /// Asks for the gauges of all namespaces, as far as there is time.
    #[must_use]
    pub fn gauges(&self) -> oneshot::Receiver<Result<GaugePoll, Error>> {
        let (answer, receiver) = oneshot::channel();
        self.ask(Question::Gauges(answer), receiver)
    }

    /// Asks for all listeners, without their holders.
    #[must_use]
    pub fn listeners(&self) -> oneshot::Receiver<Result<Refresh, Error>> {
        let (answer, receiver) = oneshot::channel();
        self.ask(Question::Listeners(answer), receiver)
    }

    /// Sends a question. If the thread has ended, the receiver reports that its sender is gone.
    fn ask<T>(&self, question: Question, receiver: oneshot::Receiver<T>) -> oneshot::Receiver<T> {
        let _ = self.questions.send(question);
        receiver
    }
}
