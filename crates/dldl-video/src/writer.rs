//! Frames into a video file by ffmpeg. They are sent in the simplest container that has
//! times, IVF, as pixels in planes (I420).

use std::ffi::OsString;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::thread::JoinHandle;

use crate::ffmpeg::Log;
use crate::{Ffmpeg, ReadOptions, Source, VideoError};

/// Writes frames into a video file; the file's extension decides the format.
///
/// Until [`finish`](Self::finish) the video is in a file of its own next to it
/// (`NAME.part.EXT`). That is a whole video as well, however this program ends.
#[derive(Debug)]
pub struct VideoWriter {
    path: PathBuf,
    part: PathBuf,
    child: Child,
    /// None once ffmpeg has been told that there is no more.
    frames: Option<BufWriter<ChildStdin>>,
    log: Option<JoinHandle<Log>>,
    size: [usize; 2],
    planes: Vec<u8>,
    /// Milliseconds of the first and the last frame.
    times: Option<[u64; 2]>,
}

/// Ticks per second.
const TICKS: u32 = 1000;

impl VideoWriter {
    /// Starts ffmpeg for frames of this size (width and height), with the sound of a source
    /// that was read with these options, if it has any.
    ///
    /// # Errors
    /// [`VideoError::CannotRun`], [`VideoError::NoSuchFile`] for the source, or
    /// [`VideoError::Unwritable`].
    pub fn create(
        ffmpeg: &Ffmpeg,
        path: &Path,
        size: [usize; 2],
        sound: Option<(&Source, &ReadOptions)>,
    ) -> Result<Self, VideoError> {
        let part = part_of(path)?;
        let mut command = ffmpeg.command();
        command.args(["-loglevel", "repeat+level+error", "-y", "-f", "ivf", "-i", "pipe:0"]);
        if let Some((source, options)) = sound {
            source.add_to(&mut command, options)?;
            // As long as the pictures, whatever the sound's own length.
            command.args(["-map", "0:v", "-map", "1:a?", "-af", "apad", "-shortest"]);
        }
        // Most encoders need even sides; the colors are as `i420` makes them.
        let filters = "crop=trunc(iw/2)*2:trunc(ih/2)*2,\
                       setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709";
        command.args(["-vf", filters, "-pix_fmt", "yuv420p"]);
        command.args([ffmpeg.passthrough(), "passthrough", "-enc_time_base:v", "1:1000"]);
        command.arg("file:".to_owned() + &part.to_string_lossy());
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = ffmpeg.spawn(command)?;
        let stdin = child.stdin.take().expect("stdin is a pipe");
        let stderr = child.stderr.take().expect("stderr is a pipe");
        let log = std::thread::spawn(move || Log::read(stderr, |_| ()));
        let mut writer = Self {
            path: path.to_owned(),
            part,
            child,
            frames: Some(BufWriter::with_capacity(1 << 18, stdin)),
            log: Some(log),
            size,
            planes: Vec::new(),
            times: None,
        };
        writer.send(&ivf_header(size))?;
        Ok(writer)
    }

    /// Writes a frame: `[height][width][3]` bytes of RGB, at a time in seconds. Frames of
    /// another size or not after the last one in time are left out.
    ///
    /// # Errors
    /// [`VideoError::Unwritable`].
    ///
    /// # Panics
    /// If `rgb` is not as long as the size says.
    pub fn write(&mut self, time: f64, size: [usize; 2], rgb: &[u8]) -> Result<(), VideoError> {
        assert_eq!(rgb.len(), 3 * size[0] * size[1]);
        let ticks = (time.max(0.0) * f64::from(TICKS)).round() as u64;
        if size != self.size || self.times.is_some_and(|[_, last]| ticks <= last) {
            return Ok(());
        }
        let first = self.times.map_or(ticks, |[first, _]| first);
        self.times = Some([first, ticks]);
        let mut planes = std::mem::take(&mut self.planes);
        i420(size, rgb, &mut planes);
        let mut header = [0; 12];
        header[..4].copy_from_slice(&(planes.len() as u32).to_le_bytes());
        header[4..].copy_from_slice(&(ticks - first).to_le_bytes());
        self.send(&header)?;
        self.send(&planes)?;
        self.planes = planes;
        Ok(())
    }

    /// Ends the video and gives the file its name.
    ///
    /// # Errors
    /// [`VideoError::Unwritable`]; a file of that name stays as it was.
    pub fn finish(mut self) -> Result<(), VideoError> {
        let flushed = self.frames.as_mut().map_or(Ok(()), Write::flush);
        self.frames = None;
        let status = self.child.wait();
        let log = self.log.take().and_then(|log| log.join().ok()).unwrap_or_default();
        if !status.is_ok_and(|status| status.success()) || flushed.is_err() {
            return Err(self.failed(log));
        }
        let named = std::fs::rename(&self.part, &self.path);
        named.map_err(|e| self.unwritable(e.to_string()))
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), VideoError> {
        let sent = self.frames.as_mut().expect("not finished").write_all(bytes);
        if sent.is_ok() {
            return Ok(());
        }
        // ffmpeg has ended before its time, and said why.
        let _ = self.child.wait();
        let log = self.log.take().and_then(|log| log.join().ok()).unwrap_or_default();
        Err(self.failed(log))
    }

