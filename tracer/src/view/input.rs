//! What the user does at the keyboard, as views see it: no view but `top` knows a terminal.

/// A key, or a change of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A character.
    Char(char),
    /// One up.
    Up,
    /// One down.
    Down,
    /// To the left.
    Left,
    /// To the right.
    Right,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// To the first.
    Home,
    /// To the last.
    End,
    /// In, or done.
    Enter,
    /// Out, or not at all.
    Escape,
    /// Takes back a character.
    Backspace,
    /// Takes back the line (Ctrl-U).
    Clear,
    /// Ctrl-C.
    Interrupt,
    /// The screen is so many columns wide and so many lines high, and has to be drawn anew.
    Screen(u16, u16),
}
