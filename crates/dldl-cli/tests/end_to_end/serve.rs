//! `dldl serve` end to end: a process that is started, asked and ended.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::common::{age, dldl, estimate, portrait, run};

/// A process and its address.
struct Service {
    process: Child,
    address: String,
    log: BufReader<std::process::ChildStderr>,
}

fn start(more: &[&str]) -> Service {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("dldl"));
    command.args(["serve", "--listen", "127.0.0.1:0"]).args(more).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut log = BufReader::new(process.stderr.take().unwrap());
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on http://").expect("an address").to_owned();
    Service { process, address, log }
}

impl Service {
    /// Status and body of the answer.
    fn post(&self, query: &str, headers: &str, body: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let length = body.len();
        let head = format!(
            "POST /v1/estimate{query} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\
             Content-Length: {length}\r\n{headers}\r\n"
        );
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// Exit code and log after SIGTERM.
    #[cfg(unix)]
    fn end(mut self) -> (Option<i32>, String) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let code = self.process.wait().unwrap().code();
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).unwrap();
        (code, rest)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
    }
}

#[test]
#[cfg(unix)]
fn the_service_gives_the_ages_of_the_command_line() {
    let service = start(&["--log", "json", "--threshold", "18"]);
    let picture = std::fs::read(portrait()).unwrap();
    let (status, body) = service.post("?level=0.8", "X-Request-Id: first\r\n", &picture);
    let record: Value = serde_json::from_str(&body).unwrap();
    let face = &record["faces"][0];
    let expected = estimate(&[&portrait()], &["--interval", "0.8"]).1.swap_remove(0);
    assert_eq!((status, age(face)), (200, age(&expected["faces"][0])));
    assert_eq!(face["age"]["interval"], expected["faces"][0]["age"]["interval"]);
    assert_eq!(face["age"]["at_least"][0]["threshold"], 18.0);
    assert_eq!(service.post("", "", b"secret words").0, 415);

    let (code, log) = service.end();
    assert_eq!(code, Some(0), "{log}");
    let first: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert_eq!((&first["id"], &first["status"]), (&"first".into(), &200.into()));
    assert_eq!((&first["path"], first["time"].is_string()), (&"/v1/estimate".into(), true));
    // Neither queries nor contents are logged.
    assert!(!log.contains("level") && !log.contains("secret"), "{log}");
}

#[test]
fn tokens_are_read_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokens.txt");
    std::fs::write(&file, "# for the shop\nopen-sesame\n").unwrap();
    let service = start(&["--token-file", file.to_str().unwrap(), "--log", "none"]);
    let picture = std::fs::read(portrait()).unwrap();
    assert_eq!(service.post("", "", &picture).0, 401);
    assert_eq!(service.post("", "Authorization: Bearer open-sesame\r\n", &picture).0, 200);

    std::fs::write(&file, "\n").unwrap();
    let empty = run(dldl().args(["serve", "--token-file"]).arg(&file));
    assert_eq!(empty.code, 2);
    assert!(
        empty.stderr.contains("tokens.txt") && empty.stderr.contains("no token"),
        "{}",
        empty.stderr
    );
}

#[test]
fn requests_that_cannot_be_served_are_refused() {
    for (arguments, part) in [
        (&["--listen", "0.0.0.0:0"][..], "--token-file"),
        (&["--listen", "nowhere"], "127.0.0.1:8080"),
        (&["--cors", "example.com"], "https://example.com"),
        (&["--token-file", "missing.txt"], "missing.txt"),
        (&["--model", "huge"], "huge"),
    ] {
        let refused = run(dldl().arg("serve").args(arguments));
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{}", refused.stderr);
        assert!(refused.stderr.contains(part), "{arguments:?}: {}", refused.stderr);
    }
}
