//! The command line: clap types only. Their doc comments are the help texts.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

mod adopt;
mod bootstrap;
mod doctor;
mod exec;
mod keys;
mod keyservice;
mod rekey;
mod resume;
mod revoke;
mod rotate;
mod trust;
mod write;

pub use adopt::AdoptArgs;
pub use bootstrap::BootstrapArgs;
pub use doctor::DoctorArgs;
pub use exec::{ExecArgs, ExportArgs, ExportFormat, VariablesArgs};
pub use keys::{KeysAddArgs, KeysArgs, KeysCommand, KeysRemoveArgs, KeysRequestArgs};
pub use keyservice::KeyserviceArgs;
pub use rekey::RekeyArgs;
pub use resume::ResumeArgs;
pub use revoke::RevokeArgs;
pub use rotate::RotateArgs;
pub use trust::TrustArgs;
pub use write::{ConnectionArgs, DeliveryArgs, FileWriteArgs, RunArgs, WriteArgs};

/// GitLab tokens from a profile into SOPS files in git, as one transaction.
///
/// Without a command, makes the chosen environments true: plans, shows the plan, asks, mints at GitLab,
/// verifies, encrypts, commits, and retires what was replaced. Does nothing where all is healthy.
#[derive(Debug, Parser)]
#[command(name = "provision", version, max_term_width = 100, subcommand_negates_reqs = true)]
#[command(override_usage = "provision [OPTIONS] --env <NAME>\n       provision [OPTIONS] <COMMAND>")]
#[command(after_help = "\
Exit codes:
  0 done   1 failed, nothing changed   2 usage   3 attention   4 stopped half-way, run it again
  5 refused by a safety rule   6 not allowed at GitLab   7 cannot decrypt   8 unreachable, try later
  130 declined or interrupted before any effect")]
pub struct Cli {
    /// What to do instead of making environments true.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// The main job's own options.
    #[command(flatten)]
    pub provision: ProvisionArgs,

    /// Options of every command.
    #[command(flatten)]
    pub global: GlobalArgs,
}

impl Cli {
    /// The command line that this process was started with.
    ///
    /// # Errors
    /// Also when help or the version was asked for.
    pub fn read() -> Result<Self, clap::Error> {
        Self::of(std::env::args_os())
    }

    /// Options of every command may stand before and after its name, the main job's only where there is none.
    fn of(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Self, clap::Error> {
        let mut command = Self::command();
        let matches = command.try_get_matches_from_mut(arguments);
        let cli = matches.and_then(|matches| Self::of_matches(&mut command, &matches));
        // Nothing in the description is secret, and to take it apart and overwrite it is a quarter of the program's start.
        std::mem::forget(command);
        cli
    }

    fn of_matches(command: &mut clap::Command, matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        if let Some(name) = matches.subcommand_name() {
            let is_given = |arg: &&clap::Arg| {
                matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
            };
            let stray = command.get_arguments().filter(|arg| !arg.is_global_set()).find(is_given);
            if let Some(stray) = stray.map(ToString::to_string) {
                let what = format!("'{stray}' before '{name}' belongs to no command");
                return Err(
                    command.error(ErrorKind::ArgumentConflict, format!("{what}: put it after the name"))
                );
            }
        }
        Self::from_arg_matches(matches)
    }

    /// `--ca-file`, of whichever command has it.
    #[must_use]
    pub fn ca_file(&self) -> Option<&Path> {
        let connection = match &self.command {
            None => &self.provision.write.connection,
            Some(Command::Adopt(args)) => &args.connection,
            Some(Command::Bootstrap(args)) => &args.write.connection,
            Some(Command::Status(args)) => &args.connection,
            Some(Command::Revoke(args)) => &args.write.connection,
            Some(Command::Rotate(args)) => &args.write.connection,
            Some(Command::Resume(args)) => &args.write.connection,
            Some(Command::Doctor(args)) => &args.connection,
            Some(Command::Keys(KeysArgs { command: KeysCommand::Remove(args) })) => &args.connection,
            Some(_) => return None,
        };
        connection.ca_file.as_deref()
    }
}

/// Options of every command.
#[derive(Args, Debug)]
pub struct GlobalArgs {
    /// Run as if started in DIR
    #[arg(short = 'C', long = "directory", value_name = "DIR", global = true)]
    pub directory: Option<PathBuf>,

    /// Print the result as JSON
    #[arg(long, global = true)]
    pub json: bool,

