//! The binary: parse, run, exit code.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use provision::cli::{Cli, Command};
use provision::commands;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        #[cfg(feature = "emulator")]
        Some(Command::Emulator(args)) => commands::emulator::run(args).map_err(|error| error.to_string()),
        _ => Err("this command is not built in".to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do when stderr is gone.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}
