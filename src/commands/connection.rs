//! The way to GitLab: which credential, and whether it may be used for an instance.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use jiff::Timestamp;

use crate::cli::ConnectionArgs;
use crate::error::{Error, Kind, Result};
use crate::gitlab::client::Client;
use crate::gitlab::credential::{Credential, Given, Resolved, Sources, resolve, settled};
use crate::gitlab::version;
use crate::instance::{Instance, Origin};
use crate::secret::Secret;
use crate::ui::{Ui, prompt};
use crate::world::approvals::Approvals;
use crate::world::{World, glab};

/// The credentials of one run. Command line and environment are read once, and a person is asked once for an origin.
pub(super) struct Connections<'a> {
    sources: RefCell<Sources>,
    approvals: Option<Approvals>,
    ui: Ui,
    world: &'a World,
    known: RefCell<BTreeMap<Origin, Rc<Credential>>>,
}

impl<'a> Connections<'a> {
    /// What the command line and the environment give to choose from.
    pub(super) fn new(args: &ConnectionArgs, ui: Ui, world: &'a World) -> Result<Self> {
        let mut sources = sources(args, ui, world)?;
        let approvals = Approvals::read(world)?;
        sources.approved = approvals.as_ref().map(Approvals::origins).unwrap_or_default();
        Ok(Self { sources: RefCell::new(sources), approvals, ui, world, known: RefCell::default() })
    }

    /// The same for a command that never asks: what would need an answer is an error.
    pub(super) fn without_questions(args: &ConnectionArgs, ui: Ui, world: &'a World) -> Result<Self> {
        let connections = Self::new(args, ui, world)?;
        connections.sources.borrow_mut().can_ask = false;
        Ok(connections)
    }

    /// The token that an option gave.
    pub(super) fn given(&self) -> Option<Secret> {
        self.sources.borrow().given.as_ref().map(|given| given.value.trimmed())
    }

    /// Whether nothing gives a token for `instance`.
    pub(super) fn is_empty(&self, instance: &Instance) -> bool {
        let sources = self.sources.borrow();
        sources.given.is_none() && sources.token.is_none() && glab::token(self.world, instance).is_none()
    }

    /// Lets this repository use the person's tokens of `instance`, where nothing has settled that yet.
    ///
    /// # Errors
    /// Declined, nobody to ask, or the environment names another instance.
    pub(super) fn approve(&self, instance: &Instance) -> Result<()> {
        if settled(&self.sources.borrow(), instance)? {
            return Ok(());
        }
        let question =
            format!("This repository's tokens are made at {instance}. Is that where your account is?");
        prompt::confirm(self.ui, &question, "GITLAB_HOST to the environment, or run provision trust,")?;
        self.remember(instance.origin())?;
        self.sources.borrow_mut().approved.push(instance.origin().to_string());
        Ok(())
    }

    /// Whether a GitLab answers there, asked without a token; `None` where nothing has settled that this repository may have
    /// us ask it.
    pub(super) async fn answers(&self, instance: &Instance) -> Option<Result<Option<Timestamp>>> {
        let is_settled = matches!(settled(&self.sources.borrow(), instance), Ok(true));
        if !is_settled {
            return None;
        }
        Some(version::answers(self.world.transport(), instance).await.map_err(Into::into))
    }

    /// Acts with this token from now on. What binds it to an instance is as for one that an option gave.
    pub(super) fn act_with(&self, given: Given) {
        self.known.borrow_mut().clear();
        self.sources.borrow_mut().given = Some(given);
    }

    fn remember(&self, origin: &Origin) -> Result<()> {
        if let Some(approvals) = &self.approvals {
            approvals.add(&[origin.to_string()], self.world)?;
            self.ui.say("remembered for this repository; provision trust --forget takes it back");
        }
        Ok(())
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
        let mut sources = self.sources.borrow_mut();
        if sources.given.is_none() && sources.token.is_none() {
            sources.glab = glab::token(self.world, instance);
        }
        match resolve(&sources, instance)? {
            Resolved::Ready(credential) => Ok(credential),
            Resolved::NeedsApproval(unapproved) => {
                let question = format!(
                    "Use the token from {} for {} in this repository?",
                    unapproved.source(),
                    unapproved.origin()
                );
                prompt::confirm(
                    self.ui,
                    &question,
                    "GITLAB_HOST to the environment, or run provision trust,",
                )?;
                self.remember(unapproved.origin())?;
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
        glab: None,
        approved: Vec::new(),
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
