//! The service over real connections.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use dldl::{Estimator, PictureRecord, RecordOptions};
use dldl_serve::{Access, Config, ServeError, Server, Stopper, Tokens};
use serde_json::Value;

/// A running service, stopped when dropped.
struct Service {
    address: SocketAddr,
    stopper: Stopper,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
}

fn config() -> Config {
    Config { listen: ([127, 0, 0, 1], 0).into(), ..Config::default() }
}

fn start(config: Config) -> Service {
    let estimator = Estimator::load("tiny").unwrap();
    let server = Server::bind(config, estimator, RecordOptions::default()).unwrap();
    let (address, stopper) = (server.address(), server.stopper());
    let thread = Some(thread::spawn(move || server.run()));
    Service { address, stopper, thread }
}

impl Service {
    /// Stops, and waits for the end.
    fn stop(&mut self) {
        self.stopper.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap().unwrap();
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    fn send(&self, head: &str, body: &[u8]) -> Reply {
        let mut stream = self.connect();
        stream.write_all(message(head, body).as_slice()).unwrap();
        read(&mut stream)
    }

    fn get(&self, path: &str) -> Reply {
        self.send(&format!("GET {path}"), b"")
    }

    fn post(&self, query: &str, body: &[u8]) -> Reply {
        self.send(&format!("POST /v1/estimate{query}"), body)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stopper.stop();
    }
}

/// A request; `head` is method and path, and headers in further lines.
fn message(head: &str, body: &[u8]) -> Vec<u8> {
    let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
    let headers: String = headers.lines().map(|line| format!("{line}\r\n")).collect();
    let length = body.len();
    let text = format!(
        "{line} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {length}\r\n\
         {headers}\r\n"
    );
    [text.as_bytes(), body].concat()
}

/// An answer.
#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1);
        let mut fields = lines.filter_map(|line| line.split_once(": "));
        fields.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Checks the form of a problem.
    fn assert_problem(&self, status: u16, code: &str, part: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(
            (problem["status"].as_u64(), &problem["type"]),
            (Some(status.into()), &"about:blank".into())
        );
        assert_eq!(problem["code"], code, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(part), "{problem}");
    }
}

fn read(stream: &mut TcpStream) -> Reply {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).unwrap_or("0").parse().unwrap();
    Reply { status, head: head.replace("\r\n", "\n"), body: body.to_owned() }
}

fn portrait() -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/astronaut.jpg");
    std::fs::read(path).unwrap()
}

/// The record that the library makes.
fn expected(options: &RecordOptions, name: &str) -> PictureRecord {
    let estimator = Estimator::load("tiny").unwrap();
    let picture = dldl::decode(&portrait()).unwrap();
    let faces = estimator.estimate(&picture).unwrap();
    PictureRecord::new(name.to_owned(), "tiny", &picture, &faces, options)
}

fn multipart(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, bytes) in parts {
        let head = format!(
            "--frontier\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n"
        );
        body.extend([head.as_bytes(), bytes, b"\r\n"].concat());
    }
    body.extend(b"--frontier--\r\n");
    body
}

const MULTIPART: &str = "POST /v1/estimate\nContent-Type: multipart/form-data; boundary=frontier";

#[test]
fn pictures_get_the_records_of_the_library() {
    let service = start(config());
    let one = service.post("", &portrait());
    assert_eq!((one.status, one.header("content-type")), (200, Some("application/json")));
    assert_eq!(one.header("cache-control"), Some("no-store"));
    let record: PictureRecord = serde_json::from_str(&one.body).unwrap();
    assert_eq!(record, expected(&RecordOptions::default(), "body"));

    let all = service.post("?level=0.5&threshold=25&distribution&task=age", &portrait());
    let record: PictureRecord = serde_json::from_str(&all.body).unwrap();
    let options = RecordOptions {
        level: 0.5,
        thresholds: vec![25.0],
        distribution: true,
        ..RecordOptions::default()
    };
    let mut wanted = expected(&options, "body");
    wanted.faces[0].attractiveness = None;
    assert_eq!(record, wanted);
    assert!(record.faces[0].age.as_ref().unwrap().at_least[0].probability > 0.5);

    // Of several pictures, the others have their estimates.
    let parts =
        multipart(&[("a.jpg", &portrait()), ("b.jpg", b"no picture"), ("c.jpg", &portrait())]);
    let batch = service.send(MULTIPART, &parts);
    let records: Vec<PictureRecord> = serde_json::from_str(&batch.body).unwrap();
    assert_eq!(records.len(), 3);
    assert_eq!(records[0], expected(&RecordOptions::default(), "a.jpg"));
    assert_eq!(records[1].image, "b.jpg");
    assert!(records[1].error.as_ref().unwrap().contains("not a picture"), "{records:?}");
    assert_eq!(records[2].faces, records[0].faces);
}

