//! Incidents with real programs: what the first screen of `top`, a summary and a log say, and how soon.

/// Tests that measure how soon something is told. `cargo xtask test` runs no other test at the same time.
mod alone {
    mod common;
    mod connects;
    mod idle;
    mod leaks;
    mod listeners;
    mod namespaces;
    mod pool;
    mod quiet;
    mod redis;
    mod reload;
    mod stalls;
}
