//! The page for browsers, inside the binary. Its files are in `web`.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};

/// A file of the page.
pub(crate) struct File {
    pub path: &'static str,
    kind: &'static str,
    content: &'static str,
}

macro_rules! file {
    ($path:literal, $kind:literal, $name:literal) => {
        File { path: $path, kind: $kind, content: include_str!(concat!("../web/", $name)) }
    };
}

/// All files.
pub(crate) static FILES: [File; 9] = [
    file!("/", "text/html; charset=utf-8", "index.html"),
    file!("/style.css", "text/css; charset=utf-8", "style.css"),
    file!("/icon.svg", "image/svg+xml", "icon.svg"),
    file!("/app.js", "text/javascript; charset=utf-8", "app.js"),
    file!("/camera.js", "text/javascript; charset=utf-8", "camera.js"),
    file!("/curve.js", "text/javascript; charset=utf-8", "curve.js"),
    file!("/draw.js", "text/javascript; charset=utf-8", "draw.js"),
    file!("/engine.js", "text/javascript; charset=utf-8", "engine.js"),
    file!("/table.js", "text/javascript; charset=utf-8", "table.js"),
];

/// Nothing is loaded from elsewhere, and nothing goes elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

impl File {
    /// The answer with this file.
    pub fn response(&self) -> Response {
        let headers = [
            (CONTENT_TYPE, self.kind),
            (HeaderName::from_static("content-security-policy"), POLICY),
            (HeaderName::from_static("referrer-policy"), "no-referrer"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            // A new version of the service has a new page.
            (CACHE_CONTROL, "no-cache"),
        ];
        (headers, self.content).into_response()
    }
}
