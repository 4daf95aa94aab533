//! Pictures in ZIP and tar archives, read without unpacking.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Mutex;

use dldl::FaceError;
use zip::ZipArchive;

/// An open archive. Members are read under a lock and decoded outside it.
pub struct Archive(Mutex<Kind>);

enum Kind {
    Zip(ZipArchive<BufReader<File>>),
    Tar(File),
}

/// Where a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its index in a ZIP archive, or its first byte in a tar archive.
    at: u64,
    /// Its length in a tar archive.
    length: u64,
}

/// Whether the name is that of an archive: `.zip` or `.tar`.
pub fn is_archive(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    path.is_file() && ["zip", "tar"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// Opens an archive, with the names and places of the files in it, in its order.
///
/// # Errors
/// It cannot be read, or is none.
pub fn open(path: &Path) -> io::Result<(Archive, Vec<(String, Place)>)> {
    let mut file = File::open(path)?;
    let mut members = Vec::new();
    if path.extension().unwrap_or_default().eq_ignore_ascii_case("zip") {
        let mut archive = ZipArchive::new(BufReader::new(file))?;
        for i in 0..archive.len() {
            let member = archive.by_index_raw(i)?;
            if member.is_file() {
                members.push((member.name()?.into_owned(), Place { at: i as u64, length: 0 }));
            }
        }
        return Ok((Archive(Mutex::new(Kind::Zip(archive))), members));
    }
    let mut archive = tar::Archive::new(&mut file);
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        if entry.header().entry_type().is_file() {
            let name = entry.path()?.to_string_lossy().into_owned();
            members.push((name, Place { at: entry.raw_file_position(), length: entry.size() }));
        }
    }
    Ok((Archive(Mutex::new(Kind::Tar(file))), members))
}

impl Archive {
    /// The bytes of a member.
    ///
    /// # Errors
    /// It cannot be read or is too large.
    pub fn read(&self, place: Place) -> Result<Vec<u8>, FaceError> {
        let mut kind = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        match &mut *kind {
            Kind::Zip(archive) => {
                let member = archive.by_index(place.at as usize);
                let mut member = member.map_err(|e| FaceError::Read(e.into()))?;
                dldl_face::read_stream(&mut member)
            }
            Kind::Tar(file) => {
                file.seek(SeekFrom::Start(place.at)).map_err(FaceError::Read)?;
                let bytes = dldl_face::read_stream(&mut file.take(place.length))?;
                if (bytes.len() as u64) < place.length {
                    return Err(FaceError::Read(io::ErrorKind::UnexpectedEof.into()));
                }
                Ok(bytes)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn members_of_both_kinds_are_read_in_any_order() {
        let dir = tempfile::tempdir().unwrap();
        let files = [("b/x.jpg", &b"first"[..]), ("a.png", b"second, longer")];
        let zip = dir.path().join("p.ZIP");
        let mut writer = zip::ZipWriter::new(File::create(&zip).unwrap());
        writer.add_directory("b", zip::write::SimpleFileOptions::default()).unwrap();
        let tar = dir.path().join("p.tar");
        let mut builder = tar::Builder::new(File::create(&tar).unwrap());
        for (name, bytes) in files {
            writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(bytes).unwrap();
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_cksum();
            builder.append_data(&mut header, name, bytes).unwrap();
        }
        writer.finish().unwrap();
        builder.into_inner().unwrap();
        for path in [zip, tar] {
            assert!(is_archive(&path));
            let (archive, members) = open(&path).unwrap();
            let names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["b/x.jpg", "a.png"], "{}", path.display());
            for i in [1, 0] {
                assert_eq!(archive.read(members[i].1).unwrap(), files[i].1);
            }
        }
        std::fs::write(dir.path().join("no.zip"), "text").unwrap();
        assert!(open(&dir.path().join("no.zip")).is_err());
    }
}
