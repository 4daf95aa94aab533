//! A thread pool that survives `fork`: the threads of the parent do not exist in the child,
//! which would wait for them forever.

use std::sync::{Arc, Mutex, PoisonError};

use dldl::parallel;

type ThreadPool = Arc<dyn Fn(&mut (dyn FnMut() + Send)) + Send + Sync>;

/// A pool of this process.
pub struct Pool {
    threads: usize,
    made: Mutex<Option<(u32, ThreadPool)>>,
}

impl Pool {
    /// A pool of this many threads (0: one per processor), which are started when needed.
    pub fn new(threads: usize) -> Self {
        Self { threads, made: Mutex::new(None) }
    }

    /// The number of threads that was asked for, 0 for one per processor.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Runs `work` in the pool.
    pub fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        let pool = self.pool();
        let (mut work, mut result) = (Some(work), None);
        pool(&mut || result = work.take().map(|work| work()));
        result.expect("the pool has run the work")
    }

    fn pool(&self) -> ThreadPool {
        let process = std::process::id();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        match &*made {
            Some((maker, pool)) if *maker == process => Arc::clone(pool),
            _ => {
                // That of a parent process is not ended: it has no threads here.
                std::mem::forget(made.take());
                let pool = parallel::pool(self.threads);
                let pool: ThreadPool = Arc::new(move |work| parallel::install(&pool, work));
                *made = Some((process, Arc::clone(&pool)));
                pool
            }
        }
    }
}
