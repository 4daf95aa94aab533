//! Long work on a thread of its own, while the calling one handles Ctrl-C and reports
//! progress to Python.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use pyo3::prelude::*;

/// How often Ctrl-C is looked for.
const PAUSE: Duration = Duration::from_millis(50);

/// What the work sees of the thread that waits for it.
pub struct Control<E> {
    stop: AtomicBool,
    events: Mutex<Sender<E>>,
}

/// The payload with which cancelled work unwinds.
struct Cancelled;

impl<E> Control<E> {
    /// Reports an event to Python.
    pub fn report(&self, event: E) {
        // The receiver lives as long as the work.
        let _ = self.events.lock().map(|events| events.send(event));
    }

    /// Whether the work is to end.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Unwinds out of the work if it is to end; for work that cannot be told to stop.
    pub fn check(&self) {
        if self.stopped() {
            resume_unwind(Box::new(Cancelled));
        }
    }
}

/// Runs `work` on another thread, without the interpreter's lock. Its events are handled on
/// this thread. After an error of `handle`, or Ctrl-C, the control says to stop, and the error
/// is returned once the work has ended.
///
/// # Errors
/// The first error of `handle`, or `KeyboardInterrupt`.
pub fn run<T: Send, E: Send>(
    py: Python<'_>,
    work: impl FnOnce(&Control<E>) -> T + Send,
    mut handle: impl FnMut(Python<'_>, E) -> PyResult<()>,
) -> PyResult<T> {
    let (send, receive) = channel();
    let receive = Mutex::new(receive);
    let control = Control { stop: AtomicBool::new(false), events: Mutex::new(send) };
    let mut failed = None;
    let ended = thread::scope(|scope| {
        let control = &control;
        let (done, finished) = channel();
        let finished = Mutex::new(finished);
        scope.spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(|| work(control)));
            // The receiver waits for it.
            let _ = done.send(result);
        });
        loop {
            let event = py.detach(|| {
                let finished = finished.lock().expect("this thread alone locks it");
                let result = finished.recv_timeout(PAUSE);
                result.map_err(|why| why == RecvTimeoutError::Timeout)
            });
            let waiting: Vec<E> = {
                let receive = receive.lock().expect("this thread alone locks it");
                receive.try_iter().collect()
            };
            // A callback that has failed is not called again.
            let mut handled = if failed.is_none() { py.check_signals() } else { Ok(()) };
            for event in waiting {
                if failed.is_none() {
                    handled = handled.and_then(|()| handle(py, event));
                }
            }
            if let Err(error) = handled {
                failed.get_or_insert(error);
                control.stop.store(true, Ordering::Relaxed);
            }
            match event {
                Ok(result) => return result,
                Err(waiting) => assert!(waiting, "the work always sends a result"),
            }
        }
    });
    match ended {
        Err(payload) if !payload.is::<Cancelled>() => resume_unwind(payload),
        Ok(value) if failed.is_none() => Ok(value),
        _ => Err(failed.expect("work is cancelled after a failure only")),
    }
}
