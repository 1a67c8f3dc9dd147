//! Compares what tracer implements by hand with libraries that do the same:
//! `cargo bench --package tcp-tracer --bench libraries`. The conclusions are in docs/dependencies.md.
//!
//! # Layout
//! - `text`: numbers, times and addresses as text
//! - `index`: the hash index of sockets
//! - `packing`: blocks of recordings
//! - `types`: reading the kernel's BTF

// A benchmark may panic, and its values are made up, so that casts lose nothing that matters.
#![allow(clippy::panic, clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_precision_loss)]

mod index;
mod packing;
mod text;
mod types;

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

/// Many short samples: on a busy machine they say more than a few long ones.
fn config() -> Criterion {
    Criterion::default()
        .sample_size(50)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
}

criterion_group! { name = benches; config = config(); targets = text::all, index::all, packing::all, types::all }
criterion_main!(benches);
