//! The HTTP transport over real sockets: what goes over the wire, what never does, and what a broken line means.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use provision::gitlab::credential::Credential;
use provision::gitlab::http::{ExtraRoots, HttpError, HttpOptions, HttpTransport};
use provision::gitlab::transport::{Method, REPLY_LIMIT, Request, Response, SendError, Transport};
use provision::instance::Instance;
use provision::secret::Secret;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::support::log::captured;

const CANARY: &str = "glpat-canary0123456789abcd";
const OK: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";

/// A server that reads one request per connection and answers from a script; an empty answer closes the connection.
struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn new<T: AsRef<[u8]> + Send + 'static>(script: Vec<T>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = seen.clone();
        std::thread::spawn(move || {
            for answer in script {
                let Ok((mut stream, _)) = listener.accept() else { return };
                let request = read_request(&mut stream);
                record.lock().unwrap().push(request);
                let _ = stream.write_all(answer.as_ref());
            }
        });
        Self { port, seen }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn read_request(stream: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if bytes.first() == Some(&0x16) {
            return "TLS hello".to_owned();
        }
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return text,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

fn request_with(token: &str, base: &str, method: Method, body: Option<serde_json::Value>) -> Request {
    let instance: Instance = base.parse().unwrap();
    let credential =
        Credential::new(instance.origin().clone(), &Secret::new(token.to_owned()), "GITLAB_TOKEN").unwrap();
    let mut url = instance.api(["groups", "a/b"]);
    url.query_pairs_mut().append_pair("query", "hidden");
    Request::new(method, url, Rc::new(credential), body).unwrap()
}

fn request(base: &str, method: Method) -> Request {
    request_with(CANARY, base, method, None)
}

fn transport_with(base: &str, options: &HttpOptions) -> HttpTransport {
    HttpTransport::new(&base.parse().unwrap(), options).unwrap()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn send(base: &str, request: Request) -> Result<Response, SendError> {
    let transport = transport_with(base, &HttpOptions::default());
    run(transport.send(request))
}

#[test]
fn a_request_carries_the_token_in_one_header_and_nowhere_else() {
    let server = Server::new(vec![OK]);
    let reply = send(&server.url(), request(&server.url(), Method::Get)).unwrap();
    assert_eq!((reply.status, reply.body.as_slice()), (200, b"{}".as_slice()));
    let seen = server.seen().remove(0);
    assert!(seen.starts_with("GET /api/v4/groups/a%2Fb?query=hidden HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains(&format!("\r\nprivate-token: {CANARY}\r\n")), "{seen}");
    assert!(seen.contains("\r\nuser-agent: provision/"), "{seen}");
    assert_eq!(seen.matches("canary").count(), 1);
}

#[test]
fn an_oauth_token_goes_as_bearer() {
    let server = Server::new(vec![OK]);
    let token = "0123456789abcdef".repeat(4);
    send(&server.url(), request_with(&token, &server.url(), Method::Get, None)).unwrap();
    let seen = server.seen().remove(0);
    assert!(seen.contains(&format!("\r\nauthorization: Bearer {token}\r\n")), "{seen}");
    assert!(!seen.contains("private-token"), "{seen}");
}

#[test]
fn a_post_carries_json() {
    let server = Server::new(vec![OK]);
    let body = serde_json::json!({ "scopes": ["api"], "expires_at": null });
    send(&server.url(), request_with(CANARY, &server.url(), Method::Post, Some(body))).unwrap();
    let seen = server.seen().remove(0);
    assert!(seen.contains("\r\ncontent-type: application/json\r\n"), "{seen}");
    assert!(seen.ends_with("\r\n\r\n{\"scopes\":[\"api\"],\"expires_at\":null}"), "{seen}");
}

#[test]
fn a_line_that_breaks_after_the_request_leaves_the_outcome_unknown_and_is_not_tried_again() {
    for answer in [
        "",
        "HTTP/1.1 201 Cre",
        "HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{\"token\":",
        "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"tok",
        "not http at all\r\n\r\n",
    ] {
        let server = Server::new(vec![answer, OK]);
        let error = send(&server.url(), request(&server.url(), Method::Post)).unwrap_err();
        assert!(matches!(error, SendError::Unknown(_)), "{answer}: {error:?}");
        assert_eq!(server.seen().len(), 1, "{answer}");
    }
}

#[test]
fn a_post_on_a_connection_that_the_server_is_closing_arrives_at_most_once() {
    let keep_alive = OK.replace("Connection: close\r\n", "");
    for _ in 0..20 {
        let server = Server::new(vec![keep_alive.clone(), keep_alive.clone(), keep_alive.clone()]);
        let transport = transport_with(&server.url(), &HttpOptions::default());
        let outcome = run(async {
            transport.send(request(&server.url(), Method::Get)).await.unwrap();
            transport.send(request(&server.url(), Method::Post)).await
        });
        let posts = server.seen().iter().filter(|seen| seen.starts_with("POST ")).count();
        match outcome {
            Ok(_) => assert_eq!(posts, 1),
            Err(error) => assert!(matches!(error, SendError::Unknown(_)) && posts == 0, "{error:?}"),
        }
    }
}

#[test]
fn a_server_that_does_not_answer_in_time_leaves_the_outcome_unknown() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let options = HttpOptions { timeout: Duration::from_millis(30), ..HttpOptions::default() };
    let transport = transport_with(&base, &options);
    let error = run(transport.send(request(&base, Method::Post))).unwrap_err();
    assert!(matches!(&error, SendError::Unknown(reason) if reason.contains("in time")), "{error:?}");
}

#[test]
fn without_a_connection_the_request_was_certainly_not_sent() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let closed = format!("http://127.0.0.1:{port}");
    let error = send(&closed, request(&closed, Method::Post)).unwrap_err();
    assert!(matches!(&error, SendError::NotSent(reason) if reason.contains("refused")), "{error:?}");

    let plain = Server::new(vec![OK]);
    let over_tls = format!("https://127.0.0.1:{}", plain.port);
    let error = send(&over_tls, request(&over_tls, Method::Post)).unwrap_err();
    assert!(matches!(error, SendError::NotSent(_)), "{error:?}");
}

#[test]
fn a_redirect_is_reported_and_not_followed() {
    let other = Server::new(vec![OK]);
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let location = format!("{}/elsewhere", other.url());
        let answer = format!("HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        let server = Server::new(vec![answer.clone(), answer]);
        let reply = send(&server.url(), request(&server.url(), Method::Get)).unwrap();
        assert_eq!(reply.headers.location, Some(location));
        assert_eq!(server.seen().len(), 1);
    }
    assert!(other.seen().is_empty());
}

#[test]
fn a_transport_serves_one_origin_only() {
    let (own, other) = (Server::new(vec![OK]), Server::new(vec![OK]));
    let error = send(&own.url(), request(&other.url(), Method::Get)).unwrap_err();
    assert!(matches!(error, SendError::NotSent(_)), "{error:?}");
    assert!(other.seen().is_empty());
}

#[test]
fn a_reply_is_read_up_to_its_limit_and_not_beyond() {
    let reply = |size: usize| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n");
        [head.into_bytes(), vec![b' '; size]].concat()
    };
    let endless =
        |size: usize| [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec(), vec![b' '; size]].concat();
    let server = Server::new(vec![
        reply(REPLY_LIMIT),
        endless(REPLY_LIMIT),
        reply(REPLY_LIMIT + 1),
        endless(REPLY_LIMIT + 1),
    ]);
    for _ in 0..2 {
        let reply = send(&server.url(), request(&server.url(), Method::Get)).unwrap();
        assert_eq!(reply.body.len(), REPLY_LIMIT);
    }
    for _ in 0..2 {
        let error = send(&server.url(), request(&server.url(), Method::Get)).unwrap_err();
        assert_eq!(error, SendError::TooLarge);
    }
}

#[test]
fn the_log_has_method_path_and_status_and_neither_token_query_nor_body() {
    let body = "{\"token\":\"glpat-minted-canary\"}";
    let answer =
        format!("HTTP/1.1 201 Created\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    let server = Server::new(vec![answer, String::new()]);
    let ((), log) = captured(|| {
        send(&server.url(), request(&server.url(), Method::Post)).unwrap();
        send(&server.url(), request(&server.url(), Method::Post)).unwrap_err();
    });
    assert!(log.contains("method=POST path=\"/api/v4/groups/a%2Fb\" status=201"), "{log}");
    assert!(log.contains("no reply"), "{log}");
    for hidden in ["canary", "hidden"] {
        assert!(!log.contains(hidden), "{log}");
    }
}

/// Serves TLS with a certificate of the authority in fixtures/tls; its key was thrown away.
fn tls_server() -> u16 {
    tls_server_with(include_bytes!("fixtures/tls/server.pem"), include_bytes!("fixtures/tls/server.key"))
}

fn tls_server_with(certificate: &[u8], key: &[u8]) -> u16 {
    let certificate = CertificateDer::from_pem_slice(certificate).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            answer_over_tls(rustls::ServerConnection::new(config.clone()).unwrap(), stream);
        }
    });
    port
}

