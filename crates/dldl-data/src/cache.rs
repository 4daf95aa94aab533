//! Reading the packed cache of aligned crops. It is written by
//! [`mod@crate::prepare`].
//!
//! A cache is a folder of WebDataset shards: tar files `<split>-<number>.tar`, which can
//! be streamed, appended to, and read by any tar or WebDataset reader. (Parquet would
//! add Arrow, with minutes of compilation, for columns that nothing here queries.) The
//! sample with key `k` consists of `k.jpg`, the aligned crop, and `k.json`, a
//! [`CachedSample`]. Each shard holds samples of one split, so that readers of the
//! training part need no filter. Several shards per split bound the work that an
//! interruption loses, and let readers shuffle by shard. The folder also contains
//! `cache.json`, the [`Manifest`], and `report.json`, a [`crate::Report`].

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use dldl_net::Crop;

use crate::cached_sample::CachedSample;
use crate::manifest::{MANIFEST, VERSION};
use crate::shard;
use crate::{DataError, Manifest, Split};

/// A complete cache, open for reading from any number of threads.
pub struct Cache {
    manifest: Manifest,
    samples: Vec<CachedSample>,
    places: Vec<Place>,
    files: Vec<(PathBuf, Mutex<File>)>,
}

/// Where the crop of a sample is stored.
struct Place {
    file: usize,
    at: u64,
    len: usize,
}

impl Cache {
    /// Opens a cache and reads the metadata of all samples. The crops stay on disk;
    /// [`Cache::encoded`] reads them one by one.
    ///
    /// # Errors
    /// [`DataError::Unfinished`] if the preparation was interrupted;
    /// [`DataError::Malformed`] or [`DataError::Corrupt`] if a file is damaged or
    /// contradicts the manifest; [`DataError::Io`] if a file cannot be read.
    pub fn open(dir: &Path) -> Result<Cache, DataError> {
        let path = dir.join(MANIFEST);
        let text = std::fs::read(&path).map_err(DataError::io(&path))?;
        let manifest: Manifest = serde_json::from_slice(&text)
            .map_err(DataError::malformed(&path, "a cache manifest"))?;
        if manifest.version != VERSION {
            let reason = format!("expected cache version {VERSION}, found {}", manifest.version);
            return Err(DataError::corrupt(&path, reason));
        }
        // Readers allocate by these.
        manifest.parameters.check().map_err(DataError::malformed(&path, "a cache manifest"))?;
        let Some(finished) = &manifest.finished else {
            return Err(DataError::Unfinished { path: dir.to_owned() });
        };
        let (mut samples, mut places, mut files) = (Vec::new(), Vec::new(), Vec::new());
        for shard in &finished.shards {
            // A manifest must not make us read files outside of its folder.
            if Path::new(&shard.file).file_name() != Some(shard.file.as_ref()) {
                let reason = format!("`{}` is not the name of a shard", shard.file);
                return Err(DataError::corrupt(&path, reason));
            }
            let path = dir.join(&shard.file);
            let metadata = std::fs::metadata(&path).map_err(DataError::io(&path))?;
            if !metadata.is_file() || metadata.len() != shard.bytes {
                let bytes = metadata.len();
                let reason = format!("expected a file of {} bytes, found {bytes}", shard.bytes);
                return Err(DataError::corrupt(&path, reason));
            }
            let file = File::open(&path).map_err(DataError::io(&path))?;
            let scan = shard::scan(&path, false).map_err(DataError::io(&path))?;
            if let Some(reason) = scan.torn {
                return Err(DataError::corrupt(&path, reason));
            }
            if scan.members.len() != shard.samples {
                let reason =
                    format!("expected {} samples, found {}", shard.samples, scan.members.len());
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

    /// The contents of the cache and how they were made.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The metadata of the samples: training, validation, test, each in the order of the
    /// dataset, without samples whose pictures could not be read.
    pub fn samples(&self) -> &[CachedSample] {
        &self.samples
    }

    /// The positions in [`Cache::samples`] of the samples of a split.
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

    /// The crop of sample `i` as a JPEG file.
    ///
    /// # Errors
    /// [`DataError::Io`] if the shard cannot be read, [`DataError::Corrupt`] if the
    /// checksum is wrong.
    ///
    /// # Panics
    /// There is no sample `i`.
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
            let reason = format!("the checksum of {key}.jpg is wrong");
            return Err(DataError::corrupt(path, reason));
        }
        Ok(bytes)
    }

    /// The crop of sample `i`, with the side [`crate::Parameters::crop_size`].
    ///
    /// # Errors
    /// Those of [`Cache::encoded`], or the crop does not decode.
    ///
    /// # Panics
    /// There is no sample `i`.
    pub fn decode(&self, i: usize) -> Result<Crop, DataError> {
        let bytes = self.encoded(i)?;
        let path = &self.files[self.places[i].file].0;
        let broken =
            |reason: String| DataError::corrupt(path, format!("{}: {reason}", self.samples[i].key));
        let picture = dldl_face::decode(&bytes).map_err(|e| broken(e.reason()))?;
        let size = self.manifest.parameters.crop_size;
        if (picture.width(), picture.height()) != (size, size) {
            let (w, h) = (picture.width(), picture.height());
            return Err(broken(format!("expected {size}x{size} pixels, found {w}x{h}")));
        }
        Ok(Crop::new(size, picture.into_rgb()).expect("its size was compared"))
    }
}