#[test]
fn a_picture_without_a_face_is_no_error() {
    let service = start(config());
    let mut png = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(64, 48).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let reply = service.post("", png.get_ref());
    assert_eq!((reply.status, reply.json()["faces"].as_array().unwrap().len()), (200, 0));
}

#[test]
fn what_is_wrong_is_said() {
    let service = start(Config { max_body: 100_000, max_pixels: 1_000_000, ..config() });
    let mut cut = portrait();
    cut.truncate(20_000);
    service.post("", &cut).assert_problem(422, "damaged-picture", "JPEG");
    service.post("", b"not a picture").assert_problem(415, "unsupported-picture", "not a picture");
    service.post("", b"").assert_problem(400, "bad-body", "empty");
    service.post("", &[0; 100_001]).assert_problem(413, "body-too-large", "100000 bytes");
    let chunked = "POST /v1/estimate HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\
                   Transfer-Encoding: chunked\r\n\r\n";
    let mut stream = service.connect();
    let chunk = [b"10000\r\n", [7; 65536].as_slice(), b"\r\n"].concat();
    stream.write_all(&[chunked.as_bytes(), &chunk, &chunk, b"0\r\n\r\n"].concat()).unwrap();
    read(&mut stream).assert_problem(413, "body-too-large", "--max-body");
    let mut png = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(1001, 1000).write_to(&mut png, image::ImageFormat::Png).unwrap();
    service.post("", png.get_ref()).assert_problem(413, "picture-too-large", "1001x1000");
    service.post("?threshold=old", &portrait()).assert_problem(400, "bad-parameter", "`old`");
    service.post("?path=/etc/passwd", b"x").assert_problem(400, "bad-parameter", "`path`");
    let form = "POST /v1/estimate\nContent-Type: application/json";
    service.send(form, b"{}").assert_problem(415, "unsupported-type", "application/json");
    service.get("/v2/estimate").assert_problem(404, "not-found", "/v2/estimate");
    service.get("/v1/estimate").assert_problem(405, "method-not-allowed", "GET");
    assert!(service.get("/v1/estimate").header("allow").is_some_and(|a| a.contains("POST")));
}

#[test]
fn others_need_a_token() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokens.txt");
    std::fs::write(&file, "an-accepted-token\n").unwrap();
    let access = Access::Tokens(Tokens::read(&file).unwrap());
    let service = start(Config { access, ..config() });
    let refused = service.post("", &portrait());
    refused.assert_problem(401, "unauthorized", "Bearer");
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    let with = |path: &str, token: &str| {
        service.send(&format!("{path}\nAuthorization: Bearer {token}"), &portrait()).status
    };
    assert_eq!(with("POST /v1/estimate", "an-accepted-token"), 200);
    assert_eq!(with("POST /v1/estimate", "another-token"), 401);
    assert_eq!((service.get("/v1/models").status, service.get("/metrics").status), (401, 401));
    assert_eq!(with("GET /metrics", "an-accepted-token"), 200);
    assert_eq!((service.get("/livez").status, service.get("/openapi.json").status), (200, 200));
}

#[test]
fn addresses_for_others_are_not_open_by_accident() {
    let bind = |config| {
        Server::bind(config, Estimator::load("tiny").unwrap(), RecordOptions::default()).map(|_| ())
    };
    let everywhere = Config { listen: ([0, 0, 0, 0], 0).into(), ..Config::default() };
    let refused = bind(everywhere.clone()).unwrap_err().to_string();
    assert!(refused.contains("0.0.0.0") && refused.contains("--token-file"), "{refused}");
    bind(Config { access: Access::Anonymous, ..everywhere }).unwrap();
    for bad in ["example.com", "https://", "https://a/b"] {
        let refused = bind(Config { cors: vec![bad.into()], ..config() }).unwrap_err();
        assert!(refused.to_string().contains(bad), "{refused}");
    }
    let taken = start(config());
    let refused = bind(Config { listen: taken.address, ..Config::default() }).unwrap_err();
    assert!(matches!(refused, ServeError::Listen { .. }), "{refused}");
}

