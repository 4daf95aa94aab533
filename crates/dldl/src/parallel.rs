//! Parallel processing of items with results in input order, and thread pools that work
//! with fewer threads than requested.

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// Items per worker that may be started before the next result in order is ready. With
/// this many, no worker waits for an item that takes ten times as long as the others.
const WINDOW: usize = 16;

/// The number of threads for a request, where 0 means one per processor.
pub fn threads(requested: usize) -> usize {
    match requested {
        0 => thread::available_parallelism().map_or(1, usize::from),
        _ => requested,
    }
}

/// Whether the next thread may be created. Tests refuse threads here, as the system
/// does at its limit (`ulimit -u`).
type Permit<'a> = &'a (dyn Fn() -> io::Result<()> + Sync);

const ALWAYS: Permit<'static> = &|| Ok(());

/// Calls `work` on every item, on several threads, and `sink` on every result with its
/// item's index. `sink` runs on the calling thread, in the order of the items, as soon
/// as each result is ready.
///
/// `threads` items are in progress at a time (0: one per processor), each in a Rayon
/// pool of one thread, so memory is bounded. With fewer items than threads, the pools
/// share the threads. If the system refuses to create threads, the existing ones do the
/// work, at least the calling thread.
///
/// # Errors
/// The first error of `sink`. Items that have not started yet are skipped then.
///
/// # Panics
/// If `work` or `sink` panics; the panic is propagated.
pub fn ordered<T: Sync, R: Send, E>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> R + Sync,
    sink: impl FnMut(usize, R) -> Result<(), E>,
) -> Result<(), E> {
    ordered_if(ALWAYS, items, threads, work, sink)
}

fn ordered_if<T: Sync, R: Send, E>(
    permit: Permit<'_>,
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> R + Sync,
    mut sink: impl FnMut(usize, R) -> Result<(), E>,
) -> Result<(), E> {
    let threads = self::threads(threads);
    let workers = threads.min(items.len());
    let queue = Queue::new(items.len(), WINDOW * workers);
    let (send, receive) = mpsc::channel();
    let run = |share: usize, send: mpsc::Sender<_>| {
        let pool = pool_if(permit, share);
        while let Some(i) = queue.take() {
            let result = catch_unwind(AssertUnwindSafe(|| install(&pool, || work(&items[i]))));
            if send.send((i, result)).is_err() {
                return;
            }
        }
    };
    thread::scope(|scope| {
        // Also dropped when `sink` fails or panics: otherwise the workers would wait
        // forever, and the scope for them.
        let _stop = StopOnDrop(&queue);
        let mut started = 0;
        for worker in 0..workers {
            let share = threads / workers + usize::from(worker < threads % workers);
            let (send, run) = (send.clone(), &run);
            let worker = || thread::Builder::new().spawn_scoped(scope, move || run(share, send));
            if permit().and_then(|()| worker()).is_err() {
                break;
            }
            started += 1;
        }
        drop(send);
        if started == 0 {
            let pool = pool_if(permit, 1);
            let mut items = items.iter().enumerate();
            return items.try_for_each(|(i, item)| sink(i, install(&pool, || work(item))));
        }
        let mut early = BTreeMap::new();
        let mut next = 0;
        for (i, result) in receive {
            early.insert(i, result);
            while let Some(result) = early.remove(&next) {
                sink(next, result.unwrap_or_else(|panic| resume_unwind(panic)))?;
                next += 1;
                queue.done(next);
            }
        }
        Ok(())
    })
}

/// Hands out item indices in order, at most the window ahead of the results.
struct Queue {
    state: Mutex<QueueState>,
    changed: Condvar,
    items: usize,
    window: usize,
}

struct QueueState {
    next: usize,
    done: usize,
    stopped: bool,
}

impl Queue {
    fn new(items: usize, window: usize) -> Self {
        let state = Mutex::new(QueueState { next: 0, done: 0, stopped: false });
        Self { state, changed: Condvar::new(), items, window }
    }

