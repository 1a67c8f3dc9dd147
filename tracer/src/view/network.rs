//! `list -i` and `list -r`: a line for each network interface or route that is there now.
//!
//! It takes a list, not transitions, so it is no [`View`](crate::view::View).

use crate::{
    facts::{
        context::Context,
        network::{NetworkInterface, NetworkRoute},
    },
    format::{
        Plan,
        links::{LinkRow, Links},
        routes::{RouteRow, Routes},
        subject::Subject,
    },
};

/// Appends interfaces.
pub fn interfaces(
    plan: &Plan<Links>,
    has_header: bool,
    found: &[NetworkInterface],
    context: &Context,
    out: &mut Vec<u8>,
) {
    let rows: Vec<_> = found.iter().map(|interface| LinkRow { interface, context }).collect();
    write(plan, has_header, &rows, out);
}

/// Appends routes.
pub fn routes(
    plan: &Plan<Routes>,
    has_header: bool,
    found: &[NetworkRoute],
    context: &Context,
    out: &mut Vec<u8>,
) {
    let mut prefixes = vec![String::new(); found.len()];
    let rows = found.iter().zip(&mut prefixes).map(|(route, prefix)| RouteRow::new(route, context, prefix));
    write(plan, has_header, &rows.collect::<Vec<_>>(), out);
}

fn write<S: Subject>(plan: &Plan<S>, has_header: bool, rows: &[S::About<'_>], out: &mut Vec<u8>) {
    let mut format = plan.format(&[]);
    for row in rows {
        format.fit(row);
    }
    if has_header {
        format.begin(out);
    }
    for row in rows {
        format.line(row, out);
    }
    format.end(out);
}
