//! Errors in the command line, as clap tells them.

use clap::{
    Error,
    error::{ContextKind, ContextValue},
};

use crate::text::escape::escaped;

/// Escapes what clap repeats of the arguments: a terminal might obey it, or it might forge a line.
#[must_use]
pub fn tamed(mut error: Error) -> Error {
    let context = error.context().filter(|(kind, _)| *kind != ContextKind::Usage);
    let safe: Vec<_> = context.map(|(kind, value)| (kind, safe(value))).collect();
    for (kind, value) in safe {
        error.insert(kind, value);
    }
    error
}

fn safe(value: &ContextValue) -> ContextValue {
    let text = |text: &dyn ToString| escaped(text.to_string().as_bytes());
    match value {
        ContextValue::String(string) => ContextValue::String(text(string)),
        ContextValue::Strings(strings) => {
            ContextValue::Strings(strings.iter().map(|string| text(string)).collect())
        }
        // Without its style: in it clap's own control characters cannot be told from others.
        ContextValue::StyledStr(styled) => ContextValue::StyledStr(text(styled).into()),
        ContextValue::StyledStrs(styled) => {
            ContextValue::StyledStrs(styled.iter().map(|styled| text(styled).into()).collect())
        }
        other => other.clone(),
    }
}
