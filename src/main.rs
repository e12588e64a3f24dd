//! The binary: parse, run, exit code.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use provision::cli::Cli;
#[cfg(feature = "emulator")]
use provision::cli::Command;
use provision::error::{Error, Kind};

fn main() -> ExitCode {
    let result: Result<(), Error> = match Cli::parse().command {
        #[cfg(feature = "emulator")]
        Some(Command::Emulator(args)) => provision::commands::emulator::run(args),
        _ => Err(Error::new(Kind::Failed, "this build serves the emulator only")),
    };
    let Err(error) = result else { return ExitCode::SUCCESS };
    // Nothing is left to do when stderr is gone.
    let mut stderr = std::io::stderr().lock();
    let _ = writeln!(stderr, "error: {error}");
    for cause in error.causes() {
        let _ = writeln!(stderr, "  because {cause}");
    }
    ExitCode::from(error.kind().exit_code())
}