    /// Print results and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Say more; twice for requests (never bodies, never headers)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// When to use colour
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = ColorChoice::Auto, global = true)]
    pub color: ColorChoice,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Scaffold environments/, templates/ and .sops.yaml in this repository
    Init(InitArgs),
    /// Take over tokens and SOPS files that were made by hand
    Adopt(AdoptArgs),
    /// Set up your own key, token and secrets file, as a new developer
    Bootstrap(BootstrapArgs),
    /// Give tokens successors, and retire the old ones later, or at once
    Rotate(RotateArgs),
    /// Withdraw tokens, blank their slots, and take them out of the lock
    Revoke(RevokeArgs),
    /// Finish what an interrupted run began, or undo it
    Resume(ResumeArgs),
    /// Show what was minted, and what is due, expired or revoked
    Status(StatusArgs),
    /// Check that secrets files are encrypted, and for whom the policy says; needs no key
    Check(CheckArgs),
    /// Bring secrets files into line with .sops.yaml: readers come and go, rules change
    Rekey(RekeyArgs),
    /// Show who can read what, let somebody in, take somebody out
    Keys(KeysArgs),
    /// Show which keys and recipients of secrets files changed since HEAD; needs no key
    Diff(DiffArgs),
    /// Set up the pre-commit hook and key-level diffs in this repository
    Hook(HookArgs),
    /// Show the keys of a secrets file, or its values with --reveal
    Show(ShowArgs),
    /// Say what is wrong here and with the way to GitLab, and what mends it
    Doctor(DoctorArgs),
    /// Let this repository use your tokens of the GitLab that it names
    Trust(TrustArgs),
    /// Run a program with the values of secrets files in its environment
    Exec(ExecArgs),
    /// Run a command whose sops uses the keys that are unlocked here
    #[cfg(unix)]
    Keyservice(KeyserviceArgs),
    /// Print the values of secrets files for a shell, as .env or as JSON
    Export(ExportArgs),
    /// Tell the whole story in a temporary repository, against the embedded GitLab
    #[cfg(feature = "emulator")]
    Demo(DemoArgs),
    /// Serve the embedded GitLab on loopback
    #[cfg(feature = "emulator")]
    Emulator(EmulatorArgs),
    /// Print the JSON Schema of environments/*.yaml
    Schema,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// Options of the main job.
#[derive(Args, Debug)]
pub struct ProvisionArgs {
    /// Environments to make true, such as qa or dev,qa
    #[arg(short, long, value_name = "NAME", value_delimiter = ',', required_unless_present = "all")]
    pub env: Vec<String>,

    /// All environments; without a terminal, all that are shared
    #[arg(long, conflicts_with = "env")]
    pub all: bool,

    /// Leave the files in the work tree, uncommitted, and retire nothing
    #[arg(long, conflicts_with_all = ["push", "mr"])]
    pub no_commit: bool,

    /// Revoke the tokens of entries that are no longer in the profile
    #[arg(long, conflicts_with = "no_commit")]
    pub prune: bool,

    /// Write the template's other leaves again, not only those that follow a token
    #[arg(long)]
    pub sync_template: bool,

    /// Options of every writer.
    #[command(flatten)]
    pub write: WriteArgs,
}

/// Options of `init`.
#[derive(Args, Debug)]
pub struct InitArgs {
    /// Address of the GitLab instance [default: GITLAB_HOST, CI_SERVER_URL or https://gitlab.com]
    #[arg(long, value_name = "URL")]
    pub gitlab: Option<String>,

    /// Full path of the group whose tokens are minted
    #[arg(long, value_name = "PATH")]
    pub group: Option<String>,

    /// An age recipient for .sops.yaml; may be given several times
    #[arg(long = "recipient", value_name = "AGE1…")]
    pub recipients: Vec<String>,

    /// Write the jobs for GitLab CI instead
    #[arg(long, conflicts_with_all = ["gitlab", "group", "recipients"])]
    pub ci: bool,

    /// Go ahead without asking
    #[arg(short, long)]
    pub yes: bool,
}

/// Options of `status`.
#[derive(Args, Debug)]
pub struct StatusArgs {
    /// Only these environments
    #[arg(short, long, value_name = "NAME", value_delimiter = ',')]
    pub env: Vec<String>,

    /// Ask GitLab instead of trusting the locks
    #[arg(long)]
    pub live: bool,

    /// What makes the exit code 3
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = FailOn::Due)]
    pub fail_on: FailOn,

    /// How to reach GitLab.
    #[command(flatten)]
    pub connection: ConnectionArgs,
}

/// Options of `check`.
#[derive(Args, Debug)]
#[command(after_help = "\
Looks at every tracked file that sops encrypted, that a profile names, or that a rule of .sops.yaml
with a path_regex covers. The policy itself, environments/ and templates/ are in the clear by
design. Exits with 3 when there is something to mend.")]
pub struct CheckArgs {
    /// Only these files and folders
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// Look at what is staged instead of the work tree, as a pre-commit hook does
    #[arg(long)]
    pub staged: bool,

    /// Leave out readers whom the policy has and a file has not yet, as in a request for access
    #[arg(long)]
    pub allow_missing_readers: bool,

