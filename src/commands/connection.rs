//! The way to GitLab: which credential, and whether it may be used for an instance.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::cli::ConnectionArgs;
use crate::error::{Error, Kind, Result};
use crate::gitlab::client::Client;
use crate::gitlab::credential::{Credential, Given, Resolved, Sources, resolve};
use crate::instance::{Instance, Origin};
use crate::secret::Secret;
use crate::ui::{Ui, prompt};
use crate::world::World;

/// The credentials of one run. Command line and environment are read once, and a person is asked once for an origin.
pub(super) struct Connections<'a> {
    sources: Sources,
    ui: Ui,
    world: &'a World,
    known: RefCell<BTreeMap<Origin, Rc<Credential>>>,
}

impl<'a> Connections<'a> {
    /// What the command line and the environment give to choose from.
    pub(super) fn new(args: &ConnectionArgs, ui: Ui, world: &'a World) -> Result<Self> {
        Ok(Self { sources: sources(args, ui, world)?, ui, world, known: RefCell::default() })
    }

    /// A client for `instance` with the credential that belongs to it.
    pub(super) fn client(&self, instance: &Instance) -> Result<Client> {
        let known = self.known.borrow().get(instance.origin()).cloned();
        let credential = match known {
            Some(credential) => credential,
            None => Rc::new(self.credential(instance)?),
        };
        self.known.borrow_mut().insert(instance.origin().clone(), Rc::clone(&credential));
        Ok(Client::new(self.world.transport(), instance.clone(), credential))
    }

    fn credential(&self, instance: &Instance) -> Result<Credential> {
        match resolve(&self.sources, instance)? {
            Resolved::Ready(credential) => Ok(credential),
            Resolved::NeedsApproval(unapproved) => {
                let question = format!(
                    "Nothing says which GitLab the token from {} is for. Send it to {}?",
                    unapproved.source(),
                    unapproved.origin()
                );
                prompt::confirm(self.ui, &question, "GITLAB_HOST to the environment")?;
                Ok(unapproved.approve())
            }
        }
    }
}

fn sources(args: &ConnectionArgs, ui: Ui, world: &World) -> Result<Sources> {
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

/// Refuses early where a run without a terminal would have to ask for a yes.
pub(super) fn need_yes(ui: Ui, yes: bool) -> Result<()> {
    if yes || ui.interactive {
        return Ok(());
    }
    Err(Error::new(Kind::Usage, "there is something to do, and no terminal to ask on")
        .hint("look at it with --dry-run, then go ahead with --yes"))
}
