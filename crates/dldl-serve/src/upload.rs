//! Bodies of requests: read into memory within limits, and divided into pictures.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::problem::Problem;

/// The most parts of a multipart body.
const MAX_PARTS: usize = 1000;

/// The unit of the memory for bodies, in bytes: semaphores count in 32 bits.
const UNIT: usize = 1024;

/// For how long the rest of a body is read after the request was refused. Otherwise the
/// connection would be reset, and the client would not see why.
const DRAIN: Duration = Duration::from_secs(5);

/// The memory that all bodies together may take.
#[derive(Clone, Debug)]
pub(crate) struct Memory(Arc<Semaphore>);

/// A part of it, given back when dropped.
type Taken = Option<OwnedSemaphorePermit>;

impl Memory {
    pub fn new(bytes: usize) -> Self {
        let units = (bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS);
        Self(Arc::new(Semaphore::new(units)))
    }

    fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Problem> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).map_err(|_| Problem::busy())?;
        self.0.clone().try_acquire_many_owned(units).map_err(|_| Problem::busy())
    }
}

/// A picture in a body.
#[derive(Debug)]
pub(crate) struct Upload {
    /// Its file name, if it has one.
    pub name: Option<String>,
    pub bytes: Bytes,
}

/// The pictures of a body.
#[derive(Debug)]
pub(crate) struct Uploads {
    pub pictures: Vec<Upload>,
    /// Whether the body has parts, so that the answer is a list.
    pub batch: bool,
    _taken: Taken,
}

/// Reads a body of at most `limit` bytes.
pub(crate) async fn read(
    headers: &HeaderMap,
    mut body: Body,
    limit: usize,
    memory: &Memory,
) -> Result<Uploads, Problem> {
    let boundary = boundary(headers);
    let length = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    let refused = match boundary {
        Err(problem) => Err(problem),
        Ok(_) if length.is_some_and(|n| n > limit as u64) => Err(Problem::body_too_large(limit)),
        Ok(boundary) => match collect(&mut body, limit, memory).await {
            Ok((bytes, taken)) => return divide(bytes, boundary, taken).await,
            Err(problem) => Err(problem),
        },
    };
    drain(body).await;
    refused
}

/// Reads what is left of a body and forgets it.
pub(crate) async fn drain(mut body: Body) {
    let rest = async { while let Some(Ok(_)) = body.frame().await {} };
    let _ = tokio::time::timeout(DRAIN, rest).await;
}

async fn collect(
    body: &mut Body,
    limit: usize,
    memory: &Memory,
) -> Result<(Bytes, Taken), Problem> {
    let mut bytes = BytesMut::new();
    let mut taken: Taken = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| Problem::bad_body(format!("the body broke off: {e}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > limit {
            return Err(Problem::body_too_large(limit));
        }
        // Whole units for all bytes so far, as the parts may be small.
        let units = |bytes: usize| bytes.div_ceil(UNIT) * UNIT;
        let more = units(bytes.len() + data.len()) - units(bytes.len());
        if more > 0 {
            let more = memory.take(more)?;
            match &mut taken {
                Some(taken) => taken.merge(more),
                None => taken = Some(more),
            }
        }
        bytes.extend_from_slice(&data);
    }
    Ok((bytes.freeze(), taken))
}

/// The boundary of a multipart body; none for a picture.
fn boundary(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let kind = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind == "multipart/form-data" {
        let bad = |e| Problem::bad_body(format!("Content-Type of a multipart body: {e}"));
        return multer::parse_boundary(text).map(Some).map_err(bad);
    }
    // What the bytes are is seen from the bytes. The type of forms is what curl says of
    // everything that it is not told the type of.
    let bytes = ["", "application/octet-stream", "application/x-www-form-urlencoded"];
    if kind.starts_with("image/") || bytes.contains(&&*kind) {
        return Ok(None);
    }
    Err(Problem::unsupported_type(&kind))
}

