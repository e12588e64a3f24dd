//! A command that finds a key service of ours, for as long as it runs.

use std::ffi::OsString;
use std::io;
use std::process::ExitStatus;
use std::rc::Rc;

use tokio::net::UnixListener;
use tokio::process::Command;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::server::serve;
use crate::sops::Identities;

/// Runs `command` with SOPS_KEYSERVICE set to a socket in a folder that only this user can enter, and with sops's own key
/// service turned off, so that every key is asked of us.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] where there is no such program; else what the system says.
pub async fn during(command: std::process::Command, identities: Rc<Identities>) -> io::Result<ExitStatus> {
    let folder = super::private_folder()?;
    let path = folder.path().join("ks.sock");
    let socket = UnixListener::bind(&path)?;
    let mut address = OsString::from("unix://");
    address.push(&path);
    let mut signals = Signals::new()?;
    let mut child = Command::from(command)
        .env("SOPS_KEYSERVICE", address)
        .env("SOPS_ENABLE_LOCAL_KEYSERVICE", "false")
        .spawn()?;
    let id = child.id();
    let serving = serve(socket, identities);
    tokio::pin!(serving);
    loop {
        tokio::select! {
            status = child.wait() => return status,
            // It goes on without us, and says itself what it misses.
            _ = &mut serving => return child.wait().await,
            () = signals.forward(id) => {}
        }
    }
}

/// The terminal sends Ctrl-C to both of us; it is the command's to decide. What is sent to us alone is passed on.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn forward(&mut self, id: Option<u32>) {
        let signal = tokio::select! {
            _ = self.interrupt.recv() => return,
            _ = self.terminate.recv() => rustix::process::Signal::TERM,
            _ = self.hangup.recv() => rustix::process::Signal::HUP,
        };
        let id = id.and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(id) = id {
            // It may have ended in this moment.
            let _ = rustix::process::kill_process(id, signal);
        }
    }
}
