//! Ctrl-C: the first ends the work in an orderly way, a second one at once.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether Ctrl-C was pressed.
static STOP: AtomicBool = AtomicBool::new(false);

/// Handles Ctrl-C from now on: the first says what is being done about it and calls
/// `on_stop`, on a thread of its own. If it cannot be handled, it ends the program.
pub fn handle(text: &'static str, on_stop: impl Fn() + Send + 'static) {
    let handler = move || {
        if STOP.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        let _ = writeln!(std::io::stderr(), "\n{text} (Ctrl-C again: at once)");
        on_stop();
    };
    let _ = ctrlc::set_handler(handler);
}

/// Whether Ctrl-C was pressed.
pub fn requested() -> bool {
    STOP.load(Ordering::SeqCst)
}