    /// Waits for the next index; `None` at the end, or when stopped.
    fn take(&self) -> Option<usize> {
        let blocked = |s: &mut QueueState| {
            !s.stopped && s.next < self.items && s.next >= s.done + self.window
        };
        let state = self.changed.wait_while(self.lock(), blocked);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        let index = state.next;
        state.next += 1;
        (!state.stopped && index < self.items).then_some(index)
    }

    /// The results before index `next` have been handled.
    fn done(&self, next: usize) {
        self.lock().done = next;
        self.changed.notify_all();
    }

    /// No code panics while it holds the lock, so the state of a poisoned one is valid.
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stops the queue when dropped: workers take no more items.
struct StopOnDrop<'a>(&'a Queue);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.lock().stopped = true;
        self.0.changed.notify_all();
    }
}

/// Whether the global pool has threads of its own, so that any thread may use it.
static GLOBAL_POOL: AtomicBool = AtomicBool::new(false);

/// A Rayon pool of up to `threads` threads (0: one per processor), as many as the system
/// allows. If it allows none, work has to run in the global pool (`None`). If that is not
/// started or has no threads either, the calling thread becomes a pool for the rest of
/// its life, unless it already belongs to one (`None`).
pub fn pool(threads: usize) -> Option<ThreadPool> {
    pool_if(ALWAYS, self::threads(threads))
}

/// Runs `work` in the pool; without one, in the calling thread's pool or the global pool.
pub fn install<R: Send>(pool: &Option<ThreadPool>, work: impl FnOnce() -> R + Send) -> R {
    match pool {
        Some(pool) => pool.install(work),
        None => work(),
    }
}

/// Starts Rayon's global pool with as many threads as the system allows, at most one
/// per processor (or `RAYON_NUM_THREADS`). If it allows none, the calling thread becomes
/// the pool: call this on the main thread, before anything else uses Rayon.
///
/// By default, Rayon panics at its first use if it gets fewer threads than it requests.
pub fn start_global_pool() {
    let variable = std::env::var("RAYON_NUM_THREADS").ok().and_then(|n| n.parse().ok());
    let seats = reserve(ALWAYS, threads(variable.unwrap_or(0)));
    let threads = seats.len();
    let started = match threads {
        0 => ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global(),
        n => ThreadPoolBuilder::new().num_threads(n).spawn_handler(seat(seats)).build_global(),
    };
    // An error means that a global pool already exists.
    if started.is_ok() && threads > 0 {
        GLOBAL_POOL.store(true, Ordering::SeqCst);
    }
}

fn pool_if(permit: Permit<'_>, threads: usize) -> Option<ThreadPool> {
    let seats = reserve(permit, threads);
    let pool: Result<_, ThreadPoolBuildError> = match seats.len() {
        0 if GLOBAL_POOL.load(Ordering::SeqCst) => return None,
        0 => ThreadPoolBuilder::new().num_threads(1).use_current_thread().build(),
        n => ThreadPoolBuilder::new().num_threads(n).spawn_handler(seat(seats)).build(),
    };
    pool.ok()
}

type Seat = mpsc::Sender<rayon::ThreadBuilder>;

/// Creates up to `wanted` threads that wait to join a pool. A pool needs its number of
/// threads before it starts, so they are created first.
fn reserve(permit: Permit<'_>, wanted: usize) -> Vec<Seat> {
    let create = |_| {
        permit().ok()?;
        let (send, receive) = mpsc::channel::<rayon::ThreadBuilder>();
        let wait = move || {
            if let Ok(thread) = receive.recv() {
                thread.run();
            }
        };
        thread::Builder::new().spawn(wait).ok()?;
        Some(send)
    };
    (0..wanted).map_while(create).collect()
}

