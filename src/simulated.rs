//! Whether this thread simulates whole processes: then nothing of them leaves it, and all of them
//! sleep by the clock of its runtime.

use std::cell::Cell;

thread_local! {
    static ON: Cell<bool> = const { Cell::new(false) };
}

pub(crate) fn is_on() -> bool {
    cfg!(feature = "embedded") && ON.get()
}

#[cfg(feature = "embedded")]
pub(crate) fn begin() {
    ON.set(true);
}
