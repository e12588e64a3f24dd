//! Stands before the embedded GitLab and holds one reply back, so that a test can do something at that moment.

use std::io::{BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, Sender, channel};

use super::lab::Lab;

/// The reply to the first request that begins so stops here, and the test is told of it.
pub(crate) struct Proxy {
    url: String,
    held: Receiver<()>,
    /// While this is there the reply waits; without it the reply is lost.
    go: Option<Sender<()>>,
}

/// What the thread has of it.
struct Gate {
    begins: &'static str,
    hold: Sender<()>,
    go: Receiver<()>,
    passed: bool,
}

impl Proxy {
    /// From now on the lab's environment `qa` is at the proxy's address. `begins`: method and path.
    pub(crate) fn before(lab: &Lab, begins: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let gitlab = lab.gitlab.url().trim_start_matches("http://").to_owned();
        let ((hold, held), (go, let_go)) = (channel(), channel());
        let mut gate = Gate { begins, hold, go: let_go, passed: false };
        std::thread::spawn(move || {
            for client in listener.incoming() {
                // One after the other: a client that is done closes, or is dead.
                let _ = relay(client.unwrap(), &gitlab, &mut gate);
            }
        });
        let profile = lab.read("environments/qa.yaml").replace(lab.gitlab.url(), &url);
        lab.write("environments/qa.yaml", &profile);
        lab.git(["commit", "-q", "--amend", "-a", "-m", "base"]);
        Self { url, held, go: Some(go) }
    }

    pub(crate) fn command(&self, lab: &Lab, args: &[&str]) -> Command {
        let mut command = lab.command(args);
        command.env("GITLAB_HOST", &self.url);
        command
    }

    /// Returns once the reply is here.
    pub(crate) fn wait(&self) {
        self.held.recv().unwrap();
    }

    /// Passes the reply on.
    pub(crate) fn let_go(&mut self) {
        self.go.take().unwrap().send(()).unwrap();
    }

    /// The reply is lost. The connection stays open until the other end is gone.
    pub(crate) fn lose(&mut self) {
        self.go = None;
    }

    /// Kills the child once GitLab has answered.
    pub(crate) fn kills(&mut self, mut child: Child) -> Child {
        self.wait();
        self.lose();
        child.kill().unwrap();
        child
    }
}

fn relay(client: TcpStream, gitlab: &str, gate: &mut Gate) -> std::io::Result<()> {
    let mut from_client = BufReader::new(client.try_clone()?);
    let mut to_client = client;
    let mut to_gitlab = TcpStream::connect(gitlab)?;
    let mut from_gitlab = BufReader::new(to_gitlab.try_clone()?);
    loop {
        let request = message(&mut from_client)?;
        if request.is_empty() {
            return Ok(());
        }
        to_gitlab.write_all(&request)?;
        let reply = message(&mut from_gitlab)?;
        if request.starts_with(gate.begins.as_bytes()) && !std::mem::replace(&mut gate.passed, true) {
            gate.hold.send(()).unwrap();
            if gate.go.recv().is_err() {
                return std::io::copy(&mut from_client, &mut std::io::sink()).map(drop);
            }
        }
        to_client.write_all(&reply)?;
    }
}

/// One message of HTTP/1.1 with its body; empty where the other end has closed.
fn message(from: &mut impl std::io::BufRead) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Ok(bytes);
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        bytes.extend_from_slice(line.as_bytes());
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    bytes.extend_from_slice(&body);
    Ok(bytes)
}