    fn failed(&mut self, log: Log) -> VideoError {
        let _ = std::fs::remove_file(&self.part);
        let reason = if log.errors == 0 { "ffmpeg ended early".into() } else { log.first };
        self.unwritable(reason)
    }

    fn unwritable(&self, reason: String) -> VideoError {
        VideoError::Unwritable { path: self.path.clone(), reason }
    }
}

impl Drop for VideoWriter {
    fn drop(&mut self) {
        // Without more input, ffmpeg ends the file.
        if let Some(mut frames) = self.frames.take() {
            let _ = frames.flush();
        }
        let _ = self.child.wait();
    }
}

/// `NAME.part.EXT`, in an existing folder.
fn part_of(path: &Path) -> Result<PathBuf, VideoError> {
    let unwritable =
        |reason: &str| VideoError::Unwritable { path: path.to_owned(), reason: reason.into() };
    let (Some(stem), Some(extension)) = (path.file_stem(), path.extension()) else {
        return Err(unwritable("expected a name with an extension, such as out.mp4"));
    };
    if path.is_dir() {
        return Err(unwritable("is a folder"));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if folder.is_some_and(|folder| !folder.is_dir()) {
        return Err(unwritable("its folder does not exist"));
    }
    let name: OsString = [stem, ".part.".as_ref(), extension].into_iter().collect();
    Ok(path.with_file_name(name))
}

/// The 32 bytes that begin an IVF file.
fn ivf_header([width, height]: [usize; 2]) -> Vec<u8> {
    let mut header = b"DKIF\0\0\x20\0I420".to_vec();
    header.extend((width as u16).to_le_bytes());
    header.extend((height as u16).to_le_bytes());
    // Ticks per second as a fraction; the number of frames is unknown.
    for number in [TICKS, 1, 0, 0] {
        header.extend(number.to_le_bytes());
    }
    header
}

/// The planes Y, U, V of ITU-R BT.709 in video range; U and V of the mean color of each two
/// by two pixels. In integers, scaled by 2^16.
fn i420([width, height]: [usize; 2], rgb: &[u8], planes: &mut Vec<u8>) {
    planes.clear();
    let weighted = |[r, g, b]: [i32; 3], weights: [i32; 3], offset: i32| {
        let sum = r * weights[0] + g * weights[1] + b * weights[2];
        ((sum + (1 << 15)) >> 16).saturating_add(offset) as u8
    };
    let (pixels, _) = rgb.as_chunks::<3>();
    let luma = |p: &[u8; 3]| weighted(p.map(i32::from), [11_966, 40_254, 4_064], 16);
    planes.extend(pixels.iter().map(luma));
    let columns = width.div_ceil(2);
    let mut row = vec![[0; 3]; columns];
    let mut second = Vec::with_capacity(columns * height.div_ceil(2));
    for y in (0..height).step_by(2) {
        // The last column and row stand for their missing neighbors.
        let lines = [y, (y + 1).min(height - 1)].map(|y| &pixels[y * width..][..width]);
        for (x, mean) in row.iter_mut().enumerate() {
            let (left, right) = (2 * x, (2 * x + 1).min(width - 1));
            let four = [lines[0][left], lines[0][right], lines[1][left], lines[1][right]];
            *mean = [0, 1, 2].map(|c| (four.iter().map(|p| i32::from(p[c])).sum::<i32>() + 2) / 4);
        }
        planes.extend(row.iter().map(|p| weighted(*p, [-6_596, -22_189, 28_784], 128)));
        second.extend(row.iter().map(|p| weighted(*p, [28_784, -26_145, -2_639], 128)));
    }
    planes.append(&mut second);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colors_are_those_of_bt_709() {
        // (color, Y, U, V) as in the recommendation, rounded.
        for (rgb, yuv) in [
            ([0, 0, 0], [16, 128, 128]),
            ([255, 255, 255], [235, 128, 128]),
            ([255, 0, 0], [63, 102, 240]),
            ([0, 255, 0], [173, 42, 26]),
            ([0, 0, 255], [32, 240, 118]),
        ] {
            let mut planes = Vec::new();
            i420([3, 3], &rgb.repeat(9), &mut planes);
            assert_eq!(planes.len(), 9 + 4 + 4);
            assert_eq!([planes[0], planes[9], planes[13]], yuv, "{rgb:?}");
            assert!(planes[..9].iter().all(|&y| y == yuv[0]));
        }
    }

    #[test]
    fn files_need_an_extension_and_a_folder() {
        for path in ["out", "nowhere/out.mp4", "."] {
            assert!(part_of(Path::new(path)).is_err(), "{path}");
        }
        assert_eq!(part_of(Path::new("out.mp4")).unwrap(), Path::new("out.part.mp4"));
    }

    #[test]
    fn the_header_is_that_of_ivf() {
        let header = ivf_header([640, 360]);
        assert_eq!((header.len(), &header[8..12]), (32, &b"I420"[..]));
        assert_eq!(header[12..16], [128, 2, 104, 1]);
    }
}