/// Assigns the threads of a pool to the reserved ones, in order.
fn seat(seats: Vec<Seat>) -> impl FnMut(rayon::ThreadBuilder) -> io::Result<()> {
    let mut seats = seats.into_iter();
    move |thread| {
        let seat = seats.next().ok_or(io::ErrorKind::WouldBlock)?;
        seat.send(thread).map_err(|_| io::ErrorKind::WouldBlock.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    #[test]
    fn results_are_in_input_order() {
        let items: Vec<usize> = (0..200).collect();
        for threads in [1, 3, 8, 300] {
            let mut seen = Vec::new();
            let slow_first = |&i: &usize| {
                if i.is_multiple_of(50) {
                    thread::sleep(Duration::from_millis(5));
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
    fn workers_do_not_run_far_ahead_of_a_slow_item() {
        let items: Vec<usize> = (0..1000).collect();
        let started = AtomicUsize::new(0);
        let mut most = 0;
        let work = |&i: &usize| {
            started.fetch_add(1, Ordering::SeqCst);
            if i == 0 {
                thread::sleep(Duration::from_millis(100));
            }
        };
        ordered(&items, 2, work, |i, ()| {
            most = most.max(started.load(Ordering::SeqCst) - i);
            Ok::<_, ()>(())
        })
        .unwrap();
        assert!(most <= 2 * WINDOW + 1, "{most} started before the first was done");
    }

    #[test]
    fn the_first_error_stops_the_workers() {
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
    fn panics_of_work_are_propagated() {
        let items: Vec<usize> = (0..1000).collect();
        let work = |&i: &usize| assert_ne!(i, 7, "seven");
        let end = catch_unwind(|| ordered(&items, 3, work, |_, ()| Ok::<_, ()>(())));
        assert!(end.is_err());
    }

    #[test]
    fn panics_of_the_sink_are_propagated_and_stop_the_workers() {
        // Far more items than the window, so that workers wait when the sink panics.
        let items: Vec<usize> = (0..1000).collect();
        let end = catch_unwind(|| {
            ordered(
                &items,
                3,
                |&i| i,
                |i, _| {
                    assert_ne!(i, 7, "seven");
                    Ok::<_, ()>(())
                },
            )
        });
        let message = *end.unwrap_err().downcast::<String>().unwrap();
        assert!(message.contains("seven"), "{message}");
    }

    /// Permits `n` threads.
    fn at_most(n: usize) -> impl Fn() -> io::Result<()> + Sync {
        let left = AtomicUsize::new(n);
        move || {
            let take = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
            take.map(drop).map_err(|_| io::ErrorKind::WouldBlock.into())
        }
    }

    #[test]
    fn work_completes_with_any_number_of_permitted_threads() {
        use rayon::prelude::*;
        let items: Vec<usize> = (0..100).collect();
        for permitted in 0..8 {
            // In a new thread: without workers, it becomes a pool itself.
            let run = || {
                let mut sums = Vec::new();
                let work = |&i: &usize| (0..=i).into_par_iter().sum::<usize>();
                ordered_if(&at_most(permitted), &items, 3, work, |i, sum| {
                    assert_eq!(sum, i * (i + 1) / 2);
                    sums.push(sum);
                    Ok::<_, ()>(())
                })
                .unwrap();
                assert_eq!(sums.len(), items.len());
            };
            thread::scope(|scope| scope.spawn(run).join()).unwrap();
        }
    }

    #[test]
    fn errors_and_panics_stop_work_on_the_calling_thread() {
        let run = || {
            let items = [1, 2, 3];
            let sink = |_, i| if i == 2 { Err("enough") } else { Ok(()) };
            assert_eq!(ordered_if(&at_most(0), &items, 2, |&i| i, sink), Err("enough"));
            let work = |&i: &i32| assert_ne!(i, 3);
            let end =
                catch_unwind(|| ordered_if(&at_most(0), &items, 2, work, |_, ()| Ok::<_, ()>(())));
            assert!(end.is_err());
        };
        thread::scope(|scope| scope.spawn(run).join()).unwrap();
    }

    #[test]
    fn pools_have_as_many_threads_as_the_system_allows() {
        for (permitted, expected) in [(0, 1), (1, 1), (2, 2), (5, 3)] {
            let run = || {
                let pool = pool_if(&at_most(permitted), 3).unwrap();
                assert_eq!(pool.current_num_threads(), expected);
                assert_eq!(pool.install(rayon::current_num_threads), expected);
                // A thread belongs to at most one pool.
                assert_eq!(permitted == 0, pool_if(&at_most(0), 3).is_none());
                assert_eq!(install(&None, || 7), 7);
            };
            thread::scope(|scope| scope.spawn(run).join()).unwrap();
        }
    }
}
