//! SOPS's key service protocol (keyservice/keyservice.proto of sops): gRPC over HTTP/2, on a Unix socket or TCP.
//!
//! As a client ([`Client`]) it works with keys that we do not work with ourselves: PGP, the key management of clouds,
//! Vault. As a server ([`during`]) it lets the stock `sops` use the identities that are unlocked here. The few messages are
//! written by hand: docs/decisions/0014-key-service.md.

mod client;
mod message;
mod program;
#[cfg(unix)]
mod server;
#[cfg(unix)]
mod session;

pub use client::{Client, ClientError};
pub use program::{Started, start};
#[cfg(unix)]
pub use session::during;

/// A folder that only this user can enter, for a socket.
fn private_folder() -> std::io::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("provision-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o700));
    }
    builder.tempdir()
}
