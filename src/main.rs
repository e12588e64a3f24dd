//! The program: read the command line, make the world, run, exit.

use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

use clap::CommandFactory as _;
use provision::cli::{Cli, Command, GlobalArgs};
use provision::commands;
use provision::error::{Error, Kind, Result};
use provision::ui::{Ui, interrupt};
use provision::world::{Keys, System, Variables, World};

fn main() -> ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let is_exec = matches!(cli.command, Some(Command::Exec(_) | Command::Keyservice(_)));
    let variables = Variables::read();
    let ui = Ui::new(&cli.global, variables.no_color, variables.dumb_terminal);
    logs(&cli.global);
    match run(cli, ui, variables) {
        Ok(exit) => exit.into(),
        Err(error) => {
            let error = interrupt::unused_tokens().into_iter().fold(error, Error::hint);
            ui.error(&error);
            ExitCode::from(exit_code(&error, is_exec))
        }
    }
}

/// The exit code of `error`. `exec` keeps 125 to 127 for itself, so that every other one is its program's.
fn exit_code(error: &Error, is_exec: bool) -> u8 {
    match error.kind() {
        kind @ (Kind::NotExecutable | Kind::NoSuchProgram) => kind.exit_code(),
        _ if is_exec => Kind::NotStarted.exit_code(),
        kind => kind.exit_code(),
    }
}

/// Help and version are results; anything else is a mistake on the command line.
fn usage(error: &clap::Error) -> ExitCode {
    // The one who would read it may have gone away.
    let _ = error.print();
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    let lenient = Cli::command().ignore_errors(true).try_get_matches();
    let is_exec =
        lenient.is_ok_and(|matches| matches!(matches.subcommand_name(), Some("exec" | "keyservice")));
    ExitCode::from(if is_exec { Kind::NotStarted.exit_code() } else { Kind::Usage.exit_code() })
}

fn run(cli: Cli, ui: Ui, variables: Variables) -> Result<commands::Exit> {
    let directory = directory(&cli.global)?;
    let effects = System::new(cli.ca_file(), &variables, &directory)?;
    let keys = Keys::new(ui, &variables, directory.clone());
    let world = World::new(Rc::new(effects), variables, directory).with_keys(keys);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new(Kind::Failed, "cannot start").because(error.to_string()))?;
    runtime.block_on(commands::run(cli, ui, &world))
}

fn directory(args: &GlobalArgs) -> Result<PathBuf> {
    let cannot = |error: std::io::Error, path: PathBuf| {
        Error::new(Kind::Usage, format!("cannot work in {}", path.display())).because(error.to_string())
    };
    let here = std::env::current_dir().map_err(|error| cannot(error, PathBuf::from(".")))?;
    match &args.directory {
        Some(directory) => {
            let wanted = here.join(directory);
            wanted.canonicalize().map_err(|error| cannot(error, wanted))
        }
        None => Ok(here),
    }
}

/// Requests with `-vv`: method, path, status and duration, never bodies, never headers.
fn logs(args: &GlobalArgs) {
    let level = match args.verbose {
        0 => return,
        1 => tracing::Level::INFO,
        _ => tracing::Level::DEBUG,
    };
    let target = tracing_subscriber::filter::Targets::new().with_target("provision", level);
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false).without_time();
    tracing_subscriber::registry().with(target).with(layer).init();
}
