//! The log of a training for TensorBoard: a file of records (TFRecord framing), each an
//! `Event` in protocol buffers, as far as scalars and images need.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

use crate::error::TrainError;
use crate::log::Record;

/// `tensorflow.Event`.
#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

/// `tensorflow.Summary`.
#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

/// `tensorflow.Summary.Value`.
#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
    #[prost(message, optional, tag = "4")]
    image: Option<Image>,
}

/// `tensorflow.Summary.Image`: an encoded image.
#[derive(Clone, PartialEq, Message)]
struct Image {
    #[prost(int32, tag = "1")]
    height: i32,
    #[prost(int32, tag = "2")]
    width: i32,
    /// 3 for RGB.
    #[prost(int32, tag = "3")]
    colorspace: i32,
    #[prost(bytes = "vec", tag = "4")]
    encoded_image_string: Vec<u8>,
}

/// TensorBoard's file, being written.
pub struct Events {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Events {
    /// Opens the file and truncates it to its first `bytes`, as
    /// [`Log::open`](crate::log::Log::open); at 0 bytes it writes the version record.
    ///
    /// # Errors
    /// If the file cannot be opened or is shorter than that.
    pub fn open(path: &Path, bytes: u64) -> Result<Self, TrainError> {
        let fail = |e| TrainError::io(path, e);
        let mut options = File::options();
        let mut file = options.create(true).truncate(false).write(true).open(path).map_err(fail)?;
        let length = file.metadata().map_err(fail)?.len();
        if length < bytes {
            let what = format!("{length} bytes, but the checkpoint was written after {bytes}");
            return Err(TrainError::Checkpoint { path: path.into(), what });
        }
        file.set_len(bytes).map_err(fail)?;
        file.seek(SeekFrom::End(0)).map_err(fail)?;
        let mut events = Self { path: path.into(), file, bytes };
        if bytes == 0 {
            let version = Some("brain.Event:2".to_owned());
            events.append(0, version, None)?;
        }
        Ok(events)
    }

    /// Length in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Waits until everything is on the disk.
    ///
    /// # Errors
    /// If the operating system reports one.
    pub fn sync(&self) -> Result<(), TrainError> {
        self.file.sync_data().map_err(|e| TrainError::io(&self.path, e))
    }

    /// Appends the scalars of a record of the log.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn write(&mut self, record: &Record) -> Result<(), TrainError> {
        let mut scalars: Vec<(String, f64)> = Vec::new();
        let mut put = |tag: &str, value: f64| scalars.push((tag.to_owned(), value));
        let step = match record {
            Record::Step(s) => {
                put("train/loss", s.loss);
                s.terms.iter().for_each(|(name, value)| put(&format!("train/{name}"), *value));
                put("learning_rate", s.lr);
                put("speed/images_per_second", s.images_per_second);
                put("speed/waiting", s.waiting);
                s.step
            }
            Record::Epoch(e) => {
                put("epoch/loss", e.loss);
                if let Some(loss) = e.val_loss {
                    put("validation/loss", loss);
                }
                for (name, error) in &e.val_errors {
                    put(&format!("validation/{name}"), *error);
                }
                e.step
            }
        };
        let value =
            |(tag, v): (String, f64)| Value { tag, simple_value: Some(v as f32), image: None };
        self.append(step, None, Some(scalars.into_iter().map(value).collect()))
    }

    /// Appends a PNG image with its width and height in pixels.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn picture(
        &mut self,
        step: usize,
        tag: &str,
        size: (u32, u32),
        png: Vec<u8>,
    ) -> Result<(), TrainError> {
        let image = Image {
            height: size.1 as i32,
            width: size.0 as i32,
            colorspace: 3,
            encoded_image_string: png,
        };
        let value = Value { tag: tag.into(), simple_value: None, image: Some(image) };
        self.append(step, None, Some(vec![value]))
    }

    fn append(
        &mut self,
        step: usize,
        file_version: Option<String>,
        values: Option<Vec<Value>>,
    ) -> Result<(), TrainError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let event = Event {
            wall_time: now.as_secs_f64(),
            step: step as i64,
            file_version,
            summary: values.map(|value| Summary { value }),
        };
        let record = framed(&event.encode_to_vec());
        self.file.write_all(&record).map_err(|e| TrainError::io(&self.path, e))?;
        self.bytes += record.len() as u64;
        Ok(())
    }
}

