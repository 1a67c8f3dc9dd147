//! How a recording is played.

/// What the user wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayCommand {
    /// Pause, or play on.
    Toggle,
    /// One second further, and pause there.
    Step,
}

/// What is going on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Playback {
    /// It is played at this multiple of the speed at which it happened.
    Playing(f64),
    /// It is paused.
    Paused,
    /// All has been played.
    Ended,
}
