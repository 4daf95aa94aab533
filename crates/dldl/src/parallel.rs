//! Working through many pictures at once, with the results in the order of the
//! pictures and no more than a few of them waiting. What the work is, is the
//! caller's business.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Condvar, Mutex, PoisonError, mpsc};

/// How far the fastest worker may be ahead of the next result, in items per
/// worker: enough that nobody waits for one picture that takes ten times as
/// long as the others.
const WINDOW: usize = 16;

/// The number of threads that `0` stands for: as many as there are processors.
pub fn threads(asked: usize) -> usize {
    match asked {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        _ => asked,
    }
}

/// Who does what next.
struct Turn {
    next: usize,
    done: usize,
    stop: bool,
}

/// Calls `work` on every item, several at a time, and `sink` on every result
/// with its item's number, in the items' order, as soon as it is there; `sink`
/// runs on the calling thread. 0 threads are as many as there are processors.
///
/// As many items are under way as there are threads, each with a Rayon pool of
/// one thread, which bounds the memory; with fewer items than threads, each
/// item gets its share of the threads for the parallelism within it.
///
/// # Errors
/// `sink`'s first error. Items not yet begun are left undone then.
///
/// # Panics
/// If `work` does, with its panic.
pub fn ordered<T: Sync, R: Send, E>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> R + Sync,
    mut sink: impl FnMut(usize, R) -> Result<(), E>,
) -> Result<(), E> {
    let threads = self::threads(threads);
    let workers = threads.min(items.len());
    let window = WINDOW * workers;
    let turn = Mutex::new(Turn { next: 0, done: 0, stop: false });
    let moved = Condvar::new();
    // A worker's panic is caught and handed on, so the lock is never poisoned.
    let lock = || turn.lock().unwrap_or_else(PoisonError::into_inner);
    let take = || {
        let mut turn = moved
            .wait_while(lock(), |t| !t.stop && t.next < items.len() && t.next >= t.done + window)
            .unwrap_or_else(PoisonError::into_inner);
        let mine = turn.next;
        turn.next += 1;
        (!turn.stop && mine < items.len()).then_some(mine)
    };
    let (send, receive) = mpsc::channel();
    let run = |share: usize, send: mpsc::Sender<_>| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(share).build().ok();
        while let Some(i) = take() {
            let result = catch_unwind(AssertUnwindSafe(|| match &pool {
                Some(pool) => pool.install(|| work(&items[i])),
                // The system refused more threads: this one is there.
                None => work(&items[i]),
            }));
            if send.send((i, result)).is_err() {
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let share = threads / workers + usize::from(worker < threads % workers);
            let (send, run) = (send.clone(), &run);
            scope.spawn(move || run(share, send));
        }
        drop(send);
        let mut early = BTreeMap::new();
        let mut next = 0;
        for (i, result) in receive {
            early.insert(i, result);
            while let Some(result) = early.remove(&next) {
                let outcome = match result {
                    Ok(result) => sink(next, result),
                    Err(panic) => {
                        lock().stop = true;
                        moved.notify_all();
                        resume_unwind(panic)
                    }
                };
                next += 1;
                let mut turn = lock();
                turn.done = next;
                turn.stop = outcome.is_err();
                drop(turn);
                moved.notify_all();
                outcome?;
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[test]
    fn results_come_in_order_whatever_takes_long() {
        let items: Vec<usize> = (0..200).collect();
        for threads in [1, 3, 8, 300] {
            let mut seen = Vec::new();
            let slow_first = |&i: &usize| {
                if i.is_multiple_of(50) {
                    std::thread::sleep(Duration::from_millis(5));
                }
                i * 2
            };
            ordered(&items, threads, slow_first, |i, r| {
                assert_eq!(r, 2 * i);
                seen.push(i);
                Ok::<_, ()>(())
            })
            .unwrap();
            assert_eq!(seen, items);
        }
        ordered(&[], 4, |&i: &usize| i, |_, _| Err(())).unwrap();
    }

    #[test]
    fn nobody_runs_far_ahead_of_a_slow_item() {
        let items: Vec<usize> = (0..1000).collect();
        let begun = AtomicUsize::new(0);
        let mut most = 0;
        let work = |&i: &usize| {
            begun.fetch_add(1, Ordering::SeqCst);
            if i == 0 {
                std::thread::sleep(Duration::from_millis(100));
            }
        };
        ordered(&items, 2, work, |i, ()| {
            most = most.max(begun.load(Ordering::SeqCst) - i);
            Ok::<_, ()>(())
        })
        .unwrap();
        assert!(most <= 2 * WINDOW + 1, "{most} begun before the first was done");
    }

    #[test]
    fn the_first_error_ends_it() {
        let items: Vec<usize> = (0..1000).collect();
        let done = AtomicUsize::new(0);
        let work = |&i: &usize| {
            done.fetch_add(1, Ordering::SeqCst);
            i
        };
        let end = ordered(&items, 2, work, |i, _| if i == 5 { Err("enough") } else { Ok(()) });
        assert_eq!(end, Err("enough"));
        assert!(done.load(Ordering::SeqCst) < 100);
    }

    #[test]
    fn a_panic_is_handed_on_and_does_not_hang() {
        let items: Vec<usize> = (0..1000).collect();
        let work = |&i: &usize| assert_ne!(i, 7, "seven");
        let end = catch_unwind(|| ordered(&items, 3, work, |_, ()| Ok::<_, ()>(())));
        assert!(end.is_err());
    }
}
