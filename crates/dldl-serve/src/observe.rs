//! Around every request: an id, a line in the log, counts. Contents, queries, names and
//! addresses are not logged.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::api::{App, PATHS};
use crate::page;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A line of `name=value` for each request.
    Text,
    /// A JSON object in a line for each request.
    Json,
}

/// What is logged of a request.
#[derive(Serialize)]
struct Entry<'a> {
    time: String,
    id: &'a str,
    method: &'static str,
    path: &'static str,
    status: u16,
    milliseconds: f64,
}

impl Entry<'_> {
    fn line(&self, format: LogFormat) -> String {
        match format {
            LogFormat::Json => serde_json::to_string(self).expect("plain values"),
            LogFormat::Text => format!(
                "{} id={} method={} path={} status={} milliseconds={}",
                self.time, self.id, self.method, self.path, self.status, self.milliseconds
            ),
        }
    }
}

/// Logs and counts the request, and gives the answer its id.
pub(crate) async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let id = id(request.headers().get(REQUEST_ID));
    let method = method(request.method());
    let path = path(request.extensions().get::<MatchedPath>());
    let mut response = next.run(request).await;
    let took = start.elapsed();
    let status = response.status().as_u16();
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    app.metrics.request(method, path, status, took);
    if let Some(format) = app.log {
        let time = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
        let entry = Entry { time, id: &id, method, path, status, milliseconds: rounded(took) };
        // Without a reader of stderr, the service goes on.
        let _ = writeln!(std::io::stderr(), "{}", entry.line(format));
    }
    response
}

/// The client's id if it is one, else a new one.
fn id(given: Option<&HeaderValue>) -> String {
    let plain = |text: &&str| {
        (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    match given.and_then(|value| value.to_str().ok()).filter(plain) {
        Some(given) => given.to_owned(),
        None => {
            static COUNT: AtomicU64 = AtomicU64::new(0);
            // Seeded by the system's random numbers.
            let mut hasher = RandomState::new().build_hasher();
            hasher.write_u64(COUNT.fetch_add(1, Ordering::Relaxed));
            format!("{:016x}", hasher.finish())
        }
    }
}

/// The method, of which clients can invent any number.
fn method(method: &Method) -> &'static str {
    let known = ["GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"];
    known.into_iter().find(|name| method == name).unwrap_or("other")
}

/// The path of the route.
fn path(matched: Option<&MatchedPath>) -> &'static str {
    let pages = page::FILES.iter().map(|file| file.path);
    let mut all = PATHS.into_iter().chain(pages);
    let matched = matched.map(MatchedPath::as_str);
    all.find(|path| Some(*path) == matched).unwrap_or("other")
}

fn rounded(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e5).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_kept_or_made() {
        let given = |text: &str| id(Some(&HeaderValue::from_str(text).unwrap()));
        assert_eq!(given("a-1_b.c"), "a-1_b.c");
        for bad in ["", "with space", "\"quoted\"", &"x".repeat(65)] {
            assert_eq!(given(bad).len(), 16);
        }
        assert_ne!(id(None), id(None));
    }

    #[test]
    fn entries_are_lines() {
        let time = "2026-11-29T20:00:00Z".to_owned();
        let entry = Entry {
            time,
            id: "7",
            method: "POST",
            path: "/v1/estimate",
            status: 200,
            milliseconds: rounded(Duration::from_micros(12_345)),
        };
        assert_eq!(
            entry.line(LogFormat::Text),
            "2026-11-29T20:00:00Z id=7 method=POST path=/v1/estimate status=200 milliseconds=12.35"
        );
        assert_eq!(
            entry.line(LogFormat::Json),
            r#"{"time":"2026-11-29T20:00:00Z","id":"7","method":"POST","path":"/v1/estimate","status":200,"milliseconds":12.35}"#
        );
    }
}
