//! Frames from ffmpeg: pixels as PPM pictures on its stdout, each of which has its size;
//! the time of each as a line of the filter `metadata` on its stderr.

use std::io::{self, BufReader, Read};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

use dldl::Picture;

use crate::ffmpeg::Log;
use crate::{Ffmpeg, Source, VideoError};

/// Which frames to read. The default: all.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ReadOptions {
    /// At most this many frames per second, above 0: frames in between are skipped.
    pub fps: Option<f64>,
    /// Where to begin, in seconds.
    pub start: Option<f64>,
    /// How much to read, in seconds.
    pub duration: Option<f64>,
}

/// A frame, upright.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Its number among those that were read, from 0.
    pub index: u64,
    /// Seconds from the beginning of the video.
    pub time: f64,
    /// The pixels.
    pub picture: Picture,
}

/// How reading ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadSummary {
    /// The number of frames.
    pub frames: u64,
    /// How many errors ffmpeg reported: damaged frames, a file that ends too early.
    pub errors: usize,
    /// The first of them, in ffmpeg's words; empty if there is none.
    pub first_error: String,
}

/// Reads the frames of a video one after the other. Dropping it ends ffmpeg.
#[derive(Debug)]
pub struct FrameReader {
    name: String,
    child: Stopper,
    pixels: BufReader<ChildStdout>,
    times: Receiver<f64>,
    log: Option<JoinHandle<Log>>,
    duration: Arc<OnceLock<f64>>,
    /// The time that ffmpeg calls 0.
    start: f64,
    frames: u64,
    /// The time of the last frame, and between the last two.
    last: Option<[f64; 2]>,
    /// Whether ffmpeg has no more output.
    ended: bool,
}

/// The largest PPM header and side that are read.
const MAX_HEADER: usize = 64;
const MAX_SIDE: usize = 32_768;

impl FrameReader {
    /// Starts ffmpeg. Displays' rotations are applied, times are those of the video.
    ///
    /// # Errors
    /// [`VideoError::NoSuchFile`], or [`VideoError::CannotRun`].
    pub fn open(
        ffmpeg: &Ffmpeg,
        source: &Source,
        options: &ReadOptions,
    ) -> Result<Self, VideoError> {
        let mut command = ffmpeg.command();
        // One broken frame is an error, and so are many: they are counted, not fatal.
        command.args(["-loglevel", "repeat+level+info", "-max_error_rate", "1"]);
        source.add_to(&mut command, options)?;
        let mut filters = Vec::new();
        if let Some(fps) = options.fps {
            // Half a millisecond, since times are rounded.
            let pause = 1.0 / fps - 0.0005;
            filters.push(format!("select=isnan(prev_selected_t)+gte(t-prev_selected_t\\,{pause})"));
        }
        filters.push("metadata=mode=add:key=dldl:value=1".into());
        filters.push("metadata=mode=print:key=dldl".into());
        command.args(["-map", "0:v:0", "-vf", &filters.join(",")]);
        command.args([ffmpeg.passthrough(), "passthrough"]);
        command.args(["-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "pipe:1"]);
        let stdin = match source {
            Source::File(name) if name == "-" => Stdio::inherit(),
            _ => Stdio::null(),
        };
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = ffmpeg.spawn(command)?;
        let stdout = child.stdout.take().expect("stdout is a pipe");
        let stderr = child.stderr.take().expect("stderr is a pipe");
        let (sender, times) = channel();
        let duration = Arc::new(OnceLock::new());
        let of_file = Arc::clone(&duration);
        let log = move || Log::read(stderr, |line| facts(line, &sender, &of_file));
        Ok(Self {
            name: source.name(),
            child: Stopper(Arc::new(Mutex::new(child))),
            pixels: BufReader::with_capacity(1 << 18, stdout),
            times,
            log: Some(std::thread::spawn(log)),
            duration,
            start: options.start.unwrap_or(0.0),
            frames: 0,
            last: None,
            ended: false,
        })
    }

    /// The length of the whole video in seconds, once it is known; none for streams.
    pub fn duration(&self) -> Option<f64> {
        self.duration.get().copied()
    }

    /// What ends the reading from another thread.
    pub fn stopper(&self) -> Stopper {
        self.child.clone()
    }

    pub(crate) fn duration_cell(&self) -> Arc<OnceLock<f64>> {
        Arc::clone(&self.duration)
    }

    /// The next frame; none at the end. A frame that ends too early is the end.
    ///
    /// # Errors
    /// [`VideoError::Unreadable`] if there is no frame at all, [`VideoError::Protocol`] if
    /// the output is not a frame.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, VideoError> {
        let Some((width, height)) = self.header()? else { return self.end().map(|()| None) };
        let mut rgb = vec![0; 3 * width * height];
        if self.pixels.read_exact(&mut rgb).is_err() {
            self.ended = true;
            return self.end().map(|()| None);
        }
        let time = match self.times.recv() {
            Ok(time) if time.is_finite() => self.start + time,
            // Without a time: as far from the last one as that from the one before.
            _ => self.last.map_or(self.start, |[time, step]| time + step),
        };
        let step = self.last.map_or(0.04, |[last, _]| (time - last).max(0.0));
        self.last = Some([time, step]);
        let picture = Picture::new(width, height, rgb).expect("the size is that of the pixels");
        self.frames += 1;
        Ok(Some(Frame { index: self.frames - 1, time, picture }))
    }

    /// What there was. Ends ffmpeg if it is still running.
    pub fn finish(mut self) -> ReadSummary {
        let log = self.stop();
        ReadSummary { frames: self.frames, errors: log.errors, first_error: log.first }
    }

    /// The size in a PPM header: `P6`, width, height, 255; none at the end of the output.
    fn header(&mut self) -> Result<Option<(usize, usize)>, VideoError> {
        let mut text = Vec::new();
        let mut byte = [0];
        // Four words, each with one blank after it.
        while text.iter().filter(|b: &&u8| b.is_ascii_whitespace()).count() < 4 {
            match self.pixels.read_exact(&mut byte) {
                Ok(()) if text.len() < MAX_HEADER => text.push(byte[0]),
                Ok(()) => return Err(self.protocol("no frame of the format PPM")),
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                    self.ended = true;
                    return Ok(None);
                }
                Err(e) => return Err(self.protocol(&e.to_string())),
            }
        }
        let text = String::from_utf8_lossy(&text);
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        match words[..] {
            ["P6", width, height, "255"] => match (width.parse(), height.parse()) {
                (Ok(w @ 1..=MAX_SIDE), Ok(h @ 1..=MAX_SIDE)) => Ok(Some((w, h))),
                _ => Err(self.protocol(&format!("a frame of {width} x {height} pixels"))),
            },
            _ => Err(self.protocol("no frame of the format PPM")),
        }
    }