fn answer_over_tls(connection: rustls::ServerConnection, stream: TcpStream) {
    let mut stream = rustls::StreamOwned::new(connection, stream);
    if read_request(&mut stream).starts_with("GET ") {
        let _ = stream.write_all(OK.as_bytes());
        stream.conn.send_close_notify();
        let _ = stream.flush();
    }
}

#[test]
fn a_certificate_of_an_unknown_authority_is_refused_until_the_authority_is_given() {
    let base = format!("https://localhost:{}", tls_server());
    let error = send(&base, request(&base, Method::Get)).unwrap_err();
    assert!(matches!(&error, SendError::NotSent(reason) if reason.contains("certificate")), "{error:?}");

    let reply = send_trusting(include_bytes!("fixtures/tls/ca.pem"), &base);
    assert_eq!(reply.unwrap().status, 200);
}

fn send_trusting(pem: &[u8], base: &str) -> Result<Response, SendError> {
    let extra_roots = vec![ExtraRoots::read("--ca-file ca.pem", pem).unwrap()];
    let transport = transport_with(base, &HttpOptions { extra_roots, ..HttpOptions::default() });
    run(transport.send(request(base, Method::Get)))
}

#[test]
fn a_self_signed_certificate_is_taken_where_it_is_given_unless_it_is_an_authoritys() {
    let (pem, key) =
        (include_bytes!("fixtures/tls/self-signed.pem"), include_bytes!("fixtures/tls/self-signed.key"));
    let base = format!("https://localhost:{}", tls_server_with(pem, key));
    assert_eq!(send_trusting(pem, &base).unwrap().status, 200);

    let (pem, key) =
        (include_bytes!("fixtures/tls/authority.pem"), include_bytes!("fixtures/tls/authority.key"));
    let base = format!("https://localhost:{}", tls_server_with(pem, key));
    let error = send_trusting(pem, &base).unwrap_err();
    assert!(
        matches!(&error, SendError::NotSent(reason) if reason.contains("CaUsedAsEndEntity")),
        "{error:?}"
    );
}

