//! Keyboard input and screen sizes, independent of the terminal library. Only `top` uses them.

/// A key, or a change of the screen size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A character.
    Char(char),
    /// Cursor up.
    Up,
    /// Cursor down.
    Down,
    /// Cursor left.
    Left,
    /// Cursor right.
    Right,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
    /// To the first entry.
    Home,
    /// To the last entry.
    End,
    /// Opens or confirms.
    Enter,
    /// Closes or cancels.
    Escape,
    /// Deletes the last character.
    Backspace,
    /// Deletes the whole line (Ctrl-U).
    Clear,
    /// Ctrl-C.
    Interrupt,
    /// The screen has this many columns and lines and must be redrawn.
    Screen(u16, u16),
}
