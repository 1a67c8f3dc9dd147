//! Loading programs in spite of signals.

use aya::programs::ProgramError;

use crate::source::kernel::error::is_interrupted;

/// The library tries each time twice. Whoever is signalled as often is to be interrupted.
const TRIES: usize = 10;

/// Loads a program. The verifier gives up (`EAGAIN`) when the thread has a signal to handle, be it only one that
/// stops and continues it; then the program is loaded again.
pub(super) fn load(mut attempt: impl FnMut() -> Result<(), ProgramError>) -> Result<(), ProgramError> {
    let mut loaded = attempt();
    for _ in 1..TRIES {
        if !loaded.as_ref().is_err_and(is_interrupted) {
            break;
        }
        loaded = attempt();
    }
    loaded
}
