//! Options of `keyservice`.

use std::ffi::OsString;

use clap::Args;

/// Options of `keyservice`.
#[derive(Args, Debug)]
#[command(override_usage = "provision keyservice -- <COMMAND>...")]
#[command(after_help = "\
The command, and every sops that it starts, asks this run for keys: SOPS_KEYSERVICE names a socket that only you can \
reach, and SOPS_ENABLE_LOCAL_KEYSERVICE=false turns off sops's own. A passphrase, a key command or a hardware key is \
asked for once, however many files are opened.

    provision keyservice -- sops edit secrets/qa.sops.yaml
    provision keyservice -- sh -c 'for f in secrets/*.yaml; do sops updatekeys -y \"$f\"; done'

Its exit status is the command's. Needs no network.")]
pub struct KeyserviceArgs {
    /// The program and its arguments
    #[arg(value_name = "COMMAND", last = true, required = true)]
    pub command: Vec<OsString>,
}