/// TFRecord: length, its checksum, the data, its checksum.
fn framed(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut out = length.to_vec();
    out.extend(masked_crc(&length).to_le_bytes());
    out.extend(data);
    out.extend(masked_crc(data).to_le_bytes());
    out
}

/// The checksum of TFRecord: CRC-32C, rotated and shifted, which keeps it useful for data
/// that contains checksums.
fn masked_crc(data: &[u8]) -> u32 {
    let crc = crc32c(data);
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32 of Castagnoli's polynomial, reflected (RFC 3720).
fn crc32c(data: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            let mut crc = i as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = (crc >> 1) ^ (0x82f6_3b78 & 0u32.wrapping_sub(crc & 1));
                bit += 1;
            }
            table[i] = crc;
            i += 1;
        }
        table
    };
    let step = |crc: u32, byte: &u8| (crc >> 8) ^ TABLE[usize::from(crc as u8 ^ byte)];
    !data.iter().fold(!0, step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::StepRecord;
    use std::collections::BTreeMap;

    fn step(step: usize) -> Record {
        Record::Step(StepRecord {
            step,
            epoch: 1,
            size: 64,
            lr: 1e-3,
            loss: 0.5,
            terms: BTreeMap::from([("kl".into(), 2.5)]),
            images_per_second: 40.0,
            waiting: 0.25,
        })
    }

    /// The events of a file, with every checksum verified.
    fn read(mut bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        while !bytes.is_empty() {
            let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
            assert_eq!(word(8), masked_crc(&bytes[..8]));
            let data = &bytes[12..12 + length];
            assert_eq!(word(12 + length), masked_crc(data));
            events.push(Event::decode(data).unwrap());
            bytes = &bytes[16 + length..];
        }
        events
    }

    #[test]
    fn the_checksum_is_crc32c() {
        // RFC 3720, B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    /// The bytes that TensorBoard 2.21's own classes and `RecordWriter` write.
    #[test]
    fn records_are_those_of_tensorboard() {
        let image = Image { height: 1, width: 2, colorspace: 3, encoded_image_string: vec![1, 2] };
        let value = vec![
            Value { tag: "a".into(), simple_value: Some(2.5), image: None },
            Value { tag: "b".into(), simple_value: None, image: Some(image) },
        ];
        let summary = Some(Summary { value });
        let event = Event { wall_time: 1.5, step: 3, file_version: None, summary };
        let hex: String =
            framed(&event.encode_to_vec()).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(
            hex,
            "2800000000000000ff70164a09000000000000f83f10032a1b0a080a016115000020400a0f\
             0a0162220a080110021803220201023b9cf9b2"
        );
    }

    #[test]
    fn a_reopened_file_continues_at_the_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events");
        let mut events = Events::open(&path, 0).unwrap();
        events.write(&step(1)).unwrap();
        let bytes = events.bytes();
        events.write(&step(2)).unwrap();
        drop(events);
        let mut events = Events::open(&path, bytes).unwrap();
        events.write(&step(3)).unwrap();
        events.picture(3, "examples", (2, 1), vec![1, 2, 3]).unwrap();
        let seen = read(&std::fs::read(&path).unwrap());
        assert_eq!(seen.iter().map(|e| e.step).collect::<Vec<_>>(), [0, 1, 3, 3]);
        assert_eq!(seen[0].file_version.as_deref(), Some("brain.Event:2"));
        let scalars = &seen[2].summary.as_ref().unwrap().value;
        let kl = scalars.iter().find(|v| v.tag == "train/kl").unwrap();
        assert_eq!(kl.simple_value, Some(2.5));
        assert!(Events::open(&path, 1_000_000).is_err());
    }
}
