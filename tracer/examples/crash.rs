//! Takes the terminal as `top` does, and panics: for the test that it is given back.

use tracer::run::console::Console;

// That is what it is for.
#[allow(clippy::panic, clippy::expect_used)]
fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _inside = runtime.enter();
    let _console = Console::open().expect("a terminal");
    panic!("this is a test");
}
