//! Turns panics of picture decoders and of the detector into errors.

use crate::FaceError;
use crate::error::shortened;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The result of `run`, or [`FaceError::Panicked`] with the name of the step if it
/// panics. A malformed file that a decoder does not expect must not end the
/// program, nor a run over many files.
pub(crate) fn guarded<T>(
    step: &'static str,
    run: impl FnOnce() -> Result<T, FaceError>,
) -> Result<T, FaceError> {
    // Unwind safe: the steps borrow their input immutably, and overwrite the
    // scratch memory of their thread before they read it.
    let result = catch_unwind(AssertUnwindSafe(|| {
        #[cfg(test)]
        tests::panic_if_armed(step);
        run()
    }));
    result.unwrap_or_else(|panic| {
        Err(FaceError::Panicked { step, message: shortened(panic_message(&*panic)) })
    })
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "no message",
    }
}

#[cfg(test)]
pub(crate) use tests::panic_in;

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local! {
        static ARMED: Cell<Option<&'static str>> = const { Cell::new(None) };
    }

    /// Runs `test` while the guarded step of this name panics on this thread.
    pub(crate) fn panic_in<T>(step: &'static str, test: impl FnOnce() -> T) -> T {
        ARMED.set(Some(step));
        let result = test();
        ARMED.set(None);
        result
    }

    pub(super) fn panic_if_armed(step: &'static str) {
        assert!(ARMED.get() != Some(step), "injected into the {step}");
    }

    #[test]
    fn panics_become_errors_with_their_message() {
        let message = |run: fn() -> Result<(), FaceError>| match guarded("test", run) {
            Err(FaceError::Panicked { step: "test", message }) => message,
            other => panic!("{other:?}"),
        };
        assert_eq!(message(|| panic!("index out of bounds")), "index out of bounds");
        assert_eq!(message(|| panic!("no. {}", 7)), "no. 7");
        assert_eq!(message(|| std::panic::panic_any(7)), "no message");
        assert!(message(|| panic!("{}", "long ".repeat(1000))).len() < 300);
        assert!(matches!(
            guarded("test", || Err::<(), _>(FaceError::Empty)),
            Err(FaceError::Empty)
        ));
        assert!(matches!(guarded("test", || Ok(7)), Ok(7)));
    }
}
