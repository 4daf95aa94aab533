//! The tar shards of a cache, one member pair per sample: writing, and finding
//! out what an interrupted writer left. What the members mean is in
//! [`crate::cache`].
//!
//! The picture `<key>.jpg` comes first and the metadata `<key>.json` last, so
//! that a sample counts as soon as its metadata is whole; the metadata holds
//! the picture's CRC-32.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::cache::CachedSample;

/// Tar files are made of blocks of this many bytes.
const BLOCK: u64 = 512;

/// A sample found in a shard.
pub(crate) struct Member {
    pub(crate) sample: CachedSample,
    /// Where the picture's bytes begin.
    pub(crate) at: u64,
    pub(crate) len: usize,
    /// Where the next sample begins.
    pub(crate) end: u64,
}

/// The whole samples at the head of a shard, and why the rest of it (if there
/// is a rest) is no whole sample.
pub(crate) struct Scan {
    pub(crate) members: Vec<Member>,
    pub(crate) torn: Option<String>,
}

/// Reads the members' places and metadata, and with `verify` also the
/// pictures, whose checksums are then compared. What is not whole ends the
/// scan; only a failing disk is an error.
pub(crate) fn scan(path: &Path, verify: bool) -> io::Result<Scan> {
    let file = File::open(path)?;
    let file_len = file.metadata()?.len();
    let mut archive = tar::Archive::new(file);
    let mut members = Vec::new();
    let mut picture: Option<(String, u64, u64, Option<u32>)> = None;
    let mut torn = None;
    for entry in archive.entries_with_seek()? {
        let found = entry.map_err(|e| e.to_string()).and_then(|mut entry| {
            let name = entry.path().map_err(|e| e.to_string())?.to_string_lossy().into_owned();
            let (at, len) = (entry.raw_file_position(), entry.size());
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
                return Err(format!("{name} does not belong to a picture before it"));
            };
            let mut json = Vec::new();
            entry.read_to_end(&mut json).map_err(|e| e.to_string())?;
            let mut sample: CachedSample =
                serde_json::from_slice(&json).map_err(|e| format!("{name}: {e}"))?;
            sample.key = key.to_owned();
            if crc.is_some_and(|crc| crc != sample.jpeg_crc32) {
                return Err(format!("the bytes of {key}.jpg are not those that were written"));
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
    /// Opens or creates the file, cuts it at `keep` bytes, and goes on there.
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
        let mut blocks = Vec::with_capacity(jpeg.len() + json.len() + 4 * BLOCK as usize);
        member(&mut blocks, &format!("{}.jpg", sample.key), jpeg)?;
        member(&mut blocks, &format!("{}.json", sample.key), &json)?;
        self.file.write_all(&blocks)
    }

    /// Writes the end mark (two empty blocks) and waits for the disk. Returns
    /// the shard's length in bytes.
    pub(crate) fn finish(mut self) -> io::Result<u64> {
        self.file.write_all(&[0; 2 * BLOCK as usize])?;
        self.file.sync_all()?;
        self.file.stream_position()
    }
}

/// Appends one file as tar blocks. Owner and time are left at 0: the same
/// samples give the same bytes.
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