async fn divide(bytes: Bytes, boundary: Option<String>, taken: Taken) -> Result<Uploads, Problem> {
    let Some(boundary) = boundary else {
        if bytes.is_empty() {
            return Err(Problem::bad_body("the body is empty: send the bytes of a picture"));
        }
        let pictures = vec![Upload { name: None, bytes }];
        return Ok(Uploads { pictures, batch: false, _taken: taken });
    };
    let whole = stream::iter([Ok::<_, std::convert::Infallible>(bytes)]);
    let mut parts = multer::Multipart::new(whole, boundary);
    let mut pictures = Vec::new();
    let bad = |e: multer::Error| Problem::bad_body(format!("the multipart body: {e}"));
    while let Some(part) = parts.next_field().await.map_err(bad)? {
        if part.name() != Some("file") {
            let shown: String = part.name().unwrap_or_default().chars().take(40).collect();
            let text = format!("unknown part `{shown}`: pictures are parts with the name `file`");
            return Err(Problem::bad_body(text));
        }
        if pictures.len() == MAX_PARTS {
            return Err(Problem::too_many_pictures(MAX_PARTS + 1, MAX_PARTS));
        }
        let name = part.file_name().map(str::to_owned);
        pictures.push(Upload { name, bytes: part.bytes().await.map_err(bad)? });
    }
    if pictures.is_empty() {
        return Err(Problem::bad_body("no part with the name `file`, which holds a picture"));
    }
    Ok(Uploads { pictures, batch: true, _taken: taken })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(kind: &str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, kind.parse().unwrap())])
    }

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
    }

    fn read_one(kind: &str, body: &str, limit: usize) -> Result<Uploads, Problem> {
        let memory = Memory::new(10_000);
        block_on(read(&headers(kind), Body::from(body.to_owned()), limit, &memory))
    }

    const PARTS: &str = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jpg\"\r\n\
                         \r\nfirst\r\n--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n\
                         second\r\n--x--\r\n";

    #[test]
    fn bodies_are_pictures_or_parts() {
        let one = read_one("image/jpeg", "bytes", 5).unwrap();
        assert!(!one.batch && one.pictures.len() == 1 && one.pictures[0].bytes == "bytes");
        assert!(!read_one("application/x-www-form-urlencoded", "bytes", 5).unwrap().batch);
        let parts = read_one("multipart/form-data; boundary=x", PARTS, 1000).unwrap();
        let found: Vec<_> = parts.pictures.iter().map(|p| (p.name.as_deref(), &*p.bytes)).collect();
        let expected: Vec<(Option<&str>, &[u8])> =
            vec![(Some("a.jpg"), b"first"), (None, b"second")];
        assert!(parts.batch);
        assert_eq!(found, expected);
    }

    #[test]
    fn bad_bodies_are_refused() {
        for (kind, body, status, part) in [
            ("image/png", "", 400, "empty"),
            ("image/png", "123456", 413, "larger than 5 bytes"),
            ("application/json", "{}", 415, "application/json"),
            ("multipart/form-data", "", 400, "boundary"),
            ("multipart/form-data; boundary=x", "--x--", 400, "`file`"),
        ] {
            let problem = read_one(kind, body, 5).unwrap_err();
            assert_eq!(problem.status.as_u16(), status, "{problem:?}");
            assert!(problem.detail.contains(part), "{problem:?}");
        }
        let cut = read_one("multipart/form-data; boundary=x", &PARTS[..80], 1000).unwrap_err();
        assert_eq!((cut.status.as_u16(), cut.code), (400, "bad-body"));
        let other = PARTS.replace("name=\"file\"", "name=\"picture\"");
        let other = read_one("multipart/form-data; boundary=x", &other, 1000).unwrap_err();
        assert!(other.detail.contains("`picture`"), "{other:?}");
    }

    #[test]
    fn the_memory_of_all_bodies_is_limited() {
        let memory = Memory::new(4 * UNIT);
        let headers = headers("image/png");
        let read_of = |bytes: usize| {
            let body = Body::from(vec![1; bytes]);
            block_on(read(&headers, body, 100_000, &memory))
        };
        let held = read_of(3 * UNIT).unwrap();
        assert_eq!(read_of(2 * UNIT).unwrap_err(), Problem::busy());
        drop(held);
        assert!(read_of(4 * UNIT).is_ok());
        assert_eq!(memory.0.available_permits(), 4);
    }
}
