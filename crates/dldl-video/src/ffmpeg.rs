//! The program ffmpeg: where it is, and what it says.

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::VideoError;

/// An ffmpeg that can be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ffmpeg {
    path: PathBuf,
    version: String,
}

impl Ffmpeg {
    /// Finds `ffmpeg` in `PATH`, or takes the given program, and runs it once.
    ///
    /// # Errors
    /// [`VideoError::NotInstalled`] if there is none, [`VideoError::CannotRun`] if it does
    /// not answer as ffmpeg does.
    pub fn find(path: Option<&Path>) -> Result<Self, VideoError> {
        let path = path.unwrap_or(Path::new("ffmpeg")).to_owned();
        let output = match Command::new(&path).arg("-version").stdin(Stdio::null()).output() {
            Ok(output) => output,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(VideoError::NotInstalled { path });
            }
            Err(source) => return Err(VideoError::CannotRun { path, source }),
        };
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text.strip_prefix("ffmpeg version ").and_then(|v| v.split(' ').next());
        match version {
            Some(version) => Ok(Self { path, version: version.to_owned() }),
            None => Err(VideoError::CannotRun { path, source: io::Error::other("is not ffmpeg") }),
        }
    }

    /// The version as the program says it, such as `5.1.9-0+deb12u1`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The option that keeps the frames and times as they are: renamed in version 5.1.
    pub(crate) fn passthrough(&self) -> &'static str {
        let mut numbers = self.version.split(|c: char| !c.is_ascii_digit());
        let mut number = || numbers.next().and_then(|n| n.parse::<u32>().ok());
        match (number(), number()) {
            (Some(major), Some(minor)) if (major, minor) < (5, 1) => "-vsync",
            // Without a number, it was built from the sources of a day: a new one.
            _ => "-fps_mode",
        }
    }

    /// A command of its own process group, so that Ctrl-C in the terminal reaches only this
    /// program, which then ends ffmpeg in an orderly way.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.args(["-hide_banner", "-nostats", "-nostdin"]);
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command
    }

    /// Starts a command of [`Self::command`].
    pub(crate) fn spawn(&self, mut command: Command) -> Result<Child, VideoError> {
        let path = || self.path.clone();
        command.spawn().map_err(|source| VideoError::CannotRun { path: path(), source })
    }
}

/// The errors that ffmpeg printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Log {
    /// How many lines.
    pub errors: usize,
    /// The first and the last of them.
    pub first: String,
    pub last: String,
}

impl Log {
    /// Takes the line if it is an error, as printed with `-loglevel level+...`.
    pub(crate) fn line(&mut self, line: &str) {
        let levels = ["[error] ", "[fatal] ", "[panic] "];
        let Some(at) = levels.iter().find_map(|level| Some(line.find(level)? + level.len())) else {
            return;
        };
        self.errors += 1;
        self.last = line[at..].trim().to_owned();
        if self.first.is_empty() {
            self.first.clone_from(&self.last);
        }
    }

    /// Reads all lines, which may not be UTF-8, to the end.
    pub(crate) fn read(stream: impl Read, mut other: impl FnMut(&str)) -> Self {
        let mut log = Self::default();
        let mut lines = BufReader::new(stream);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&line);
            log.line(&text);
            other(&text);
            line.clear();
        }
        log
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_version(version: &str) -> Ffmpeg {
        Ffmpeg { path: "ffmpeg".into(), version: version.to_owned() }
    }

    #[test]
    fn the_option_for_frames_as_they_are_depends_on_the_version() {
        for (version, option) in [
            ("4.4.2-0ubuntu0.22.04.1", "-vsync"),
            ("5.0.1", "-vsync"),
            ("5.1.9-0+deb12u1", "-fps_mode"),
            ("7.1", "-fps_mode"),
            ("10.0-static", "-fps_mode"),
            ("N-109468-gd39b34123d", "-fps_mode"),
        ] {
            assert_eq!(of_version(version).passthrough(), option, "{version}");
        }
    }

    #[test]
    fn programs_that_are_missing_or_others_are_refused() {
        let missing = Ffmpeg::find(Some(Path::new("/nowhere/ffmpeg"))).unwrap_err();
        assert!(matches!(missing, VideoError::NotInstalled { .. }));
        assert!(missing.to_string().contains("apt install ffmpeg"), "{missing}");
        if cfg!(unix) {
            let other = Ffmpeg::find(Some(Path::new("true"))).unwrap_err();
            assert!(matches!(other, VideoError::CannotRun { .. }), "{other}");
        }
    }

    #[test]
    fn errors_are_counted_and_the_first_and_last_kept() {
        let text = b"[info] Input #0\n[h264 @ 0x1] [error] bad \xff\n[fatal] moov not found\n";
        let mut others = 0;
        let log = Log::read(&text[..], |_| others += 1);
        assert_eq!((log.errors, others), (2, 3));
        assert!(log.first.starts_with("bad ") && log.last == "moov not found", "{log:?}");
    }
}
