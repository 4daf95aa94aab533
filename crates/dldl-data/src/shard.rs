//! The tar shards of a cache: writing them, and finding the valid samples in a shard
//! that an interrupted writer left behind. The layout is described in [`crate::cache`].
//!
//! Each sample is a pair of members: the picture `<key>.jpg`, then the metadata
//! `<key>.json`, which contains the CRC-32 of the picture. A sample is complete when its
//! metadata is.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::cached_sample::CachedSample;

/// The block size of tar files in bytes.
const BLOCK: u64 = 512;
/// The largest crop in bytes: above the size of any JPEG of 4096 x 4096 pixels.
const MAX_PICTURE: u64 = 128 << 20;
/// The largest metadata of a sample in bytes.
const MAX_METADATA: u64 = 1 << 20;

/// A sample found in a shard.
pub(crate) struct Member {
    pub(crate) sample: CachedSample,
    /// The position of the first byte of the picture.
    pub(crate) at: u64,
    pub(crate) len: usize,
    /// The position of the next sample.
    pub(crate) end: u64,
}

/// The complete samples at the beginning of a shard, and why the rest, if any, is not a
/// complete sample.
pub(crate) struct Scan {
    pub(crate) members: Vec<Member>,
    pub(crate) torn: Option<String>,
}

/// Reads the positions and metadata of the members, and with `verify` also the
/// pictures, whose checksums are then compared. The scan stops at the first member
/// that is not valid; only I/O failures are errors.
///
/// Sizes in the file are not trusted: nothing is allocated for a member that is larger
/// than a member can be, or that does not fit in the file.
pub(crate) fn scan(path: &Path, verify: bool) -> io::Result<Scan> {
    let file = File::open(path)?;
    let file_len = file.metadata()?.len();
    let mut archive = tar::Archive::new(file);
    let mut members = Vec::new();
    let mut picture: Option<(String, u64, u64, Option<u32>)> = None;
    let mut torn = None;
    // Raw entries: the writer needs no extension headers, and reading one would buffer
    // its content, whatever its size.
    for entry in archive.entries_with_seek()?.raw(true) {
        let found = entry.map_err(|e| e.to_string()).and_then(|mut entry| {
            let name = entry.path().map_err(|e| e.to_string())?.to_string_lossy().into_owned();
            let (at, len) = (entry.raw_file_position(), entry.size());
            let limit = if name.ends_with(".jpg") { MAX_PICTURE } else { MAX_METADATA };
            if len > limit {
                return Err(format!("{name} has {len} bytes, more than the limit of {limit}"));
            }
            let end = at + len.next_multiple_of(BLOCK);
            if end > file_len {
                return Err(format!("the file ends within {name}"));
            }
            if let Some(key) = name.strip_suffix(".jpg") {
                let crc = verify.then(|| crc_of(&mut entry)).transpose();
                picture = Some((key.to_owned(), at, len, crc.map_err(|e| e.to_string())?));
                return Ok(None);
            }
            let pair = name.strip_suffix(".json").zip(picture.take());
            let Some((key, (_, at, len, crc))) = pair.filter(|(key, p)| *key == p.0) else {
                return Err(format!("{name} does not follow a picture with the same key"));
            };
            let mut json = Vec::new();
            entry.read_to_end(&mut json).map_err(|e| e.to_string())?;
            let mut sample: CachedSample =
                serde_json::from_slice(&json).map_err(|e| format!("{name}: {e}"))?;
            sample.key = key.to_owned();
            if crc.is_some_and(|crc| crc != sample.jpeg_crc32) {
                return Err(format!("the checksum of {key}.jpg is wrong"));
            }
            Ok(Some(Member { sample, at, len: len as usize, end }))
        });
        match found {
            Ok(member) => members.extend(member),
            Err(reason) => {
                torn = Some(reason);
                break;
            }
        }
    }
    if torn.is_none() && picture.is_some() {
        torn = Some("the last picture has no metadata".to_owned());
    }
    Ok(Scan { members, torn })
}

fn crc_of(bytes: &mut impl Read) -> io::Result<u32> {
    let mut all = Vec::new();
    bytes.read_to_end(&mut all)?;
    Ok(crc32fast::hash(&all))
}

/// Appends samples to a shard.
pub(crate) struct Writer {
    file: File,
}

impl Writer {
    /// Opens or creates the file, truncates it to `keep` bytes, and appends there.
    pub(crate) fn open(path: &Path, keep: u64) -> io::Result<Writer> {
        let mut file = File::options().create(true).write(true).truncate(false).open(path)?;
        file.set_len(keep)?;
        file.seek(SeekFrom::Start(keep))?;
        Ok(Writer { file })
    }

    /// Appends one sample: its picture, then its metadata.
    pub(crate) fn append(&mut self, sample: &CachedSample, jpeg: &[u8]) -> io::Result<()> {
        let mut json = serde_json::to_vec(sample)?;
        json.push(b'\n');
        if jpeg.len() as u64 > MAX_PICTURE || json.len() as u64 > MAX_METADATA {
            return Err(io::Error::other("the sample is too large for a shard"));
        }
        let mut blocks = Vec::with_capacity(jpeg.len() + json.len() + 4 * BLOCK as usize);
        member(&mut blocks, &format!("{}.jpg", sample.key), jpeg)?;
        member(&mut blocks, &format!("{}.json", sample.key), &json)?;
        self.file.write_all(&blocks)
    }

    /// Writes the end marker (two empty blocks) and syncs the file. Returns its length
    /// in bytes.
    pub(crate) fn finish(mut self) -> io::Result<u64> {
        self.file.write_all(&[0; 2 * BLOCK as usize])?;
        self.file.sync_all()?;
        self.file.stream_position()
    }
}

/// Appends one file as tar blocks. Owner and time are 0, so that the same samples give the
/// same bytes.
fn member(blocks: &mut Vec<u8>, name: &str, content: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_path(name)?;
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    blocks.extend_from_slice(header.as_bytes());
    blocks.extend_from_slice(content);
    blocks.resize(blocks.len().next_multiple_of(BLOCK as usize), 0);
    Ok(())
}
