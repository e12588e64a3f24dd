//! `provision keyservice`: a command whose sops uses the identities that are unlocked here.

use std::process::ExitStatus;

use super::Exit;
use super::exec::not_started;
use crate::cli::KeyserviceArgs;
use crate::error::Result;
use crate::keyservice;
use crate::world::{World, program};

/// Serves the command's sops until it ends.
///
/// # Errors
/// Identities that cannot be read, a program that cannot be started.
pub async fn run(args: &KeyserviceArgs, world: &World) -> Result<Exit> {
    let identities = world.identities()?;
    let status = match program::without_secrets(&args.command, &world.directory) {
        Ok(command) => keyservice::during(command, identities).await,
        Err(error) => Err(error),
    };
    status.map(|status| Exit::Program(code(status))).map_err(|error| not_started(&args.command, &error))
}

/// As a shell has it: what a signal ended is 128 and its number.
fn code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}
