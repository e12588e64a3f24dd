//! `provision exec`: a program with the values of secrets files in its environment.

use std::ffi::OsString;
use std::io;

use super::Exit;
use crate::cli::ExecArgs;
use crate::error::{Error, Kind, Result};
use crate::observe::variables::Chosen;
use crate::world::{World, program};

/// Opens the files, whose MACs must be right, and becomes the program.
///
/// # Errors
/// Files that cannot be opened, names that are refused, a program that cannot be started.
pub fn run(args: &ExecArgs, world: &World) -> Result<Exit> {
    let variables = Chosen::of(&args.variables, world)?.open(world)?;
    let status = program::become_program(&args.command, &variables, &world.directory);
    status.map(Exit::Program).map_err(|error| not_started(&args.command, &error))
}

/// Why a program that the user named could not be started.
pub(super) fn not_started(command: &[OsString], error: &io::Error) -> Error {
    let program = command.first().map(|program| program.display().to_string()).unwrap_or_default();
    let kind = match error.kind() {
        io::ErrorKind::NotFound => Kind::NoSuchProgram,
        _ => Kind::NotExecutable,
    };
    let error = Error::new(kind, format!("cannot start {program}")).because(error.to_string());
    if program.contains(' ') {
        return error.hint("the program and each of its arguments are words of their own: -- npm start");
    }
    match kind {
        Kind::NoSuchProgram => error.hint("a command of a shell needs its shell: -- sh -c 'COMMAND'"),
        _ => error,
    }
}
