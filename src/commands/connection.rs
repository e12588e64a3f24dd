//! The way to GitLab: which credential, and whether it may be used for this instance.

use std::rc::Rc;

use crate::cli::ConnectionArgs;
use crate::error::{Error, Kind, Result};
use crate::gitlab::client::Client;
use crate::gitlab::credential::{Credential, Given, Resolved, Sources, resolve};
use crate::instance::Instance;
use crate::secret::Secret;
use crate::ui::{Ui, prompt};
use crate::world::World;

/// What the command line and the environment give to choose from, read once a run.
pub(super) fn sources(args: &ConnectionArgs, ui: Ui, world: &World) -> Result<Sources> {
    let given = match (&args.token_file, args.token_stdin) {
        (Some(path), _) => Some(Given {
            value: world.read_secret_file(path)?,
            option: format!("--token-file {}", path.display()),
        }),
        (None, true) => Some(Given { value: world.read_secret_stdin()?, option: "--token-stdin".to_owned() }),
        (None, false) => None,
    };
    let variables = &world.variables;
    Ok(Sources {
        given,
        token: variables.gitlab_token.as_ref().map(|token| Secret::new(token.expose().to_owned())),
        host: variables.gitlab_host.clone(),
        ci_server_url: variables.ci_server_url.clone(),
        can_ask: ui.interactive && variables.ci_server_url.is_none(),
    })
}

/// A client for `instance` with the credential that belongs to it.
pub(super) fn connect(sources: &Sources, instance: &Instance, ui: Ui, world: &World) -> Result<Client> {
    let credential = match resolve(sources, instance)? {
        Resolved::Ready(credential) => credential,
        Resolved::NeedsApproval(unapproved) => {
            ui.say("GITLAB_TOKEN is set, and nothing says which GitLab it belongs to.");
            let question = format!("Does it belong to {}?", unapproved.origin());
            prompt::confirm(ui, &question, "GITLAB_HOST to the environment")?;
            unapproved.approve()
        }
    };
    Ok(client(credential, instance, world))
}

fn client(credential: Credential, instance: &Instance, world: &World) -> Client {
    Client::new(world.transport(), instance.clone(), Rc::new(credential))
}

/// Refuses early where a run without a terminal would have to ask for a yes.
pub(super) fn need_yes(ui: Ui, yes: bool) -> Result<()> {
    if yes || ui.interactive {
        return Ok(());
    }
    Err(Error::new(Kind::Usage, "there is something to do, and no terminal to ask on")
        .hint("look at it with --dry-run, then go ahead with --yes"))
}
