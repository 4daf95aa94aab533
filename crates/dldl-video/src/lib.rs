//! Ages in video. The program `ffmpeg` decodes and encodes through pipes, so that no codec
//! is linked ([`FrameReader`], [`VideoWriter`]). Faces are followed from frame to frame
//! ([`Tracker`]), and the label distributions of a person's frames are averaged, so that
//! the estimate settles instead of flickering ([`Analyzer`]).
//!
//! ```no_run
//! use dldl::Estimator;
//! use dldl_video::{Analyzer, AnalyzerParams, Ffmpeg, FrameReader, ReadOptions, Source};
//!
//! let estimator = Estimator::load(dldl::DEFAULT_MODEL)?;
//! let source = Source::parse("clip.mp4");
//! let mut frames = FrameReader::open(&Ffmpeg::find(None)?, &source, &ReadOptions::default())?;
//! let mut analyzer = Analyzer::new(&estimator, AnalyzerParams::default());
//! while let Some(frame) = frames.next_frame()? {
//!     analyzer.frame(&frame)?;
//! }
//! for person in analyzer.finish() {
//!     println!("person {}: {:.1} years", person.track, person.heads[0].value);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod analyze;
mod assignment;
mod error;
mod ffmpeg;
mod queue;
mod reader;
mod record;
mod source;
mod track;
mod writer;

pub use analyze::{Analyzer, AnalyzerParams, Best, Person, TrackedFace};
pub use error::VideoError;
pub use ffmpeg::Ffmpeg;
pub use queue::FrameQueue;
pub use reader::{Frame, FrameReader, ReadOptions, ReadSummary, Stopper};
pub use record::{BestFrameRecord, PersonRecord, face_record, frame_record};
pub use source::Source;
pub use track::{Detection, Expected, Tracked, Tracker, TrackerParams};
pub use writer::VideoWriter;
