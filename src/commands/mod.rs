//! One file per verb: observe, plan, show, apply, report. No decision and no I/O of their own.

use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::cli::{Cli, Command};
use crate::error::Result;
use crate::profile::schema;
use crate::repo::Repository;
use crate::ui::Ui;
use crate::world::World;

mod access;
pub mod adopt;
pub mod bootstrap;
pub mod check;
mod chosen;
mod connection;
#[cfg(feature = "emulator")]
pub mod demo;
pub mod diff;
pub mod doctor;
#[cfg(feature = "emulator")]
pub mod emulator;
pub mod exec;
pub mod export;
pub mod hook;
pub mod init;
pub mod keys;
#[cfg(unix)]
pub mod keyservice;
mod own_key;
mod paste;
pub mod provision;
pub mod rekey;
mod rekeying;
pub mod resume;
pub mod revoke;
pub mod rotate;
pub mod show;
pub mod status;
pub mod trust;
mod within;
mod writer;

/// How a command that did not fail ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Done,
    /// Something needs care.
    Attention,
    /// The status of a program that was started.
    Program(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Program(status) => Self::from(status),
            Exit::Attention => Self::from(crate::error::Kind::Attention.exit_code()),
        }
    }
}

/// Does what the command line says.
///
/// # Errors
/// Those of the command, with ways out as they are typed in the directory of the world.
pub async fn run(cli: Cli, ui: Ui, world: &World) -> Result<Exit> {
    command(cli, ui, world).await.map_err(|error| match Repository::discover(&world.directory) {
        Ok(repo) => error.at(repo.here()),
        Err(_) => error,
    })
}

async fn command(cli: Cli, ui: Ui, world: &World) -> Result<Exit> {
    match cli.command {
        None => provision::run(&cli.provision, ui, world).await,
        Some(Command::Init(args)) => init::run(&args, ui, world).map(|()| Exit::Done),
        Some(Command::Revoke(args)) => revoke::run(&args, ui, world).await,
        Some(Command::Adopt(args)) => adopt::run(&args, ui, world).await,
        Some(Command::Bootstrap(args)) => bootstrap::run(&args, ui, world).await,
        Some(Command::Rotate(args)) => rotate::run(&args, ui, world).await,
        Some(Command::Resume(args)) => resume::run(&args, ui, world).await,
        Some(Command::Status(args)) => status::run(&args, ui, world).await,
        Some(Command::Check(args)) => check::run(&args, ui, world),
        Some(Command::Rekey(args)) => rekey::run(&args, ui, world).await,
        Some(Command::Keys(args)) => keys::run(&args, ui, world).await,
        Some(Command::Diff(args)) => diff::run(&args, ui, world).map(|()| Exit::Done),
        Some(Command::Hook(args)) => hook::run(&args, ui, world).map(|()| Exit::Done),
        Some(Command::Doctor(args)) => doctor::run(&args, ui, world).await,
        Some(Command::Trust(args)) => trust::run(&args, ui, world).map(|()| Exit::Done),
        Some(Command::Exec(args)) => exec::run(&args, world),
        #[cfg(unix)]
        Some(Command::Keyservice(args)) => keyservice::run(&args, world).await,
        Some(Command::Export(args)) => export::run(&args, ui, world).map(|()| Exit::Done),
        Some(Command::Show(args)) => show::run(&args, ui, world).map(|()| Exit::Done),
        #[cfg(feature = "emulator")]
        Some(Command::Demo(args)) => demo::run(&args, ui).await.map(|()| Exit::Done),
        #[cfg(feature = "emulator")]
        Some(Command::Emulator(args)) => emulator::run(args).map(|()| Exit::Done),
        Some(Command::Schema) => ui.result(&schema::json()).map(|()| Exit::Done),
        Some(Command::Completions { shell }) => ui.result(&completions(shell)).map(|()| Exit::Done),
        Some(Command::Man) => ui.result(&man()).map(|()| Exit::Done),
    }
}

fn completions(shell: clap_complete::Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "provision", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

fn man() -> String {
    let mut page = Vec::new();
    // Writing to memory does not fail.
    let _ = clap_mangen::Man::new(Cli::command()).render(&mut page);
    String::from_utf8_lossy(&page).into_owned()
}
