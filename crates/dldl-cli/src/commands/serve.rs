//! `dldl serve`: the HTTP service of `dldl-serve`.

use std::io::Write;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use dldl_serve::{Access, Config, LogFormat, Server, Tokens};

use crate::interrupt;
use crate::outcome::{Outcome, UsageError};
use crate::shared_args::{FaceArgs, ThreadArgs};

/// Estimate ages over HTTP
///
/// Listens for pictures and answers with the records of `dldl estimate` as JSON. Pictures
/// are bytes in a request: nothing is fetched, stored or logged. A page for browsers is at
/// the address itself, and the description of the interface at /openapi.json.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Address and port to listen on. Others than this machine's own need --token-file or
    /// --allow-anonymous
    #[arg(short, long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080",
          value_parser = address)]
    listen: SocketAddr,

    /// File of tokens, one per line: requests need the header `Authorization: Bearer TOKEN`
    #[arg(long, value_name = "FILE", conflicts_with = "allow_anonymous")]
    token_file: Option<PathBuf>,

    /// Let everybody who can reach the address use the service
    #[arg(long)]
    allow_anonymous: bool,

    #[command(flatten)]
    face: FaceArgs,

    /// Largest body of a request, in megabytes
    #[arg(long, value_name = "N", default_value_t = 20,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    max_body: u32,

    /// Largest picture, in megapixels
    #[arg(long, value_name = "N", default_value_t = 50,
          value_parser = clap::value_parser!(u32).range(1..=4000))]
    max_pixels: u32,

    /// How many pictures may wait; further requests are answered with status 503
    #[arg(long, value_name = "N", default_value_t = 64,
          value_parser = clap::value_parser!(u32).range(0..=100_000))]
    queue: u32,

    /// Time from a request to its answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30,
          value_parser = clap::value_parser!(u32).range(1..=3600))]
    timeout: u32,

    /// Origin of web pages that may use the service, such as https://example.com, or *. May
    /// be given several times
    #[arg(long, value_name = "ORIGIN")]
    cors: Vec<String>,

    /// A line on stderr for each request, without contents
    #[arg(long, value_enum, default_value_t = Log::Text)]
    log: Log,

    #[command(flatten)]
    threads: ThreadArgs,
}

/// The form of the log.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Log {
    /// name=value
    Text,
    /// JSON
    Json,
    /// No log
    None,
}

const EXAMPLES: &str = "\
Examples:
  dldl serve
  dldl serve --listen 0.0.0.0:8080 --token-file tokens.txt --log json
  curl --data-binary @portrait.jpg 'http://127.0.0.1:8080/v1/estimate?threshold=25'
  curl -F file=@a.jpg -F file=@b.jpg http://127.0.0.1:8080/v1/estimate

POST /v1/estimate takes level, distribution, threshold, min_quality and task in its query; the
options below are what holds without them. GET: /v1/models, /livez, /readyz, /metrics
(Prometheus), /openapi.json. Errors are application/problem+json (RFC 9457). SIGTERM or Ctrl-C
ends the service after what was accepted is answered.

docs/serving.md has what to know for production.

Exit codes: 0 stopped, 1 the service failed, 2 usage error.";

fn address(text: &str) -> Result<SocketAddr, String> {
    let expected = || "expected an address and a port, such as 127.0.0.1:8080".to_owned();
    text.to_socket_addrs().map_err(|_| expected())?.next().ok_or_else(expected)
}

pub fn run(args: Args) -> Result<Outcome> {
    let access = match &args.token_file {
        Some(path) => {
            let read = |source| UsageError::Read { path: path.clone(), source };
            Access::Tokens(Tokens::read(path).map_err(read)?)
        }
        None if args.allow_anonymous => Access::Anonymous,
        None => Access::Local,
    };
    let (estimator, defaults) = args.face.load()?;
    let config = Config {
        listen: args.listen,
        access,
        max_body: args.max_body as usize * 1_000_000,
        max_pixels: u64::from(args.max_pixels) * 1_000_000,
        queue: args.queue as usize,
        threads: args.threads.count(),
        timeout: Duration::from_secs(args.timeout.into()),
        cors: args.cors,
        log: match args.log {
            Log::Text => Some(LogFormat::Text),
            Log::Json => Some(LogFormat::Json),
            Log::None => None,
        },
    };
    let server = Server::bind(config, estimator, defaults).map_err(UsageError::new)?;
    let stopper = server.stopper();
    interrupt::handle("answering what was accepted", move || stopper.stop());
    // On stderr, as the log: a program that starts the service waits for this line.
    let _ = writeln!(std::io::stderr(), "listening on http://{}", server.address());
    server.run()?;
    Ok(Outcome::Complete)
}
