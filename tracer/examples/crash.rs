//! Takes the terminal as `top` does, and panics. A test checks that the terminal is given back.

use tracer::run::console::IdleConsole;

// Panicking is its purpose.
#[allow(clippy::panic, clippy::expect_used)]
fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _inside = runtime.enter();
    let _console = IdleConsole::check().and_then(IdleConsole::open).expect("a terminal");
    panic!("this is a test");
}