    /// Write a GitLab Code Quality report to FILE, or to standard output for -
    #[arg(long, value_name = "FILE")]
    pub code_quality: Option<PathBuf>,
}

/// Options of `diff`.
#[derive(Args, Debug)]
#[command(after_help = "\
As a git textconv (provision hook install --diff sets it up), git diff and git log -p of a secrets file
show a line for each key, with a digest instead of its value, and a line for each recipient.")]
pub struct DiffArgs {
    /// Compare what is staged instead of the work tree
    #[arg(long)]
    pub staged: bool,

    /// Print FILE as lines to compare, for git
    #[arg(long, value_name = "FILE", conflicts_with = "staged")]
    pub textconv: Option<PathBuf>,

    /// With --textconv: print values in the clear where a key opens the file
    #[arg(long, requires = "textconv")]
    pub reveal: bool,
}

/// Options of `hook`.
#[derive(Args, Debug)]
pub struct HookArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: HookCommand,
}

/// What to do with the hook.
#[derive(Debug, Subcommand)]
pub enum HookCommand {
    /// Run `provision check --staged` before each commit; a hook that is there already is never overwritten
    Install {
        /// Also let git diff and git log -p show keys: lines in .gitattributes, a textconv in this clone
        #[arg(long)]
        diff: bool,
    },
    /// Take our hook and our diff driver out again
    Uninstall,
}

/// Options of `show`.
#[derive(Args, Debug)]
#[command(
    override_usage = "provision show [OPTIONS] FILE [PATH]\n       provision show [OPTIONS] --env NAME [PATH]"
)]
#[command(after_help = "\
PATH is one key (GITLAB_TOKEN), keys with dots between them (data.token.0), or the form that
sops takes ('[\"data\"][\"token\"][0]'). The MAC is verified before anything is printed.")]
pub struct ShowArgs {
    /// A SOPS file, and what of it
    #[arg(value_name = "FILE [PATH]", num_args = 0..=2, hide = true)]
    pub operands: Vec<String>,

    /// The secrets file of this environment
    #[arg(short, long, value_name = "NAME")]
    pub env: Option<String>,

    /// Print values in the clear: one as it is, or the whole document in its own format
    #[arg(long)]
    pub reveal: bool,
}

/// What makes `status` exit with 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum FailOn {
    /// A token is missing, due for renewal, expired or revoked
    Due,
    /// A token is expired or revoked
    Expired,
}

/// Options of `demo`.
#[cfg(feature = "emulator")]
#[derive(Args, Debug)]
pub struct DemoArgs {
    /// Keep the temporary repository and say where it is
    #[arg(long)]
    pub keep: bool,
}

/// Options of `emulator`.
#[cfg(feature = "emulator")]
#[derive(Args, Debug)]
#[command(after_long_help = crate::gitlab::emulator::GRAMMAR)]
pub struct EmulatorArgs {
    /// Address to listen on; loopback only, port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: std::net::SocketAddr,

    /// Users, groups, projects and tokens to start with (YAML)
    #[arg(long, value_name = "FILE")]
    pub seed: Option<PathBuf>,

    /// Start the clock at this time (RFC 3339) and let it run
    #[arg(long, value_name = "T")]
    pub now: Option<jiff::Timestamp>,

    /// Answer every request after this long, such as 50ms
    #[arg(long, value_name = "DURATION")]
    pub latency: Option<jiff::SignedDuration>,

    /// Break requests on purpose; may be given several times (--help shows the rules)
    #[arg(long = "fault", value_name = "RULE")]
    pub faults: Vec<crate::gitlab::emulator::Rule>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_every_command_may_stand_before_its_name() {
        let names: Vec<String> =
            Cli::command().get_subcommands().map(|it| it.get_name().to_owned()).collect();
        assert!(names.len() > 15, "{names:?}");
        for name in names {
            let before = ["provision", "-C", "dir", "--json", "-v", "--color", "never", &name, "--help"];
            let error = Cli::of(before).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::DisplayHelp, "{name}: {error}");
        }
        let cli = Cli::of(["provision", "-C", "dir", "-q", "rekey", "--check"]).unwrap();
        assert!(matches!(cli.command, Some(Command::Rekey(_))));
        assert!(cli.global.quiet);
        assert_eq!(cli.global.directory.as_deref(), Some(Path::new("dir")));
    }

    #[test]
    fn options_of_the_main_job_do_not_go_with_another() {
        for own in [["--env", "qa"].as_slice(), &["--yes"], &["--token-file", "f"]] {
            let line = ["provision"].iter().chain(own).chain(&["rekey"]);
            let error = Cli::of(line).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ArgumentConflict, "{error}");
        }
        assert_eq!(Cli::of(["provision"]).unwrap_err().kind(), ErrorKind::MissingRequiredArgument);
    }
}