#[test]
fn other_routes_describe_the_service() {
    let service = start(Config { cors: vec!["https://example.com".into()], ..config() });
    service.post("", &portrait());
    let metrics = service.get("/metrics");
    for part in [
        r#"dldl_http_requests_total{method="POST",path="/v1/estimate",code="200"} 1"#,
        "dldl_faces_total 1",
        "dldl_queue_depth 0",
        r#"dldl_stage_seconds_count{stage="detect"} 1"#,
    ] {
        assert!(metrics.body.contains(part), "{part}: {}", metrics.body);
    }
    assert_eq!(service.get("/v1/models").json()["models"][0]["name"], "tiny");
    assert_eq!(service.get("/openapi.json").json()["info"]["title"], "dldl");
    assert_eq!(
        (service.get("/livez").body, service.get("/readyz").body),
        ("ok".into(), "ok".into())
    );
    let page = service.get("/");
    assert!(page.header("content-security-policy").unwrap().contains("connect-src 'self'"));
    // Every file that the page names is there.
    let modules = service.get("/app.js").body;
    let names = [r#"href=""#, r#"src=""#, "from './"].map(|before| {
        let parts = page.body.split(before).skip(1).chain(modules.split(before).skip(1));
        parts.map(|part| part.split(['"', '\'']).next().unwrap().to_owned()).collect::<Vec<_>>()
    });
    assert_eq!(names.concat().len(), 8, "{names:?}");
    for name in names.concat() {
        assert_eq!(service.get(&format!("/{name}")).status, 200, "{name}");
    }
    let id = |head: &str| service.send(head, b"").header("x-request-id").unwrap().to_owned();
    assert_eq!(id("GET /livez\nX-Request-Id: mine-1"), "mine-1");
    assert_eq!(id("GET /livez").len(), 16);
    let preflight = "OPTIONS /v1/estimate\nOrigin: https://example.com\n\
                     Access-Control-Request-Method: POST";
    let allowed = service.send(preflight, b"");
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://example.com"));
}

/// Ten clients at once, one thread, room for two: some are refused, the others are answered,
/// and nothing else happens.
#[test]
fn what_does_not_fit_is_refused_at_once() {
    let service = start(Config { threads: 1, queue: 1, ..config() });
    let (portrait, service) = (&portrait(), &service);
    let replies: Vec<Reply> = thread::scope(|scope| {
        let clients: Vec<_> = (0..10)
            .map(|_| {
                scope.spawn(move || (0..6).map(|_| service.post("", portrait)).collect::<Vec<_>>())
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    let (fine, rest): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 200);
    assert!(!fine.is_empty() && !rest.is_empty(), "{} of {}", fine.len(), replies.len());
    for reply in rest {
        reply.assert_problem(503, "busy", "try again");
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
    let ages: Vec<_> =
        fine.iter().map(|reply| reply.json()["faces"][0]["age"]["value"].clone()).collect();
    assert!(ages.iter().all(|age| *age == ages[0] && age.is_number()), "{ages:?}");
    let three = multipart(&[("a", portrait), ("b", portrait), ("c", portrait)]);
    service.send(MULTIPART, &three).assert_problem(413, "too-many-pictures", "at most 2");
}

#[test]
fn slow_clients_are_cut_off() {
    let service = start(Config { timeout: Duration::from_secs(1), ..config() });
    let mut body = service.connect();
    body.write_all(b"POST /v1/estimate HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: 1000\r\n\r\nslow").unwrap();
    let mut head = service.connect();
    head.write_all(b"POST /v1/estimate HTTP/1.1\r\nHost").unwrap();
    // Others are not affected.
    assert_eq!(service.get("/livez").status, 200);
    let start = Instant::now();
    let mut rest = Vec::new();
    head.read_to_end(&mut rest).unwrap();
    read(&mut body).assert_problem(408, "slow-body", "--timeout");
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_stopping_service_answers_what_it_accepted() {
    let mut service = start(Config { threads: 1, ..config() });
    // Sent before the stop; some are still in the backlog of the listener.
    let mut streams: Vec<TcpStream> = (0..8)
        .map(|_| {
            let mut stream = service.connect();
            stream.write_all(&message("POST /v1/estimate", &portrait())).unwrap();
            stream
        })
        .collect();
    service.stopper.stop();
    for stream in &mut streams {
        assert_eq!(read(stream).status, 200);
    }
    service.stop();
    assert!(TcpStream::connect(service.address).is_err());
}

/// Clients that connect again and again do not keep a service from stopping.
#[test]
fn a_service_stops_although_clients_keep_connecting() {
    let mut service = start(config());
    let address = service.address;
    let clients: Vec<_> = (0..8)
        .map(|_| {
            thread::spawn(move || {
                let mut answers = 0;
                while let Ok(mut stream) = TcpStream::connect(address) {
                    let request = b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
                    let mut answer = Vec::new();
                    let sent = stream.write_all(request);
                    if sent.and_then(|()| stream.read_to_end(&mut answer)).is_ok() {
                        answers += 1;
                    }
                }
                answers
            })
        })
        .collect();
    thread::sleep(Duration::from_millis(300));
    // Does not return otherwise.
    service.stop();
    let answers: usize = clients.into_iter().map(|client| client.join().unwrap()).sum();
    assert!(answers > 0, "{answers}");
}
