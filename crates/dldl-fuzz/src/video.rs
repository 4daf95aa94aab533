//! What the program ffmpeg says: frames and times, from a program that says anything.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::OnceLock;

use dldl_video::{Ffmpeg, FrameReader, ReadOptions, Source};
use tempfile::TempDir;

struct Fake {
    folder: TempDir,
    program: Ffmpeg,
}

/// A program in the place of ffmpeg, which prints two files.
fn fake() -> &'static Fake {
    static FAKE: OnceLock<Fake> = OnceLock::new();
    FAKE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("there is a folder for temporary files");
        let path: PathBuf = folder.path().join("ffmpeg");
        let text = format!(
            "#!/bin/sh\n[ \"$1\" = -version ] && echo 'ffmpeg version 7.0 fake' && exit\n\
             cat {0}/log >&2\ncat {0}/frames\n",
            folder.path().display()
        );
        fs::write(&path, text).expect("the folder can be written");
        let all = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&path, all).expect("the folder can be written");
        let program = Ffmpeg::find(Some(&path)).expect("it answers as ffmpeg does");
        Fake { folder, program }
    })
}

/// The log before a line of dashes, then the frames.
pub(crate) fn pipe(bytes: &[u8]) {
    let dashes = bytes.windows(5).position(|line| line == b"\n---\n");
    let (log, frames) = match dashes {
        Some(at) => (&bytes[..at], &bytes[at + 5..]),
        None => (&[][..], bytes),
    };
    let Fake { folder, program } = fake();
    fs::write(folder.path().join("log"), log).expect("the folder can be written");
    fs::write(folder.path().join("frames"), frames).expect("the folder can be written");
    let source = Source::parse("clip.mp4");
    // There has to be a file; nothing of it is read.
    let source = match source {
        Source::File(_) => Source::File(folder.path().join("log").to_string_lossy().into_owned()),
        other => other,
    };
    let reader = FrameReader::open(program, &source, &ReadOptions::default());
    let mut reader = reader.expect("the program can be run");
    while let Ok(Some(frame)) = reader.next_frame() {
        assert!(frame.time.is_finite(), "{}", frame.time);
    }
    reader.finish();
}
