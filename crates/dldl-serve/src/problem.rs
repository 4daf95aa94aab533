//! Errors as `application/problem+json` (RFC 9457), with a `code` for programs and a
//! `detail` that says what is wrong and what to do.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use dldl::Error;
use dldl_face::FaceError;
use serde::Serialize;

use crate::api;

/// Why a request has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub status: StatusCode,
    /// A short name of the kind of problem.
    pub code: &'static str,
    pub detail: String,
}

/// The body of a response to a request that failed.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(title = "Problem (RFC 9457)")]
pub(crate) struct ProblemBody<'a> {
    /// Always `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The status code.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// The kind of problem, for programs.
    #[schema(example = "damaged-picture")]
    code: &'static str,
    /// What is wrong, and what to do.
    detail: &'a str,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into() }
    }

    pub fn bad_parameter(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-parameter", detail)
    }

    pub fn bad_body(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-body", detail)
    }

    pub fn unauthorized() -> Self {
        let detail = "expected a header `Authorization: Bearer TOKEN` with an accepted token";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    pub fn not_found(path: &str) -> Self {
        let detail = format!("there is nothing at {path}: see /openapi.json");
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    pub fn method(method: &str, path: &str) -> Self {
        let detail = format!("{path} does not support {method}: see /openapi.json");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
    }

    pub fn unsupported_type(kind: &str) -> Self {
        let shown: String = kind.chars().take(60).collect();
        let detail = format!(
            "Content-Type {shown}: expected image/*, application/octet-stream, or \
             multipart/form-data with parts `file`"
        );
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-type", detail)
    }

    pub fn body_too_large(limit: usize) -> Self {
        let detail = format!("the body is larger than {limit} bytes (--max-body)");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail)
    }

    pub fn too_many_pictures(count: usize, limit: usize) -> Self {
        let detail = format!("{count} pictures in one request: send at most {limit}");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-many-pictures", detail)
    }

    pub fn slow_body() -> Self {
        let detail = "the body did not arrive in time (--timeout)";
        Self::new(StatusCode::REQUEST_TIMEOUT, "slow-body", detail)
    }

    pub fn busy() -> Self {
        let detail = "all places in the queue are taken: try again later";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail)
    }

    pub fn stopping() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the service is being stopped")
    }

    pub fn timeout() -> Self {
        let detail = "the estimate was not ready in time (--timeout): try again later";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", detail)
    }

    pub fn internal(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    /// The problem with a picture, or with the estimator.
    pub fn of(error: &Error) -> Self {
        let Error::Picture(error) = error else {
            return Self::internal(error.to_string());
        };
        let (status, code) = match error.cause() {
            FaceError::Empty => (StatusCode::BAD_REQUEST, "bad-body"),
            FaceError::NotAPicture(_) | FaceError::UnsupportedFormat(_) => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-picture")
            }
            FaceError::TooLarge { .. }
            | FaceError::TooMuchMemory(_)
            | FaceError::FileTooLarge
            | FaceError::TooLargeForJpeg { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "picture-too-large")
            }
            FaceError::Truncated(_) | FaceError::Damaged { .. } | FaceError::NoPixels { .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, "damaged-picture")
            }
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        Self::new(status, code, error.reason())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: &self.detail,
        };
        let mut response = api::json(&body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match self.status {
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_have_problems_of_their_own() {
        let of = |bytes: &[u8]| {
            let problem = Problem::of(&Error::Picture(dldl::decode(bytes).unwrap_err()));
            (problem.status.as_u16(), problem.code)
        };
        assert_eq!(of(b""), (400, "bad-body"));
        assert_eq!(of(b"%PDF-1.7 and so on"), (415, "unsupported-picture"));
        assert_eq!(of(b"\xFF\xD8\xFF\xE0 and nothing else"), (422, "damaged-picture"));
        let large = FaceError::TooLarge { width: 9, height: 9, max_pixels: 1 };
        assert_eq!(Problem::of(&Error::Picture(large)).status.as_u16(), 413);
    }

    #[test]
    fn busy_says_when_to_try_again() {
        let response = Problem::busy().into_response();
        assert_eq!(response.status().as_u16(), 503);
        assert_eq!(response.headers()[RETRY_AFTER], "1");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    }
}
