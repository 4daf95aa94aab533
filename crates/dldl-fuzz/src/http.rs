//! Requests to the service, as they come from the network.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::OnceLock;
use std::time::Duration;

use dldl::{Estimator, RecordOptions};
use dldl_serve::{Config, Server};

/// The service, which runs until the end of the process.
fn service() -> SocketAddr {
    static ADDRESS: OnceLock<SocketAddr> = OnceLock::new();
    *ADDRESS.get_or_init(|| {
        let config = Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            max_body: 100_000,
            max_pixels: 1 << 16,
            timeout: Duration::from_secs(5),
            threads: 1,
            ..Config::default()
        };
        let estimator = Estimator::load("tiny").expect("the model is built in");
        let server = Server::bind(config, estimator, RecordOptions::default());
        let server = server.expect("a port of this machine is free");
        let address = server.address();
        std::thread::spawn(move || server.run().expect("the service runs"));
        address
    })
}

/// Sends the bytes and reads to the end of the answer. Whatever was sent, the answer, if there is
/// one, is HTTP, and none says that the service failed.
pub(crate) fn request(bytes: &[u8]) {
    let mut connection = TcpStream::connect(service()).expect("the service accepts connections");
    let wait = Some(Duration::from_secs(10));
    connection.set_read_timeout(wait).expect("ten seconds are a time");
    // The service may close the connection before it has read all.
    let _ = connection.write_all(bytes);
    let _ = connection.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    match connection.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(e) => panic!("no end of the answer: {e}"),
    }
    if !answer.is_empty() {
        assert!(answer.starts_with(b"HTTP/1."), "{}", String::from_utf8_lossy(&answer));
        assert!(!answer[8..].starts_with(b" 500"), "{}", String::from_utf8_lossy(&answer));
    }
}
