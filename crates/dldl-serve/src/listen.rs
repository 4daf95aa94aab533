//! Connections: accepted up to a number, with a limit for slow heads, and finished in an
//! orderly way.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use dldl::{Estimator, RecordOptions};
use dldl_face::DecodeOptions;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout, timeout_at};

use crate::api::{self, App};
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::upload::Memory;
use crate::{Access, Config};

/// The most connections at a time; others wait to be accepted.
const MAX_CONNECTIONS: usize = 512;

/// The most time for the head of a request, and between two requests of a connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait after a connection could not be accepted, as when files run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// When the service stops: how long to wait for connections that the system has accepted
/// already. Those that are there after it are taken too.
const BACKLOG_TIME: Duration = Duration::from_millis(20);

/// The bodies of this many requests at the limit of size fit into memory at a time.
const LARGE_BODIES: usize = 16;

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// With [`Access::Local`], an address that others can reach.
    #[error(
        "listening on {0}, which others can reach, needs tokens (--token-file), or \
         --allow-anonymous if everybody may use the service"
    )]
    Open(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// Not an origin.
    #[error("invalid origin `{0}`: expected one such as https://example.com, or *")]
    Origin(String),
    /// The system refuses threads or the network.
    #[error("cannot start the service")]
    System(#[from] io::Error),
}

/// A service that listens. [`run`](Self::run) answers.
pub struct Server {
    listener: std::net::TcpListener,
    address: SocketAddr,
    app: Arc<App>,
    router: Router,
    stop: watch::Sender<bool>,
}

/// Stops a service from another thread.
#[derive(Clone, Debug)]
pub struct Stopper(watch::Sender<bool>);

impl Stopper {
    /// Begins to stop: what was accepted is answered.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Server {
    /// Listens. Requests wait until [`run`](Self::run).
    ///
    /// `defaults` is what a record contains if the request does not say.
    ///
    /// # Errors
    /// [`ServeError`].
    pub fn bind(
        config: Config,
        estimator: Estimator,
        defaults: RecordOptions,
    ) -> Result<Self, ServeError> {
        if matches!(config.access, Access::Local) && !config.listen.ip().is_loopback() {
            return Err(ServeError::Open(config.listen));
        }
        if let Some(bad) = config.cors.iter().find(|origin| !is_origin(origin)) {
            return Err(ServeError::Origin(bad.clone()));
        }
        let listen = |source| ServeError::Listen { address: config.listen, source };
        let listener = std::net::TcpListener::bind(config.listen).map_err(listen)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let metrics = Arc::new(Metrics::new(&estimator.engine().info().name));
        let estimator = Arc::new(estimator);
        let max_memory = DecodeOptions::default().max_memory;
        let decode = DecodeOptions {
            max_pixels: config.max_pixels,
            max_memory: max_memory.max(4 * config.max_pixels),
            ..DecodeOptions::default()
        };
        let queue =
            Queue::start(estimator.clone(), decode, metrics.clone(), config.threads, config.queue)?;
        let app = Arc::new(App {
            estimator,
            defaults,
            queue,
            memory: Memory::new(LARGE_BODIES * config.max_body),
            metrics,
            access: config.access,
            max_body: config.max_body,
            timeout: config.timeout,
            log: config.log,
            stopping: AtomicBool::new(false),
        });
        let router = api::router(app.clone(), &config.cors);
        Ok(Self { listener, address, app, router, stop: watch::Sender::new(false) })
    }

    /// The address, with the port that was chosen for 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops [`run`](Self::run).
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stop.clone())
    }

    /// Answers requests until it is stopped. Then no connection is accepted any more, and
    /// what was accepted is answered, within the time limit of a request.
    ///
    /// # Errors
    /// [`ServeError::System`].
    pub fn run(self) -> Result<(), ServeError> {
        // The work is done by other threads; this one copies bytes.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.serve())
    }

    async fn serve(self) -> Result<(), ServeError> {
        let listener = TcpListener::from_std(self.listener)?;
        let service = TowerToHyperService::new(self.router);
        let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let graceful = GracefulShutdown::new();
        let mut http = http1::Builder::new();
        let head_timeout = HEAD_TIMEOUT.min(self.app.timeout);
        http.timer(TokioTimer::new()).header_read_timeout(head_timeout);
        let connect = |stream: TcpStream, place| {
            // Answers are small: waiting for more would delay them.
            let _ = stream.set_nodelay(true);
            let connection = http.serve_connection(TokioIo::new(stream), service.clone());
            let connection = graceful.watch(connection);
            tokio::spawn(async move {
                // An error is the client's end of the connection.
                let _ = connection.await;
                drop(place);
            });
        };
        let mut stop = self.stop.subscribe();
        let mut stopped = pin!(stop.wait_for(|stop| *stop));
        loop {
            let accepted = async {
                let place = connections.clone().acquire_owned().await.expect("never closed");
                (listener.accept().await, place)
            };
            tokio::select! {
                _ = &mut stopped => break,
                (accepted, place) = accepted => match accepted {
                    Ok((stream, _)) => connect(stream, place),
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
            }
        }
        self.app.stopping.store(true, Ordering::Relaxed);
        // Connections that the system has accepted are ours too.
        let until = Instant::now() + BACKLOG_TIME;
        while let Ok(place) = connections.clone().try_acquire_owned()
            && let Ok(Ok((stream, _))) = timeout_at(until, listener.accept()).await
        {
            connect(stream, place);
        }
        drop(listener);
        let grace = self.app.timeout + HEAD_TIMEOUT;
        let _ = timeout(grace, graceful.shutdown()).await;
        self.app.queue.close();
        Ok(())
    }
}

/// Whether a browser may send this as an origin.
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    text == "*"
        || host.is_some_and(|host| {
            !host.is_empty() && host.bytes().all(|b| b.is_ascii_graphic() && b != b'/')
        })
}
