//! Items made ahead of time by other threads, in order.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::{Builder, JoinHandle};

use crate::error::TrainError;

/// Iterates over items `0..count`, made by several threads, each some items ahead.
/// Thread t makes the items t, t + threads, ...; dropping the iterator ends them. If the
/// system allows no further thread, the items are made as they are asked for.
pub struct Prefetcher<T> {
    channels: VecDeque<Receiver<Result<T, TrainError>>>,
    threads: Vec<JoinHandle<()>>,
    /// The items without threads.
    inline: Option<Box<dyn Iterator<Item = Result<T, TrainError>>>>,
}

/// A thread's part of the items: the first, the distance to the next, and where they go.
type Part<T> = (usize, usize, SyncSender<Result<T, TrainError>>);

impl<T: Send + 'static> Prefetcher<T> {
    /// Starts up to `threads` threads, as many as the system allows, each with its own
    /// `make()`. A failed item is returned as an error, and its thread stops.
    pub(crate) fn start<F, G>(count: usize, threads: usize, prefetch: usize, make: G) -> Self
    where
        G: Fn() -> F,
        F: FnMut(usize) -> Result<T, TrainError> + Send + 'static,
    {
        Self::start_if(|| Ok(()), count, threads, prefetch, make)
    }

    /// The same with a `permit` for each thread, by which tests refuse some.
    fn start_if<F, G>(
        permit: impl Fn() -> io::Result<()>,
        count: usize,
        threads: usize,
        prefetch: usize,
        make: G,
    ) -> Self
    where
        G: Fn() -> F,
        F: FnMut(usize) -> Result<T, TrainError> + Send + 'static,
    {
        // The threads learn their parts once it is known how many there are.
        let create = |_| {
            permit().ok()?;
            let (give, take) = channel::<Part<T>>();
            let mut make = make();
            let run = move || {
                let Ok((first, step, sender)) = take.recv() else { return };
                for i in (first..count).step_by(step) {
                    let item = make(i);
                    let failed = item.is_err();
                    if sender.send(item).is_err() || failed {
                        return;
                    }
                }
            };
            Some((give, Builder::new().spawn(run).ok()?))
        };
        let created: Vec<_> = (0..threads).map_while(create).collect();
        let step = created.len();
        let mut prefetcher = Self { channels: VecDeque::new(), threads: Vec::new(), inline: None };
        for (first, (give, thread)) in created.into_iter().enumerate() {
            let (sender, receiver) = sync_channel(prefetch);
            // A thread takes its part before anything in it can fail.
            let _ = give.send((first, step, sender));
            prefetcher.channels.push_back(receiver);
            prefetcher.threads.push(thread);
        }
        if step == 0 {
            prefetcher.inline = Some(Box::new((0..count).map(make())));
        }
        prefetcher
    }
}

impl<T> Iterator for Prefetcher<T> {
    type Item = Result<T, TrainError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(items) = &mut self.inline {
            return items.next();
        }
        let channel = self.channels.pop_front()?;
        let item = channel.recv();
        self.channels.push_back(channel);
        match item {
            Ok(item) => Some(item),
            Err(_) => {
                // The thread is done, or it panicked.
                self.channels.clear();
                let mut panicked = false;
                for thread in self.threads.drain(..) {
                    panicked |= thread.join().is_err();
                }
                panicked.then(|| Err(TrainError::LoaderPanicked))
            }
        }
    }
}

impl<T> Drop for Prefetcher<T> {
    fn drop(&mut self) {
        self.channels.clear();
        for thread in self.threads.drain(..) {
            // A panic was reported by `next`, or nobody waits for the item.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn items_are_returned_in_order() {
        for threads in [1, 3] {
            let make = || {
                |i: usize| {
                    // Later items are finished sooner.
                    std::thread::sleep(Duration::from_millis(2 * (7 - i.min(7) as u64)));
                    Ok(i)
                }
            };
            let items: Vec<usize> =
                Prefetcher::start(10, threads, 2, make).map(|item| item.unwrap()).collect();
            assert_eq!(items, (0..10).collect::<Vec<_>>());
        }
    }

    #[test]
    fn items_are_made_by_as_many_threads_as_the_system_allows() {
        for permitted in 0..4 {
            let left = std::cell::Cell::new(permitted);
            let permit = || {
                left.set(left.get() - 1);
                if left.get() < 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
            };
            let items = Prefetcher::start_if(permit, 10, 3, 2, || Ok);
            assert_eq!(items.threads.len(), permitted as usize);
            let items: Vec<usize> = items.map(|item| item.unwrap()).collect();
            assert_eq!(items, (0..10).collect::<Vec<_>>());
        }
    }

    #[test]
    fn failures_are_returned_in_order_and_panics_are_reported() {
        let make = || {
            |i: usize| match i {
                2 => Err(TrainError::Config("two".into())),
                _ => Ok(i),
            }
        };
        let mut items = Prefetcher::start(5, 2, 1, make);
        assert_eq!(items.next().unwrap().unwrap(), 0);
        assert_eq!(items.next().unwrap().unwrap(), 1);
        assert!(items.next().unwrap().unwrap_err().to_string().contains("two"));

        let make = || |i: usize| if i == 1 { panic!("on purpose") } else { Ok(i) };
        let mut items = Prefetcher::start(3, 1, 1, make);
        assert_eq!(items.next().unwrap().unwrap(), 0);
        assert!(items.next().unwrap().unwrap_err().to_string().contains("panicked"));
        assert!(items.next().is_none());
    }

    #[test]
    fn dropping_it_early_ends_the_threads() {
        let mut items = Prefetcher::start(usize::MAX, 2, 1, || Ok);
        assert_eq!(items.next().unwrap().unwrap(), 0);
        drop(items); // would not return if a thread continued
    }
}
