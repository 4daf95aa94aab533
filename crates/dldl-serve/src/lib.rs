//! Ages of faces over HTTP. A request's picture waits in a bounded queue (`queue`) for one
//! of a fixed number of threads; what does not fit is refused at once, so that neither
//! memory nor waiting times grow under load.
//!
//! `api` has the handlers, `upload` reads bodies, `parameters` the query, `problem` is the
//! form of errors, `page` the page for browsers, `observe` logs and counts requests, `listen` accepts connections and
//! stops in an orderly way. Pictures are bytes in a request: nothing is fetched, and nothing
//! is stored.
//!
//! ```no_run
//! use dldl::{Estimator, RecordOptions};
//! use dldl_serve::{Config, Server};
//!
//! let config = Config::default();
//! let server = Server::bind(config, Estimator::load("tiny")?, RecordOptions::default())?;
//! println!("listening on http://{}", server.address());
//! server.run()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod access;
mod api;
mod listen;
mod metrics;
mod observe;
mod openapi;
mod page;
mod parameters;
mod problem;
mod queue;
mod upload;

pub use access::{Access, Tokens};
pub use listen::{ServeError, Server, Stopper};
pub use observe::LogFormat;

use std::net::SocketAddr;
use std::time::Duration;

/// How to serve.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address to listen on; port 0 is any free one.
    pub listen: SocketAddr,
    /// Who may use the service.
    pub access: Access,
    /// The largest body of a request, in bytes.
    pub max_body: usize,
    /// The largest picture, in pixels.
    pub max_pixels: u64,
    /// The number of pictures that may wait, beside those in progress.
    pub queue: usize,
    /// The number of pictures in progress at a time; 0 means one per processor.
    pub threads: usize,
    /// The time from the head of a request to its answer.
    pub timeout: Duration,
    /// Origins of web pages that may use the service (`https://example.com`), or `*`.
    pub cors: Vec<String>,
    /// The form of the log, on stderr; none without one.
    pub log: Option<LogFormat>,
}

impl Default for Config {
    /// On port 8080, for this machine alone: bodies of 20 megabytes, pictures of 50
    /// megapixels, 64 pictures in the queue, a thread per processor, half a minute.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            access: Access::Local,
            max_body: 20_000_000,
            max_pixels: 50_000_000,
            queue: 64,
            threads: 0,
            timeout: Duration::from_secs(30),
            cors: Vec::new(),
            log: None,
        }
    }
}
