//! The queue of pictures and the threads that estimate them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dldl::{Error, Estimator, PictureRecord, parallel};
use dldl_face::{DecodeOptions, decode_with};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::metrics::{Metrics, Stage};
use crate::parameters::Parameters;
use crate::problem::Problem;

/// A picture to be estimated.
struct Job {
    name: String,
    bytes: Bytes,
    parameters: Arc<Parameters>,
    queued: Instant,
    deadline: Instant,
    reply: oneshot::Sender<Result<PictureRecord, Problem>>,
    /// A place in the queue, free again when the job is done.
    place: OwnedSemaphorePermit,
}

/// A bounded queue. Its threads end after it is closed and what is in it is done.
pub(crate) struct Queue {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    places: Arc<Semaphore>,
    capacity: usize,
}

/// A reservation of places.
pub(crate) struct Places(OwnedSemaphorePermit);

/// The answer to a picture, when it is ready.
pub(crate) type Answer = oneshot::Receiver<Result<PictureRecord, Problem>>;

impl Queue {
    /// Starts `threads` threads, and lets `waiting` pictures wait for them.
    ///
    /// # Errors
    /// The system refuses to create the first thread. With fewer than asked for, the queue
    /// works.
    pub fn start(
        estimator: Arc<Estimator>,
        decode: DecodeOptions,
        metrics: Arc<Metrics>,
        threads: usize,
        waiting: usize,
    ) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel::<Job>();
        let receiver = Arc::new(Mutex::new(receiver));
        let mut started = 0;
        for i in 0..parallel::threads(threads) {
            let receiver = receiver.clone();
            let worker = Worker { estimator: estimator.clone(), decode, metrics: metrics.clone() };
            let thread = thread::Builder::new().name(format!("estimate-{i}"));
            match thread.spawn(move || worker.run(&receiver)) {
                Ok(_) => started += 1,
                Err(e) if started == 0 => return Err(e),
                Err(_) => break,
            }
        }
        let capacity = started + waiting;
        let places = Arc::new(Semaphore::new(capacity));
        Ok(Self { jobs: Mutex::new(Some(sender)), places, capacity })
    }

    /// The most pictures that can be in the queue or in progress.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The number of pictures in the queue or in progress.
    pub fn depth(&self) -> usize {
        self.capacity - self.places.available_permits()
    }

    /// Whether there is no place.
    pub fn is_full(&self) -> bool {
        self.places.available_permits() == 0
    }

    /// Reserves places for pictures.
    ///
    /// # Errors
    /// If there are not so many, now or ever.
    pub fn reserve(&self, pictures: usize) -> Result<Places, Problem> {
        if pictures > self.capacity {
            return Err(Problem::too_many_pictures(pictures, self.capacity));
        }
        let places = self.places.clone().try_acquire_many_owned(pictures as u32);
        places.map(Places).map_err(|_| Problem::busy())
    }

    /// Puts a picture into one of the reserved places.
    ///
    /// # Errors
    /// The queue is closed.
    pub fn push(
        &self,
        places: &mut Places,
        name: String,
        bytes: Bytes,
        parameters: Arc<Parameters>,
        deadline: Instant,
    ) -> Result<Answer, Problem> {
        let (reply, answer) = oneshot::channel();
        let place = places.0.split(1).expect("a place for each picture");
        let queued = Instant::now();
        let job = Job { name, bytes, parameters, queued, deadline, reply, place };
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = jobs.as_ref().ok_or_else(Problem::stopping)?;
        sender.send(job).map_err(|_| Problem::internal("no thread is left"))?;
        Ok(answer)
    }

    /// Accepts no more pictures.
    pub fn close(&self) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// What a thread needs.
struct Worker {
    estimator: Arc<Estimator>,
    decode: DecodeOptions,
    metrics: Arc<Metrics>,
}

impl Worker {
    fn run(&self, jobs: &Mutex<mpsc::Receiver<Job>>) {
        // One thread for each picture: several pictures share the processor better than the
        // faces of one do.
        let pool = parallel::pool(1);
        loop {
            let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(job) = job else { return };
            self.metrics.stage(Stage::Queue, job.queued.elapsed());
            // The client has gone, or is told that time is up.
            if job.reply.is_closed() || Instant::now() >= job.deadline {
                continue;
            }
            let work = || parallel::install(&pool, || self.estimate(&job));
            let result = catch_unwind(AssertUnwindSafe(work));
            let result = result.unwrap_or_else(|_| {
                Err(Problem::internal("the estimate failed: this is a fault of the service"))
            });
            self.metrics.picture(&result);
            // The client may send the next picture as soon as it has the answer.
            let Job { reply, place, .. } = job;
            drop(place);
            let _ = reply.send(result);
        }
    }

    fn estimate(&self, job: &Job) -> Result<PictureRecord, Problem> {
        let Parameters { options, task } = &*job.parameters;
        let problem = |e: Error| Problem::of(&e);
        let mut clock = Clock(Instant::now());
        let picture = decode_with(&job.bytes, &self.decode).map_err(|e| problem(e.into()))?;
        self.metrics.stage(Stage::Decode, clock.lap());
        let faces = self.estimator.detect(&picture);
        self.metrics.stage(Stage::Detect, clock.lap());
        let faces = self.estimator.estimate_faces(&picture, &faces).map_err(problem)?;
        self.metrics.stage(Stage::Estimate, clock.lap());
        let model = &self.estimator.engine().info().name;
        let mut record = PictureRecord::new(job.name.clone(), model, &picture, &faces, options);
        if let Some(task) = task {
            for face in &mut record.faces {
                face.keep_only(*task);
            }
        }
        Ok(record)
    }
}

/// Measures one step after the other.
struct Clock(Instant);

impl Clock {
    fn lap(&mut self) -> Duration {
        let now = Instant::now();
        now - std::mem::replace(&mut self.0, now)
    }
}
