//! Items made ahead of time by other threads and handed over in their order.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use crate::error::TrainError;

/// Items `0..count` made in order by several threads, each some items ahead.
/// Thread t makes the items t, t + threads, ...; dropping it ends them.
pub struct Ahead<T> {
    channels: VecDeque<Receiver<Result<T, TrainError>>>,
    threads: Vec<JoinHandle<()>>,
}

impl<T: Send + 'static> Ahead<T> {
    /// Starts the threads, each with its own `make()`. An item that fails is
    /// handed over as an error, and its thread stops.
    pub(crate) fn start<F, G>(count: usize, threads: usize, prefetch: usize, make: G) -> Self
    where
        G: Fn() -> F,
        F: FnMut(usize) -> Result<T, TrainError> + Send + 'static,
    {
        let mut ahead = Self { channels: VecDeque::new(), threads: Vec::new() };
        for t in 0..threads {
            let (sender, receiver) = sync_channel(prefetch);
            let mut make = make();
            ahead.channels.push_back(receiver);
            ahead.threads.push(std::thread::spawn(move || {
                for i in (t..count).step_by(threads) {
                    let item = make(i);
                    let failed = item.is_err();
                    if sender.send(item).is_err() || failed {
                        return;
                    }
                }
            }));
        }
        ahead
    }
}

impl<T> Iterator for Ahead<T> {
    type Item = Result<T, TrainError>;

    fn next(&mut self) -> Option<Self::Item> {
        let channel = self.channels.pop_front()?;
        let item = channel.recv();
        self.channels.push_back(channel);
        match item {
            Ok(item) => Some(item),
            Err(_) => {
                // The thread is done, or it died: then its panic is ours.
                self.channels.clear();
                let mut panicked = false;
                for thread in self.threads.drain(..) {
                    panicked |= thread.join().is_err();
                }
                panicked.then(|| Err(TrainError::Data("a loader thread panicked".into())))
            }
        }
    }
}

impl<T> Drop for Ahead<T> {
    fn drop(&mut self) {
        self.channels.clear();
        for thread in self.threads.drain(..) {
            // A panic has been reported by `next` or is of no interest now.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn items_come_in_order_whoever_makes_them() {
        for threads in [1, 3] {
            let make = || {
                |i: usize| {
                    // Later items are done sooner.
                    std::thread::sleep(Duration::from_millis(2 * (7 - i.min(7) as u64)));
                    Ok(i)
                }
            };
            let items: Vec<usize> =
                Ahead::start(10, threads, 2, make).map(|item| item.unwrap()).collect();
            assert_eq!(items, (0..10).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_failure_comes_at_its_place_and_a_panic_is_told() {
        let make = || {
            |i: usize| match i {
                2 => Err(TrainError::Data("two".into())),
                _ => Ok(i),
            }
        };
        let mut ahead = Ahead::start(5, 2, 1, make);
        assert_eq!(ahead.next().unwrap().unwrap(), 0);
        assert_eq!(ahead.next().unwrap().unwrap(), 1);
        assert!(ahead.next().unwrap().unwrap_err().to_string().contains("two"));

        let make = || |i: usize| if i == 1 { panic!("on purpose") } else { Ok(i) };
        let mut ahead = Ahead::start(3, 1, 1, make);
        assert_eq!(ahead.next().unwrap().unwrap(), 0);
        assert!(ahead.next().unwrap().unwrap_err().to_string().contains("panicked"));
        assert!(ahead.next().is_none());
    }

    #[test]
    fn leaving_early_ends_the_threads() {
        let mut ahead = Ahead::start(usize::MAX, 2, 1, || Ok);
        assert_eq!(ahead.next().unwrap().unwrap(), 0);
        drop(ahead); // would not return if a thread went on
    }
}
