//! Reading and writing video through the program ffmpeg. The clips are written by the tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use dldl_video::{
    Ffmpeg, Frame, FrameQueue, FrameReader, ReadOptions, ReadSummary, Source, VideoError,
    VideoWriter,
};
use tempfile::TempDir;

/// The program and a folder; none where the program is missing.
fn setup() -> Option<(Ffmpeg, PathBuf, TempDir)> {
    let program = dldl_testdata::ffmpeg()?;
    let ffmpeg = Ffmpeg::find(Some(&program)).unwrap();
    Some((ffmpeg, program, tempfile::tempdir().unwrap()))
}

/// Times that no constant rate has.
const TIMES: [f64; 8] = [0.0, 0.04, 0.12, 0.16, 0.5, 0.533, 0.8, 1.0];
const SIZE: [usize; 2] = [65, 49];

/// The color of a frame.
fn color(i: usize) -> [u8; 3] {
    [(30 * i) as u8, 200 - (20 * i) as u8, 90]
}

/// Writes frames of one color each at `TIMES`.
fn clip(ffmpeg: &Ffmpeg, path: &Path) {
    let mut writer = VideoWriter::create(ffmpeg, path, SIZE, None).unwrap();
    for (i, time) in TIMES.into_iter().enumerate() {
        // Times begin anywhere.
        writer.write(3.0 + time, SIZE, &color(i).repeat(SIZE[0] * SIZE[1])).unwrap();
    }
    writer.finish().unwrap();
}

fn read(ffmpeg: &Ffmpeg, path: &Path, options: &ReadOptions) -> (Vec<Frame>, ReadSummary) {
    let source = Source::parse(path.to_str().unwrap());
    let mut reader = FrameReader::open(ffmpeg, &source, options).unwrap();
    let mut frames = Vec::new();
    while let Some(frame) = reader.next_frame().unwrap() {
        frames.push(frame);
    }
    (frames, reader.finish())
}

fn times(frames: &[Frame]) -> Vec<f64> {
    frames.iter().map(|frame| (frame.time * 1e3).round() / 1e3).collect()
}

#[test]
fn frames_keep_their_times_and_colors() {
    let Some((ffmpeg, _, dir)) = setup() else { return };
    // A colon in the name is no protocol.
    let path = dir.path().join("a: b.mp4");
    clip(&ffmpeg, &path);
    assert!(!dir.path().join("a: b.part.mp4").exists());
    let (frames, summary) = read(&ffmpeg, &path, &ReadOptions::default());
    assert_eq!(times(&frames), TIMES);
    assert_eq!((summary.frames, summary.errors), (8, 0));
    for (i, frame) in frames.iter().enumerate() {
        let picture = &frame.picture;
        assert_eq!(frame.index, i as u64);
        // Sides are even.
        assert_eq!((picture.width(), picture.height()), (64, 48));
        let (got, expected) = (picture.pixel(30, 20), color(i));
        let apart = got.iter().zip(expected).map(|(a, b)| a.abs_diff(b)).max().unwrap();
        assert!(apart <= 6, "frame {i}: {got:?} instead of {expected:?}");
    }
}

#[test]
fn frames_are_chosen_by_rate_start_and_duration() {
    let Some((ffmpeg, _, dir)) = setup() else { return };
    let path = dir.path().join("a.mp4");
    clip(&ffmpeg, &path);
    let of = |options: ReadOptions| times(&read(&ffmpeg, &path, &options).0);
    let fps = |fps: f64| ReadOptions { fps: Some(fps), ..ReadOptions::default() };
    assert_eq!(of(fps(10.0)), [0.0, 0.12, 0.5, 0.8, 1.0]);
    assert_eq!(of(fps(1000.0)), TIMES);
    // Times stay those of the video.
    let part = ReadOptions { start: Some(0.45), duration: Some(0.4), fps: None };
    assert_eq!(of(part), [0.5, 0.533, 0.8]);
}

#[test]
fn what_is_not_a_video_is_refused_by_name() {
    let Some((ffmpeg, _, dir)) = setup() else { return };
    let open = |path: &Path| {
        let source = Source::parse(path.to_str().unwrap());
        let mut reader = FrameReader::open(&ffmpeg, &source, &ReadOptions::default())?;
        reader.next_frame()
    };
    let missing = open(&dir.path().join("missing.mp4")).unwrap_err();
    assert!(matches!(missing, VideoError::NoSuchFile { .. }), "{missing}");
    for (name, bytes) in [("empty.mp4", &b""[..]), ("text.mp4", b"no video at all")] {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let refused = open(&path).unwrap_err();
        assert!(matches!(refused, VideoError::Unreadable { .. }), "{refused}");
        let text = refused.to_string();
        assert_eq!(text.matches(name).count(), 1, "{text}");
    }
}

