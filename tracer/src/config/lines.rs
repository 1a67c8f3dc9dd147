//! Builds the plan for output lines from the arguments.

use std::io;

use anstream::ColorChoice;

use crate::{
    cli::{OutputArgs, When},
    config::Error,
    format::{
        Kind, Plan,
        columns::{Column, DefaultIn},
        subject::Subject,
        text::TextStyle,
    },
    text::escape::escaped,
};

/// `default_in` selects the default columns, for text and for JSON and CSV.
pub(super) fn plan(
    default_in: (DefaultIn, DefaultIn),
    precise: bool,
    args: &OutputArgs,
) -> Result<Plan, Error> {
    let colour = args.output == Kind::Text && use_colour(args.color);
    Ok(Plan {
        kind: args.output,
        columns: args.columns.as_deref().map(chosen_columns).transpose()?,
        default_in,
        style: TextStyle { time: args.time, colour, precise },
    })
}

/// The columns of a list such as `time,new_state`.
pub(super) fn chosen_columns<S: Subject>(list: &str) -> Result<Vec<&'static Column<S>>, Error> {
    if list.trim().is_empty() {
        return Err(Error::NoColumns);
    }
    let mut chosen: Vec<&'static Column<S>> = Vec::new();
    for key in list.split(',').map(str::trim) {
        let column = S::column(key).ok_or_else(|| Error::UnknownColumn(escaped(key.as_bytes())))?;
        if chosen.iter().any(|other| other.key == column.key) {
            return Err(Error::RepeatedColumn(column.key));
        }
        chosen.push(column);
    }
    Ok(chosen)
}

/// Whether standard output is written with colours.
#[must_use]
pub(super) fn use_colour(when: When) -> bool {
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto => anstream::AutoStream::choice(&io::stdout()) != ColorChoice::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::subject::Story;

    #[test]
    fn columns_are_checked() {
        let keys = |list| {
            chosen_columns::<Story>(list).map(|columns| columns.iter().map(|c| c.key).collect::<Vec<_>>())
        };
        assert_eq!(keys("new_state, time").unwrap(), ["new_state", "time"]);
        assert!(matches!(keys("time,nope"), Err(Error::UnknownColumn(key)) if key == "nope"));
        assert!(matches!(keys("\x1b"), Err(Error::UnknownColumn(key)) if key == "\\x1b"));
        assert!(matches!(keys("time,"), Err(Error::UnknownColumn(_))));
        assert!(matches!(keys(""), Err(Error::NoColumns)));
        assert!(matches!(keys("time,time"), Err(Error::RepeatedColumn("time"))));
    }
}
