//! A `sops keyservice` of our own, for as long as this process lives.
#![expect(clippy::disallowed_methods, reason = "this is the one place where sops is started")]

use std::io::{self, Read as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use super::client::{Client, ClientError};
use crate::environ::guard::is_withheld;

/// How long it may take until sops listens, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ends sops when its standard input is closed, however this process ends: `sops keyservice` itself does not notice.
const WATCHED: &str = r#"exec 3<&0 </dev/null; { read -r _ <&3; kill "$$"; } 2>/dev/null & exec "$@" 3<&-"#;

/// A key service and the connection to it. Nobody else can connect: its socket was in a folder of ours (0700), and is
/// gone by now.
pub struct Started {
    /// The connection.
    pub client: Client,
    child: Child,
    leash: Option<ChildStdin>,
}

/// Starts `sops`, and connects to it.
///
/// # Errors
/// It cannot be started, or does not listen.
pub fn start(sops: &Path) -> Result<Started, ClientError> {
    let unreachable = |source| ClientError::Unreachable { address: "of sops".to_owned(), source };
    let folder = super::private_folder().map_err(unreachable)?;
    let socket = folder.path().join("ks.sock");
    let mut command = Command::new("/bin/sh");
    command.args(["-c", WATCHED, "sh"]).arg(sops).args(["keyservice", "--network", "unix", "--address"]);
    command.arg(&socket).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_withheld) {
            command.env_remove(&name);
        }
    }
    let mut child = command.spawn().map_err(unreachable)?;
    let leash = child.stdin.take();
    match connect(&mut child, &socket) {
        Ok(client) => {
            drain(&mut child);
            Ok(Started { client, child, leash })
        }
        Err(error) => {
            drop(leash);
            let _ = child.kill();
            let _ = child.wait();
            Err(error)
        }
    }
}

fn connect(child: &mut Child, socket: &Path) -> Result<Client, ClientError> {
    let begin = Instant::now();
    let address = format!("unix://{}", socket.display());
    while !listens(socket) && begin.elapsed() < PATIENCE {
        if child.try_wait().ok().flatten().is_some() {
            return Err(ended(child));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Client::connect(&address)
}

#[cfg(unix)]
fn listens(socket: &Path) -> bool {
    std::os::unix::net::UnixStream::connect(socket).is_ok()
}

#[cfg(not(unix))]
fn listens(_: &Path) -> bool {
    false
}

/// What sops said before it ended.
fn ended(child: &mut Child) -> ClientError {
    let mut said = String::new();
    if let Some(log) = child.stderr.take() {
        // What cannot be read is not said.
        let _ = log.take(4096).read_to_string(&mut said);
    }
    let reason = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let source = io::Error::other(format!("it ended at once: {reason}"));
    ClientError::Unreachable { address: "of sops".to_owned(), source }
}

/// What it logs is nobody's business; a pipe that nobody reads would stop it.
fn drain(child: &mut Child) {
    if let Some(mut log) = child.stderr.take() {
        std::thread::spawn(move || io::copy(&mut log, &mut io::sink()));
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        drop(self.leash.take());
        let _ = self.child.wait();
    }
}
