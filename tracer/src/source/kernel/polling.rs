//! Following what no event tells: when to look at the sockets that there are, and at what rate.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;
use tracer_common::Event;

use crate::{
    source::kernel::{
        sockets::Error,
        survey::{Census, Costly, Counters, Fresh, Survey},
    },
    time::wait::at,
    track::Sample,
};

/// Timewait sockets are looked at this often, unless that costs too much.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

/// A look may cost one part in so many of a processor.
const SHARE: u32 = 150;

/// Where what sockets count is shown while they live, they are looked at this often, unless that
/// costs too much.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);
const REFRESH_SHARE: u32 = 200;

/// After a loss all sockets are looked at, but not more often than this, nor all the time.
const CENSUS_PAUSE: Duration = Duration::from_secs(2);
const CENSUS_SHARE: u32 = 20;

/// When what came too early comes again: the events that come before it have to be taken first.
const PUT_BACK: Duration = Duration::from_millis(5);

type Pending<T> = Option<oneshot::Receiver<Result<T, Error>>>;

/// What there is to do.
pub enum Answer {
    /// All sockets, after a loss.
    Census(Census),
    /// The timewait sockets.
    Sample(Sample),
    /// What sockets count by now.
    Fresh(Vec<Event>),
    /// It is time to ask for the timewait sockets.
    Due,
}

/// Who asks, and when.
pub struct Follow {
    survey: Survey,
    takes_snapshot: bool,
    samples: bool,
    census: Pending<Census>,
    census_at: Option<Instant>,
    census_since: Option<Instant>,
    census_pause: Duration,
    waiting: Pending<Costly>,
    sample_at: Option<Instant>,
    interval: Duration,
    /// A census that comes again, and when.
    put_back: Option<(Census, Instant)>,
    fresh: Pending<Fresh>,
    fresh_at: Option<Instant>,
}

impl Follow {
    /// `takes_snapshot`: the sockets that exist are looked at, at the start; `samples`: the timewait
    /// sockets are, while there are any.
    #[must_use]
    pub fn new(survey: Survey, takes_snapshot: bool, samples: bool) -> Self {
        Self {
            survey,
            takes_snapshot,
            samples,
            census: None,
            census_at: None,
            census_since: None,
            census_pause: CENSUS_PAUSE,
            waiting: None,
            sample_at: None,
            interval: SAMPLE_INTERVAL,
            put_back: None,
            fresh: None,
            fresh_at: None,
        }
    }

    /// From now on what sockets count is looked at while they live, too.
    pub fn refresh(&mut self) {
        self.fresh_at = Some(Instant::now());
    }

    /// The kernel's counters; none if the survey is gone.
    pub async fn counters(&self) -> Counters {
        self.survey.counters().await.unwrap_or_default()
    }

    /// The sockets that exist at the start, if they are wanted.
    pub async fn first_census(&mut self) -> Option<Census> {
        if !self.takes_snapshot {
            return None;
        }
        match self.survey.census().await {
            Ok(Ok(census)) => Some(census),
            Ok(Err(error)) => {
                log::warn!("the sockets that exist already are not known: {error}");
                None
            }
            Err(_) => None,
        }
    }

    /// Wants all sockets once more: soon, but not all the time.
    pub fn ask_for_census(&mut self) {
        // One that is under way may have passed what was lost.
        if self.census_at.is_none() {
            let last = self.census_since;
            self.census_at = Some(last.map_or_else(Instant::now, |last| last + self.census_pause));
        }
    }

    /// Comes again as the next answer.
    pub fn put_back(&mut self, census: Census) {
        self.put_back = Some((census, Instant::now() + PUT_BACK));
    }

    /// Whether there is anything to be sampled.
    pub fn has_waiting(&mut self, has_waiting: bool) {
        if !has_waiting {
            self.sample_at = None;
        } else if self.samples && self.waiting.is_none() && self.sample_at.is_none() {
            self.sample_at = Some(Instant::now() + self.interval);
        }
    }

    /// Asks for the timewait sockets of these namespaces.
    pub fn ask_for_waiting(&mut self, netns: HashSet<u32>) {
        self.sample_at = None;
        if !netns.is_empty() {
            self.waiting = Some(self.survey.waiting(netns));
        }
    }

    /// Waits for the next thing to do. Cancelling loses nothing.
    pub async fn next(follow: &mut Option<Self>) -> Answer {
        match follow {
            Some(follow) => follow.wait().await,
            None => std::future::pending().await,
        }
    }

    async fn wait(&mut self) -> Answer {
        if let Some((_, again)) = &self.put_back {
            // A time, and not a pause: whoever is called again and again would pause for ever.
            at(Some(*again)).await;
            if let Some((census, _)) = self.put_back.take() {
                return Answer::Census(census);
            }
        }
        loop {
            tokio::select! {
                answer = answer(&mut self.census) => {
                    self.census = None;
                    if let Some(census) = answer {
                        let (from_ns, to_ns) = census.during_ns;
                        let took = Duration::from_nanos(to_ns.saturating_sub(from_ns));
                        self.census_pause = CENSUS_PAUSE.max(took * CENSUS_SHARE);
                        return Answer::Census(census);
                    }
                }
                answer = answer(&mut self.waiting) => {
                    self.waiting = None;
                    if let Some(Costly { sample, cost }) = answer {
                        self.interval = SAMPLE_INTERVAL.max(cost * SHARE);
                        self.sample_at = Some(Instant::now() + self.interval);
                        return Answer::Sample(sample);
                    }
                    self.sample_at = Some(Instant::now() + self.interval);
                }
                () = at(self.census_at), if self.census.is_none() && self.put_back.is_none() => {
                    self.census_at = None;
                    self.census_since = Some(Instant::now());
                    self.census = Some(self.survey.census());
                }
                answer = answer(&mut self.fresh) => {
                    self.fresh = None;
                    let cost = answer.as_ref().map_or(Duration::ZERO, |fresh| fresh.cost);
                    self.fresh_at = Some(Instant::now() + REFRESH_INTERVAL.max(cost * REFRESH_SHARE));
                    if let Some(fresh) = answer {
                        return Answer::Fresh(fresh.sockets);
                    }
                }
                () = at(self.fresh_at), if self.fresh.is_none() => {
                    self.fresh_at = None;
                    self.fresh = Some(self.survey.fresh());
                }
                () = at(self.sample_at) => {
                    self.sample_at = None;
                    return Answer::Due;
                }
            }
        }
    }
}

/// Waits for an answer; a failure is told, and is none.
async fn answer<T>(pending: &mut Pending<T>) -> Option<T> {
    let Some(receiver) = pending else {
        return std::future::pending().await;
    };
    match receiver.await {
        Ok(Ok(answer)) => Some(answer),
        Ok(Err(error)) => {
            log::warn!("{error}");
            None
        }
        Err(_) => None,
    }
}
