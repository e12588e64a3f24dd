//! Options of `doctor`.

use clap::Args;

use super::ConnectionArgs;

/// Options of `doctor`.
#[derive(Args, Debug)]
#[command(after_help = "\
Looks at git, the policy, the environments, your keys, the way to GitLab and this machine; opens no secrets file, asks \
nothing, and changes nothing. What is not well comes with the command that mends it. Exits with 3 when something needs \
care.

Each thing has a grade, with --json too: ok; note (worth knowing, nothing to do); skipped (not looked at, and why); warning (it \
works now, and will not for long or not everywhere); wrong (it does not work). The last two need care.")]
pub struct DoctorArgs {
    /// Do not ask GitLab
    #[arg(long)]
    pub offline: bool,

    /// How to reach GitLab.
    #[command(flatten)]
    pub connection: ConnectionArgs,
}
