//! The packed cache of aligned crops: what its files mean, and reading it. How
//! it is made is in [`mod@crate::prepare`].
//!
//! A cache is a folder of WebDataset shards, plain tar files
//! `<split>-<number>.tar` that stream, can be appended to and are read by any
//! tar or WebDataset reader. (Parquet would bring Arrow and minutes of
//! compilation for columns that nothing here queries.) A sample with key `k`
//! is two members, `k.jpg`, the aligned crop, and `k.json`, a
//! [`CachedSample`]. One shard holds one split only, so a reader of the
//! training part needs no filter; several shards per split bound what is read
//! again after an interruption, and let readers shuffle by shard. Beside the
//! shards lie `cache.json`, the [`Manifest`], and `report.json`, a
//! [`crate::Report`].

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use dldl_net::Crop;
use serde::{Deserialize, Serialize};

use crate::manifest::{MANIFEST, VERSION};
use crate::shard;
use crate::{DataError, Manifest, Sample, Split};

/// The metadata of one sample of a cache, the content of its `.json` member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CachedSample {
    /// The sample's number in the dataset, with leading zeros: the members'
    /// name before the dot.
    #[serde(skip)]
    pub key: String,
    /// File, label, split and the rest of what the dataset says.
    #[serde(flatten)]
    pub sample: Sample,
    /// Whether the crop is aligned by a detected face's landmarks; if not, it
    /// is the whole picture.
    pub aligned: bool,
    /// How many faces were detected.
    pub faces: usize,
    /// The chosen face's box x, y, width, height in pixels of the picture.
    #[serde(rename = "box")]
    pub bbox: Option<[f32; 4]>,
    /// The chosen face's score, 0..=1.
    pub score: Option<f32>,
    /// The chosen face's landmarks in pixels of the picture: left eye, right
    /// eye, nose, left and right corner of the mouth, as seen.
    pub landmarks: Option<[[f32; 2]; 5]>,
    /// Width and height of the picture in pixels.
    pub picture: [usize; 2],
    /// CRC-32 of the `.jpg` member.
    pub jpeg_crc32: u32,
}

/// A finished cache, open for reading from any number of threads.
pub struct Cache {
    manifest: Manifest,
    samples: Vec<CachedSample>,
    places: Vec<Place>,
    files: Vec<(PathBuf, Mutex<File>)>,
}

/// Where a sample's picture lies.
struct Place {
    file: usize,
    at: u64,
    len: usize,
}

impl Cache {
    /// Opens a cache and reads its samples' metadata. The pictures stay on
    /// disk: [`Cache::encoded`] reads them one by one, from the operating
    /// system's file cache if they fit there.
    ///
    /// # Errors
    /// [`DataError::Unfinished`] if the preparation was interrupted,
    /// [`DataError::Corrupt`] with the damaged file's name if the files are not
    /// what the manifest says, [`DataError::Io`] if they cannot be read.
    pub fn open(dir: &Path) -> Result<Cache, DataError> {
        let path = dir.join(MANIFEST);
        let text = std::fs::read(&path).map_err(DataError::io(&path))?;
        let manifest: Manifest = serde_json::from_slice(&text)
            .map_err(|e| DataError::corrupt(&path, format!("not a cache's manifest: {e}")))?;
        if manifest.version != VERSION {
            let reason = format!("cache version {}, expected {VERSION}", manifest.version);
            return Err(DataError::corrupt(&path, reason));
        }
        let Some(finished) = &manifest.finished else {
            return Err(DataError::Unfinished { path: dir.to_owned() });
        };
        let (mut samples, mut places, mut files) = (Vec::new(), Vec::new(), Vec::new());
        for shard in &finished.shards {
            let path = dir.join(&shard.file);
            let file = File::open(&path).map_err(DataError::io(&path))?;
            let bytes = file.metadata().map_err(DataError::io(&path))?.len();
            if bytes != shard.bytes {
                let reason = format!("{bytes} bytes long, expected {}", shard.bytes);
                return Err(DataError::corrupt(&path, reason));
            }
            let scan = shard::scan(&path, false).map_err(DataError::io(&path))?;
            if let Some(reason) = scan.torn {
                return Err(DataError::corrupt(&path, reason));
            }
            if scan.members.len() != shard.samples {
                let reason =
                    format!("{} samples found, expected {}", scan.members.len(), shard.samples);
                return Err(DataError::corrupt(&path, reason));
            }
            for member in scan.members {
                places.push(Place { file: files.len(), at: member.at, len: member.len });
                samples.push(member.sample);
            }
            files.push((path, Mutex::new(file)));
        }
        Ok(Cache { manifest, samples, places, files })
    }

    /// What the cache holds and how it was made.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The samples' metadata: training, validation, test, each in the
    /// dataset's order, without those whose pictures could not be read.
    pub fn samples(&self) -> &[CachedSample] {
        &self.samples
    }

    /// The positions in [`Cache::samples`] of one split's samples.
    pub fn indices(&self, split: Split) -> Vec<usize> {
        (0..self.samples.len()).filter(|&i| self.samples[i].sample.split == split).collect()
    }

    /// The number of samples.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// The JPEG file of sample `i`.
    ///
    /// # Errors
    /// The shard cannot be read, or its bytes have changed since they were
    /// written ([`DataError::Corrupt`]).
    ///
    /// # Panics
    /// If there is no sample `i`.
    pub fn encoded(&self, i: usize) -> Result<Vec<u8>, DataError> {
        let place = &self.places[i];
        let (path, file) = &self.files[place.file];
        let mut bytes = vec![0; place.len];
        {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(place.at)).map_err(DataError::io(path))?;
            file.read_exact(&mut bytes).map_err(DataError::io(path))?;
        }
        if crc32fast::hash(&bytes) != self.samples[i].jpeg_crc32 {
            let key = &self.samples[i].key;
            let reason = format!("the bytes of {key}.jpg are not those that were written");
            return Err(DataError::corrupt(path, reason));
        }
        Ok(bytes)
    }

    /// The crop of sample `i`, of side [`crate::Parameters::crop_size`].
    ///
    /// # Errors
    /// As [`Cache::encoded`], or the picture does not decode.
    ///
    /// # Panics
    /// If there is no sample `i`.
    pub fn decode(&self, i: usize) -> Result<Crop, DataError> {
        let bytes = self.encoded(i)?;
        let path = &self.files[self.places[i].file].0;
        let broken =
            |reason: String| DataError::corrupt(path, format!("{}: {reason}", self.samples[i].key));
        let picture = dldl_face::decode(&bytes).map_err(|e| broken(e.reason()))?;
        let size = self.manifest.parameters.crop_size;
        if (picture.width(), picture.height()) != (size, size) {
            let (w, h) = (picture.width(), picture.height());
            return Err(broken(format!("{w}x{h} pixels, expected {size}x{size}")));
        }
        Ok(Crop::new(size, picture.into_rgb()).expect("its size was compared"))
    }
}
