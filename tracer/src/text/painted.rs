//! Text with colours, if there are any.

use std::fmt;

use anstyle::Style;

/// Text in a style.
#[derive(Clone, Copy, Debug)]
pub struct Painted<'a> {
    text: &'a str,
    style: Style,
}

/// Text in a style; as it stands if colours are off.
#[must_use]
pub const fn painted(text: &str, style: Style, has_colours: bool) -> Painted<'_> {
    Painted { text, style: if has_colours { style } else { Style::new() } }
}

impl fmt::Display for Painted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A style without anything is written as nothing.
        let Self { text, style } = self;
        write!(f, "{style}{text}{style:#}")
    }
}

#[cfg(test)]
mod tests {
    use anstyle::AnsiColor;

    use super::*;

    #[test]
    fn without_colours_text_stays_as_it_is() {
        let red = AnsiColor::Red.on_default();
        assert_eq!(painted("x", red, true).to_string(), "\u{1b}[31mx\u{1b}[0m");
        assert_eq!(painted("x", red, false).to_string(), "x");
        assert_eq!(painted("x", Style::new(), true).to_string(), "x");
    }
}