#[test]
fn damaged_videos_give_the_frames_that_are_left_and_the_number_of_errors() {
    let Some((ffmpeg, _, dir)) = setup() else { return };
    // Frames that need many bytes, in a format that can be cut anywhere.
    let path = dir.path().join("a.mkv");
    let mut writer = VideoWriter::create(&ffmpeg, &path, [320, 240], None).unwrap();
    let mut state = 1u32;
    for i in 0..30 {
        let noise = (0..3 * 320 * 240).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        writer.write(0.04 * f64::from(i), [320, 240], &noise.collect::<Vec<_>>()).unwrap();
    }
    writer.finish().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 4000].fill(0x55);
    std::fs::write(&path, &bytes).unwrap();
    let (frames, summary) = read(&ffmpeg, &path, &ReadOptions::default());
    assert!(frames.len() >= 10, "{} frames", frames.len());
    assert!(summary.errors > 0 && !summary.first_error.is_empty(), "{summary:?}");
    // Cut in the middle of a frame: the whole ones are there.
    std::fs::write(&path, &bytes[..middle / 2]).unwrap();
    let (frames, _) = read(&ffmpeg, &path, &ReadOptions::default());
    assert!((3..20).contains(&frames.len()), "{} frames", frames.len());
}

#[test]
fn a_rotation_of_the_display_is_applied() {
    let Some((ffmpeg, program, dir)) = setup() else { return };
    let (plain, turned) = (dir.path().join("a.mp4"), dir.path().join("turned.mp4"));
    clip(&ffmpeg, &plain);
    let run = |options: &[&str], more: &[&str]| {
        let mut command = Command::new(&program);
        command.args(["-v", "error", "-y"]).args(options).arg("-i").arg(&plain);
        command.args(["-c", "copy"]).args(more).arg(&turned);
        command.status().unwrap().success()
    };
    // The option of version 6, or the metadata of earlier ones.
    let done =
        run(&["-display_rotation", "90"], &[]) || run(&[], &["-metadata:s:v:0", "rotate=90"]);
    assert!(done, "ffmpeg cannot rotate");
    let (frames, _) = read(&ffmpeg, &turned, &ReadOptions::default());
    assert_eq!((frames[0].picture.width(), frames[0].picture.height()), (48, 64));
}

#[test]
fn sound_is_kept_and_as_long_as_the_pictures() {
    let Some((ffmpeg, program, dir)) = setup() else { return };
    let (pictures, both, out) =
        (dir.path().join("a.mp4"), dir.path().join("both.mp4"), dir.path().join("out.mp4"));
    clip(&ffmpeg, &pictures);
    let mut command = Command::new(&program);
    command.args(["-v", "error", "-f", "lavfi", "-i", "sine=duration=9", "-i"]).arg(&pictures);
    assert!(command.args(["-c:v", "copy"]).arg(&both).status().unwrap().success());
    let (source, options) = (Source::parse(both.to_str().unwrap()), ReadOptions::default());
    let mut writer = VideoWriter::create(&ffmpeg, &out, SIZE, Some((&source, &options))).unwrap();
    for time in TIMES {
        writer.write(time, SIZE, &[90; 3 * SIZE[0] * SIZE[1]]).unwrap();
    }
    writer.finish().unwrap();
    let about = Command::new(&program).arg("-i").arg(&out).output().unwrap().stderr;
    let about = String::from_utf8_lossy(&about);
    assert!(about.contains("Audio: ") && about.contains("Video: "), "{about}");
    let mut reader =
        FrameReader::open(&ffmpeg, &Source::parse(out.to_str().unwrap()), &options).unwrap();
    while reader.next_frame().unwrap().is_some() {}
    let duration = reader.duration().unwrap();
    assert!((0.9..2.5).contains(&duration), "{duration} s");
}

#[test]
fn files_that_cannot_be_written_are_named_and_leave_nothing() {
    let Some((ffmpeg, _, dir)) = setup() else { return };
    let path = dir.path().join("out.unknown");
    let created = VideoWriter::create(&ffmpeg, &path, SIZE, None);
    let result = created.and_then(|mut writer| {
        for time in TIMES {
            writer.write(time, SIZE, &[90; 3 * SIZE[0] * SIZE[1]])?;
        }
        writer.finish()
    });
    let error = result.unwrap_err().to_string();
    assert!(error.contains("out.unknown: cannot be written as video"), "{error}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn reading_ahead_gives_the_same_frames_and_can_be_stopped() {
    let Some((ffmpeg, _, dir)) = setup() else { return };
    let path = dir.path().join("a.mp4");
    clip(&ffmpeg, &path);
    let source = Source::parse(path.to_str().unwrap());
    let open = || FrameReader::open(&ffmpeg, &source, &ReadOptions::default()).unwrap();
    let queue = FrameQueue::start(open(), false);
    let mut frames = Vec::new();
    while let Some(frame) = queue.next_frame().unwrap() {
        frames.push(frame);
    }
    assert_eq!(times(&frames), TIMES);
    assert_eq!((queue.skipped(), queue.finish().frames), (0, 8));

    let reader = open();
    let stopper = reader.stopper();
    let queue = FrameQueue::start(reader, false);
    queue.next_frame().unwrap();
    stopper.stop();
    while let Ok(Some(_)) = queue.next_frame() {}
    assert_eq!(queue.finish().errors, 0);
}

#[test]
fn a_video_that_is_dropped_is_whole_under_its_temporary_name() {
    let Some((ffmpeg, _, dir)) = setup() else { return };
    let path = dir.path().join("a.mp4");
    let mut writer = VideoWriter::create(&ffmpeg, &path, SIZE, None).unwrap();
    for time in &TIMES[..4] {
        writer.write(*time, SIZE, &[90; 3 * SIZE[0] * SIZE[1]]).unwrap();
    }
    drop(writer);
    assert!(!path.exists());
    let (frames, _) = read(&ffmpeg, &dir.path().join("a.part.mp4"), &ReadOptions::default());
    assert_eq!(frames.len(), 4);
}
