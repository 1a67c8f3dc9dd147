//! Takes the terminal as `top` does, and panics, or overflows its stack if an argument is given. A test checks that
//! the terminal is given back.

use tracer::run::console::IdleConsole;

// Panicking is its purpose.
#[allow(clippy::expect_used)]
fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _inside = runtime.enter();
    let _console = IdleConsole::check().and_then(IdleConsole::open).expect("a terminal");
    assert!(std::env::args().len() > 1, "this is a test");
    descend(1);
}

/// Needs more and more stack.
#[expect(unconditional_recursion, reason = "it is to overflow")]
fn descend(depth: u64) -> u64 {
    std::hint::black_box(depth + descend(std::hint::black_box(depth + 1)))
}