#[test]
fn a_file_without_certificates_is_refused_by_name() {
    for pem in ["", "hello", "-----BEGIN CERTIFICATE-----\n???\n-----END CERTIFICATE-----\n"] {
        let error = ExtraRoots::read("--ca-file x", pem.as_bytes()).err();
        assert!(matches!(error, Some(HttpError::NotPem(source)) if source == "--ca-file x"), "{pem}");
    }
}

/// Runs this test again in a process with `environment`, where it sends one GET to `base` and prints the outcome.
fn send_in_a_child(base: &str, environment: &[(&str, &str)]) -> String {
    let name = "client_http::proxies_are_honoured_but_never_for_this_machine";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env_clear()
        .env("PROVISION_TEST_BASE", base)
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn proxies_are_honoured_but_never_for_this_machine() {
    if let Ok(base) = std::env::var("PROVISION_TEST_BASE") {
        let outcome = send(&base, request(&base, Method::Get));
        let status = outcome.map(|reply| reply.status);
        println!("outcome: {status:?}");
        return;
    }
    let refusal = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
    let proxy = Server::new(vec![refusal; 3]);
    let url = proxy.url();
    let all = [("HTTP_PROXY", url.as_str()), ("HTTPS_PROXY", &url), ("ALL_PROXY", &url)];

    let outcome = send_in_a_child("https://gitlab.invalid", &all);
    assert!(outcome.contains("Err(NotSent("), "{outcome}");
    let seen = proxy.seen();
    assert!(seen[0].starts_with("CONNECT gitlab.invalid:443 HTTP/1.1"), "{}", seen[0]);
    assert!(!seen[0].contains("canary"), "the token is for the instance, not for the proxy");

    let gitlab = Server::new(vec![OK, OK]);
    let outcome = send_in_a_child(&gitlab.url(), &all);
    assert!(outcome.contains("Ok(200)"), "{outcome}");

    // 0.0.0.0 reaches this machine without being a loopback address.
    let named = format!("https://0.0.0.0:{}", gitlab.port);
    let excepted = [all.as_slice(), &[("NO_PROXY", "0.0.0.0")]].concat();
    let outcome = send_in_a_child(&named, &excepted);
    assert!(outcome.contains("Err(NotSent("), "{outcome}");
    assert_eq!(gitlab.seen()[1], "TLS hello");
    assert_eq!(proxy.seen().len(), 1);
}
