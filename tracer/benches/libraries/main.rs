//! What tracer writes by hand, beside the libraries that do the same:
//! `cargo bench --package tracer --bench libraries`. What follows from it is in docs/dependencies.md.

// Whoever measures may panic, and casts what it has made up.
#![allow(clippy::panic, clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_precision_loss)]

mod index;
mod text;
mod types;

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

/// On a busy machine many short rounds tell more than a few long ones.
fn config() -> Criterion {
    Criterion::default()
        .sample_size(50)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
}

criterion_group! { name = benches; config = config(); targets = text::all, index::all, types::all }
criterion_main!(benches);
