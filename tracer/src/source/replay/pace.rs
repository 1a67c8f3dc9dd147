//! The speed of a replay, and whether it is paused.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::facts::playback::{PlayCommand, Playback};

/// How far a step goes, in nanoseconds.
const STEP_NS: u64 = 1_000_000_000;

/// Plays facts at the speed at which they happened, or a multiple of it.
#[derive(Debug)]
pub(super) struct Pace {
    speed: f64,
    /// A moment, and the time that was played then.
    from: Option<(Instant, u64)>,
    /// Nothing later than this is played until the user says so.
    paused_ns: Option<u64>,
}

impl Pace {
    /// So many times as fast as it happened.
    pub(super) fn of(speed: f64) -> Self {
        Self { speed, from: None, paused_ns: None }
    }

    /// Begins now, at this time, and not when the first fact comes. A time before the clock's zero is one at which the
    /// host was not yet there.
    pub(super) fn begin_at(&mut self, time_ns: i64) {
        let until_zero = self.played_in(time_ns.min(0).unsigned_abs());
        self.from = Some((Instant::now() + until_zero, time_ns.max(0).unsigned_abs()));
    }

    /// How long it takes to play so much, in nanoseconds.
    fn played_in(&self, time_ns: u64) -> Duration {
        let time = Duration::from_nanos(time_ns).as_secs_f64() / self.speed;
        Duration::try_from_secs_f64(time).unwrap_or(LONGEST).min(LONGEST)
    }

    /// Waits until it is this time. Dropping the future changes nothing.
    pub(super) async fn wait(&mut self, time_ns: u64) {
        match self.paused_ns {
            Some(paused_ns) if time_ns <= paused_ns => return,
            Some(_) => std::future::pending().await,
            None => {}
        }
        let (begun, from_ns) = *self.from.get_or_insert_with(|| (Instant::now(), time_ns));
        sleep_until(begun + self.played_in(time_ns.saturating_sub(from_ns))).await;
    }

    /// Does what the user wants. Before anything is played there is nothing to pause.
    pub(super) fn play(&mut self, command: PlayCommand) {
        let Some((begun, from_ns)) = self.from else {
            return;
        };
        match (command, self.paused_ns) {
            (PlayCommand::Toggle, Some(paused_ns)) => {
                (self.from, self.paused_ns) = (Some((Instant::now(), paused_ns)), None);
            }
            (command, paused_ns) => {
                let played = (begun.elapsed().as_secs_f64() * self.speed).min(LONGEST.as_secs_f64());
                let played = Duration::try_from_secs_f64(played).unwrap_or(LONGEST);
                let played_ns = u64::try_from(played.as_nanos()).unwrap_or(u64::MAX);
                let now_ns = paused_ns.unwrap_or_else(|| from_ns.saturating_add(played_ns));
                let step_ns = if command == PlayCommand::Step { STEP_NS } else { 0 };
                self.paused_ns = Some(now_ns.saturating_add(step_ns));
            }
        }
    }

    /// What is going on.
    pub(super) fn playback(&self) -> Playback {
        if self.paused_ns.is_some() { Playback::Paused } else { Playback::Playing(self.speed) }
    }
}

/// A recording may say any time. Longer than this nobody waits.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it is this time within a millisecond.
    async fn is_played(pace: &mut Pace, time_ns: u64) -> bool {
        tokio::time::timeout(Duration::from_millis(1), pace.wait(time_ns)).await.is_ok()
    }

    #[tokio::test]
    async fn hosts_begin_together() {
        let mut pace = Pace::of(1.0);
        pace.begin_at(3600 * 1_000_000_000);
        assert!(is_played(&mut pace, 3600 * STEP_NS).await);
        assert!(!is_played(&mut pace, 3601 * STEP_NS).await, "it waits for the other one");
        pace.begin_at(-1_000_000_000);
        assert!(!is_played(&mut pace, 0).await, "it was started later");
    }

    #[tokio::test]
    async fn it_pauses_steps_and_goes_on() {
        let mut pace = Pace::of(1.0);
        pace.play(PlayCommand::Toggle);
        assert_eq!(pace.playback(), Playback::Playing(1.0), "there is nothing to pause yet");
        let hour_ns = 3600 * STEP_NS;
        assert!(is_played(&mut pace, hour_ns).await, "the first fact comes at once");
        assert!(!is_played(&mut pace, hour_ns + STEP_NS).await);
        pace.play(PlayCommand::Toggle);
        assert_eq!(pace.playback(), Playback::Paused);
        pace.play(PlayCommand::Step);
        assert!(is_played(&mut pace, hour_ns + STEP_NS).await);
        assert!(!is_played(&mut pace, hour_ns + 3 * STEP_NS).await);
        pace.play(PlayCommand::Step);
        pace.play(PlayCommand::Step);
        assert!(is_played(&mut pace, hour_ns + 3 * STEP_NS).await);
        pace.play(PlayCommand::Toggle);
        assert_eq!(pace.playback(), Playback::Playing(1.0));
        assert!(is_played(&mut pace, hour_ns + 3 * STEP_NS).await, "it goes on from there");
        assert!(!is_played(&mut pace, hour_ns + 5 * STEP_NS).await);
    }
}