    fn protocol(&self, reason: &str) -> VideoError {
        VideoError::Protocol { input: self.name.clone(), reason: reason.to_owned() }
    }

    /// An error if there was no frame at all.
    fn end(&mut self) -> Result<(), VideoError> {
        if self.frames > 0 {
            return Ok(());
        }
        let log = self.stop();
        let reason = if log.errors == 0 { "it has no frames".into() } else { log.last };
        // ffmpeg repeats the name.
        let reason = reason.trim_start_matches(&format!("file:{}: ", self.name)).to_owned();
        Err(VideoError::Unreadable { input: self.name.clone(), reason })
    }

    /// Ends ffmpeg; its errors.
    fn stop(&mut self) -> Log {
        match self.ended {
            true => self.child.wait(),
            false => self.child.stop(),
        }
        self.log.take().and_then(|log| log.join().ok()).unwrap_or_default()
    }
}

impl Drop for FrameReader {
    fn drop(&mut self) {
        self.child.stop();
    }
}

/// Ends ffmpeg, and with it the frames.
#[derive(Clone, Debug)]
pub struct Stopper(Arc<Mutex<Child>>);

impl Stopper {
    /// Ends it now; the reader then finds the end of the video.
    pub fn stop(&self) {
        let mut child = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
    }

    fn wait(&self) {
        let _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).wait();
    }
}

/// Takes the time of a frame and the length of the file from a line of ffmpeg's.
fn facts(line: &str, times: &Sender<f64>, duration: &OnceLock<f64>) {
    if line.starts_with("[Parsed_metadata") {
        if let Some((_, time)) = line.split_once(" pts_time:") {
            let _ = times.send(time.trim().parse().unwrap_or(f64::NAN));
        }
    } else if let Some((_, rest)) = line.split_once("] ").filter(|(head, _)| *head == "[info")
        && let Some(text) = rest.trim_start().strip_prefix("Duration: ")
        && let Some(seconds) = text.split(',').next().and_then(clock)
    {
        let _ = duration.set(seconds);
    }
}

/// The seconds of `HH:MM:SS.ss`.
fn clock(text: &str) -> Option<f64> {
    let parts = text.split(':').map(|part| part.parse::<f64>().ok());
    parts.collect::<Option<Vec<f64>>>().map(|parts| parts.iter().fold(0.0, |s, p| 60.0 * s + p))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_the_duration_are_read_from_the_log() {
        let (sender, times) = channel();
        let duration = OnceLock::new();
        for line in [
            "[info]   Duration: 01:02:03.50, start: 0.000000, bitrate: 129 kb/s\n",
            "[info]     title           : x pts_time:7\n",
            "[Parsed_metadata_2 @ 0x55] [info] frame:0    pts:0       pts_time:0\n",
            "[Parsed_metadata_2 @ 0x55] [info] dldl=1\n",
            "[Parsed_metadata_2 @ 0x55] [info] frame:1    pts:1536    pts_time:0.12\n",
            "[Parsed_metadata_2 @ 0x55] [info] frame:2    pts:NOPTS    pts_time:NOPTS\n",
        ] {
            facts(line, &sender, &duration);
        }
        let times: Vec<f64> = times.try_iter().collect();
        assert!(times[..2] == [0.0, 0.12] && times[2].is_nan() && times.len() == 3, "{times:?}");
        assert_eq!(duration.get(), Some(&3723.5));
        facts("[info]   Duration: N/A, start: 0.0\n", &sender, &OnceLock::new());
        assert_eq!(clock("N/A"), None);
    }
}
