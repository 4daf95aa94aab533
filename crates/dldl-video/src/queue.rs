//! Reading ahead: while a frame is analyzed, the next one is read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use crate::{Frame, FrameReader, ReadSummary, VideoError};

/// How many frames wait at most: they are large.
const AHEAD: usize = 2;

/// The frames of a [`FrameReader`], read on a thread of its own. Dropping it ends ffmpeg.
#[derive(Debug)]
pub struct FrameQueue {
    frames: Receiver<Result<Frame, VideoError>>,
    thread: JoinHandle<ReadSummary>,
    duration: Arc<OnceLock<f64>>,
    skipped: Arc<AtomicU64>,
}

impl FrameQueue {
    /// Starts reading. Frames of a live source ([`Source::is_live`](crate::Source::is_live))
    /// are skipped while the last one is still waiting; other sources wait themselves.
    pub fn start(mut reader: FrameReader, live: bool) -> Self {
        let (sender, frames) = sync_channel(if live { 1 } else { AHEAD });
        let duration = reader.duration_cell();
        let skipped = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&skipped);
        let read = move || {
            while let Some(frame) = reader.next_frame().transpose() {
                let failed = frame.is_err();
                let sent = match live && !failed {
                    true => sender.try_send(frame),
                    false => sender.send(frame).map_err(|e| TrySendError::Disconnected(e.0)),
                };
                match sent {
                    Err(TrySendError::Full(_)) => _ = count.fetch_add(1, Ordering::Relaxed),
                    Err(TrySendError::Disconnected(_)) => break,
                    Ok(()) if failed => break,
                    Ok(()) => {}
                }
            }
            reader.finish()
        };
        Self { frames, thread: std::thread::spawn(read), duration, skipped }
    }

    /// The next frame; none at the end.
    ///
    /// # Errors
    /// As [`FrameReader::next_frame`].
    pub fn next_frame(&self) -> Result<Option<Frame>, VideoError> {
        self.frames.recv().ok().transpose()
    }

    /// The length of the whole video in seconds, once it is known; none for streams.
    pub fn duration(&self) -> Option<f64> {
        self.duration.get().copied()
    }

    /// How many frames of a live source were skipped.
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    /// Ends reading; what there was.
    pub fn finish(self) -> ReadSummary {
        drop(self.frames);
        self.thread.join().unwrap_or_default()
    }
}
