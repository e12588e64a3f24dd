//! Options of `trust`.

use clap::Args;

/// Options of `trust`.
#[derive(Args, Debug)]
#[command(after_help = "\
A cloned repository names the GitLab that its tokens are made at. A token that nothing else binds (no GITLAB_HOST, no \
CI_SERVER_URL), and the one that glab keeps, go there only once you have approved it. The approval is for this clone and \
for you; it is kept in provision/approvals under your state directory.

A token is looked for in this order: --token-file or --token-stdin, GITLAB_TOKEN, glab. One that GITLAB_HOST or \
CI_SERVER_URL binds to another GitLab is never sent, approved or not.")]
pub struct TrustArgs {
    /// Addresses to approve [default: those that the profiles name]
    #[arg(value_name = "URL")]
    pub addresses: Vec<String>,

    /// Show what is approved, and stop
    #[arg(long, conflicts_with_all = ["addresses", "forget"])]
    pub list: bool,

    /// Take back what was approved for this repository
    #[arg(long, conflicts_with_all = ["addresses", "yes"])]
    pub forget: bool,

    /// Go ahead without asking
    #[arg(short, long)]
    pub yes: bool,
}
