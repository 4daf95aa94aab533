//! Where frames come from.

use std::path::Path;
use std::process::Command;

use crate::{ReadOptions, VideoError};

/// A file, a stream or a camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file or stdin (`-`), read as fast as frames are taken.
    File(String),
    /// An address such as `rtsp://` or `http://`.
    Address(String),
    /// A camera: its number, or on Windows its name.
    Camera(String),
}

impl Source {
    /// A file, or an address if there is `://` in the text and no such file.
    pub fn parse(text: &str) -> Self {
        match text.contains("://") && !Path::new(text).exists() {
            true => Self::Address(text.to_owned()),
            false => Self::File(text.to_owned()),
        }
    }

    /// The source as it was given.
    pub fn name(&self) -> String {
        match self {
            Self::File(name) | Self::Address(name) => name.clone(),
            Self::Camera(camera) => format!("camera {camera}"),
        }
    }

    /// Whether frames come at their own pace: those that nobody takes in time are lost.
    pub fn is_live(&self) -> bool {
        match self {
            Self::File(_) => false,
            Self::Address(address) => {
                let scheme = address.split("://").next().unwrap_or_default();
                ["rtsp", "rtsps", "rtmp", "rtmps", "rtp", "srt", "udp", "tcp"].contains(&scheme)
            }
            Self::Camera(_) => true,
        }
    }

    /// Adds the source as an input of ffmpeg.
    ///
    /// # Errors
    /// [`VideoError::NoSuchFile`].
    pub(crate) fn add_to(
        &self,
        command: &mut Command,
        options: &ReadOptions,
    ) -> Result<(), VideoError> {
        if let Some(start) = options.start {
            command.args(["-ss", &start.to_string()]);
        }
        if let Some(duration) = options.duration {
            command.args(["-t", &duration.to_string()]);
        }
        match self {
            Self::File(name) if name == "-" => command.args(["-i", "pipe:0"]),
            // With the protocol, a colon in the name is just a character.
            Self::File(name) if Path::new(name).exists() => {
                command.args(["-i", &format!("file:{name}")])
            }
            Self::File(name) => return Err(VideoError::NoSuchFile { input: name.clone() }),
            Self::Address(address) => command.args(["-i", address]),
            Self::Camera(camera) if cfg!(target_os = "macos") => {
                let input = format!("{camera}:none");
                command.args(["-f", "avfoundation", "-framerate", "30", "-i", &input])
            }
            Self::Camera(camera) if cfg!(windows) => {
                command.args(["-f", "dshow", "-i", &format!("video={camera}")])
            }
            Self::Camera(camera) => {
                let device = match camera.parse::<u32>() {
                    Ok(number) => format!("/dev/video{number}"),
                    Err(_) => camera.clone(),
                };
                command.args(["-f", "v4l2", "-i", &device])
            }
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_files() {
        assert_eq!(Source::parse("a:b.mp4"), Source::File("a:b.mp4".into()));
        assert!(!Source::parse("http://example.org/a.mp4").is_live());
        assert!(Source::parse("rtsp://10.0.0.7/stream").is_live());
        assert!(!Source::parse("-").is_live());
        assert_eq!(Source::Camera("0".into()).name(), "camera 0");
    }
}
