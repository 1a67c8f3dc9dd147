//! How lines are written.

use std::io;

use anstream::ColorChoice;

use crate::{
    cli::{OutputArgs, When},
    config::Error,
    format::{
        Kind, Plan,
        columns::{Field, Shown, field},
        text::Style,
    },
    text::escape::escaped,
};

/// `place` is where the default columns are, in text and in data.
pub(super) fn plan(place: (Shown, Shown), precise: bool, args: &OutputArgs) -> Result<Plan, Error> {
    let colour = args.output == Kind::Text && use_colour(args.color);
    Ok(Plan {
        kind: args.output,
        columns: args.columns.as_deref().map(chosen_columns).transpose()?,
        place,
        style: Style { time: args.time, colour, precise },
    })
}

fn chosen_columns(list: &str) -> Result<Vec<&'static Field>, Error> {
    if list.trim().is_empty() {
        return Err(Error::NoColumns);
    }
    let mut columns: Vec<&'static Field> = Vec::new();
    for key in list.split(',').map(str::trim) {
        let column = field(key).ok_or_else(|| Error::UnknownColumn(escaped(key.as_bytes())))?;
        if columns.iter().any(|chosen| chosen.key == column.key) {
            return Err(Error::RepeatedColumn(column.key));
        }
        columns.push(column);
    }
    Ok(columns)
}

/// Whether standard output gets colours.
#[must_use]
pub fn use_colour(when: When) -> bool {
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto => anstream::AutoStream::choice(&io::stdout()) != ColorChoice::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_checked() {
        let keys =
            |list| chosen_columns(list).map(|columns| columns.iter().map(|c| c.key).collect::<Vec<_>>());
        assert_eq!(keys("new_state, time").unwrap(), ["new_state", "time"]);
        assert!(matches!(keys("time,nope"), Err(Error::UnknownColumn(key)) if key == "nope"));
        assert!(matches!(keys("\x1b"), Err(Error::UnknownColumn(key)) if key == "\\x1b"));
        assert!(matches!(keys("time,"), Err(Error::UnknownColumn(_))));
        assert!(matches!(keys(""), Err(Error::NoColumns)));
        assert!(matches!(keys("time,time"), Err(Error::RepeatedColumn("time"))));
    }
}
