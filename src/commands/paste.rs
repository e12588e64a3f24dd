//! Personal tokens that only a person can make: each is asked for in GitLab's form, and proved before it counts.

use std::rc::Rc;

use jiff::tz::TimeZone;

use crate::error::{Error, Kind, Result};
use crate::gitlab::client::Client;
use crate::gitlab::credential::Credential;
use crate::gitlab::tokens::{MintRequest, personal_token_forms};
use crate::instance::Instance;
use crate::journal::description;
use crate::observe::{Ground, Pasted, environments};
use crate::plan::pasted::{Asked, compare};
use crate::plan::{AskedExpiry, Mint, Plan};
use crate::profile::{Environment, Expires, Token};
use crate::repo::Repository;
use crate::secret::Secret;
use crate::token::TokenId;
use crate::ui::form::{self, Form};
use crate::ui::{Ui, interrupt};
use crate::world::{World, browser};

/// A token that was pasted before there was a plan.
pub(super) struct Beforehand {
    /// Key of the entry that it is for.
    pub(super) key: String,
    /// Its value.
    pub(super) value: Secret,
    /// Whether a person made it for this run: then none is minted, though an administrator could.
    pub(super) made_now: bool,
}

/// How tokens are taken from a person.
pub(super) struct Pasting<'a> {
    /// Whether one is taken that may do more than the profile asks for (`--accept-more`).
    pub(super) accepts_more: bool,
    /// The one that was pasted before there was a plan; a person is not asked for it again.
    pub(super) beforehand: Option<&'a Beforehand>,
}

impl Pasting<'_> {
    /// The token that the plan wants and that is at hand. Nobody has said yes yet.
    ///
    /// # Errors
    /// Where it is not what the plan asks for.
    pub(super) async fn given(&self, plan: &Plan, ground: &Ground) -> Result<Option<Pasted>> {
        let given = plan
            .pastes()
            .find_map(|mint| Some((mint, self.beforehand.filter(|beforehand| beforehand.key == mint.key)?)));
        let Some((mint, beforehand)) = given else { return Ok(None) };
        let taken = |id| ground.lock.names(id, &ground.environment.gitlab);
        self.prove(&Asked::by(mint), &beforehand.value, &ground.client, &taken).await.map(Some)
    }

    /// The tokens that the plan wants from a person, one after the other, but for those that are `given`. Nothing has been
    /// changed yet.
    ///
    /// # Errors
    /// Where nobody is there or the person declines.
    pub(super) async fn all(
        &self,
        plan: &Plan,
        ground: &Ground,
        given: Vec<Pasted>,
        ui: Ui,
        world: &World,
    ) -> Result<Vec<Pasted>> {
        let mut all = given;
        let wanted: Vec<&Mint> =
            plan.pastes().filter(|mint| all.iter().all(|given| given.key != mint.key)).collect();
        for mint in wanted {
            let pasted = self.ask(plan, mint, ground, ui, world).await?;
            if let Some(other) = all.iter().find(|other| other.record.id == pasted.record.id) {
                return Err(Error::new(Kind::Refused, format!("{} needs a token of its own", mint.key))
                    .because(format!("token {} is that of {}", pasted.record.id, other.key)));
            }
            all.push(pasted);
        }
        Ok(all)
    }

    async fn ask(&self, plan: &Plan, mint: &Mint, ground: &Ground, ui: Ui, world: &World) -> Result<Pasted> {
        let version = ground.client.version().await?;
        let asked = Asked::by(mint);
        let form = form(&plan.environment, &asked, ground.client.instance(), version, world)?;
        if !ui.interactive {
            return Err(Error::new(
                Kind::Usage,
                format!("{} is a personal token, and there is no terminal to paste it on", mint.key),
            )
            .because(format!("{} makes personal tokens by API for administrators only", plan.gitlab))
            .hint(form.hint())
            .hint("then run the same command on a terminal, or give it to provision bootstrap --token-file FILE"));
        }
        show(&form, ui, world);
        let taken = |id| ground.lock.names(id, &ground.environment.gitlab);
        self.until_it_will_do(&plan.environment, &asked, &ground.client, &taken, ui).await
    }

    /// The token of `token`, before anything could be asked of GitLab: there is no other token to ask with.
    ///
    /// # Errors
    /// Where nobody is there, or the person declines.
    pub(super) async fn without_plan(
        &self,
        environment: &Environment,
        token: &Token,
        repo: &Repository,
        ui: Ui,
        world: &World,
    ) -> Result<Secret> {
        let expires = expires(token, world)?;
        let asked = without_owner(token, &expires);
        show(&form(&environment.name, &asked, &environment.gitlab, None, world)?, ui, world);
        let nobody = Rc::new(Credential::nobody(environment.gitlab.origin().clone()));
        let client = Client::new(world.transport(), environment.gitlab.clone(), nobody);
        let locks = environments::lock_files(repo)?;
        let taken = |id| locks.iter().any(|(_, lock)| lock.names(id, &environment.gitlab));
        let pasted = self.until_it_will_do(&environment.name, &asked, &client, &taken, ui).await?;
        Ok(pasted.value)
    }

    /// A token that will not do is asked for again: nothing is lost by another try. `taken`: which are in use already.
    async fn until_it_will_do(
        &self,
        environment: &str,
        asked: &Asked<'_>,
        client: &Client,
        taken: &dyn Fn(TokenId) -> bool,
        ui: Ui,
    ) -> Result<Pasted> {
        let entry = format!("{environment}/{}", asked.key);
        loop {
            let token = form::paste(ui)?;
            interrupt::token_was_pasted(&entry, page(client));
            match self.prove(asked, &token, client, taken).await {
                Err(error) if matches!(error.kind(), Kind::Refused | Kind::NotAllowed) => {
                    interrupt::token_is_settled(&entry);
                    let unknown = error.kind() == Kind::NotAllowed && error.hints().is_empty();
                    let again = "copy it again from where GitLab shows it, in one piece, or make a new one in the form";
                    ui.error(&if unknown { error.hint(again) } else { error });
                }
                proved => return proved,
            }
        }
    }

    /// Lets the token speak for itself.
    async fn prove(
        &self,
        asked: &Asked<'_>,
        token: &Secret,
        client: &Client,
        taken: &dyn Fn(TokenId) -> bool,
    ) -> Result<Pasted> {
        let record = client.verify(token, "the pasted token").await?;
        let found = compare(asked, &record);
        let refused = |differences: Vec<String>| {
            Error::new(Kind::Refused, format!("token {} is not what {} asks for", record.id, asked.key))
                .because(differences.join("; "))
                .hint(format!("revoke it at {}, and make one as the form has it", page(client)))
        };
        if taken(record.id) {
            return Err(refused(vec!["it is in use already".to_owned()]));
        }
        if !found.wrong.is_empty() {
            return Err(refused([found.wrong, found.more].concat()));
        }
        if !found.more.is_empty() && !self.accepts_more {
            return Err(refused(found.more).hint("or take it all the same: --accept-more"));
        }
        Ok(Pasted { key: asked.key.to_owned(), record, value: Secret::new(token.expose().to_owned()) })
    }
}

/// Where a person revokes a token.
fn page(client: &Client) -> String {
    client.instance().page("-/user_settings/personal_access_tokens").to_string()
}

/// What is said of a token where nobody is asked for it.
pub(super) fn not_given(environment: &Environment, token: &Token, world: &World) -> Error {
    let form = expires(token, world).and_then(|expires| {
        form(&environment.name, &without_owner(token, &expires), &environment.gitlab, None, world)
    });
    match form {
        Err(error) => error,
        Ok(form) => {
            Error::new(Kind::NotAllowed, format!("no GitLab token was given for {}", environment.gitlab))
                .because(format!("{} is a personal token: on a terminal it is asked for", token.key))
                .hint(form.hint())
                .hint("then give it to provision bootstrap: --token-file FILE or --token-stdin")
        }
    }
}

fn expires(token: &Token, world: &World) -> Result<AskedExpiry> {
    let today = world.effects().now().to_zoned(TimeZone::UTC).date();
    let date = token.expires.ask(today).map_err(|error| Error::from_source(Kind::Usage, &error))?;
    Ok(AskedExpiry {
        written: token.expires_as_written.clone(),
        date: date.date(),
        or_earlier: matches!(token.expires, Expires::Max),
    })
}

fn without_owner<'a>(token: &'a Token, expires: &'a AskedExpiry) -> Asked<'a> {
    let Token { key, name, scopes, .. } = token;
    Asked { key, name, scopes, expires, owner: None, replaces: None }
}

fn show(form: &Form, ui: Ui, world: &World) {
    let opened = form.addresses.first().is_some_and(|address| browser::open(&world.variables, address));
    form.show(ui, opened);
}

fn form(
    environment: &str,
    asked: &Asked<'_>,
    instance: &Instance,
    version: Option<(u32, u32)>,
    world: &World,
) -> Result<Form> {
    let request = MintRequest {
        name: asked.name.to_owned(),
        description: description(environment, asked.key, &world.new_mark()?),
        scopes: asked.scopes.clone(),
        role: None,
        expires_at: asked.expires.date,
    };
    let forms = personal_token_forms(instance, &request);
    let addresses = match version {
        Some(version) if version < (18, 9) => vec![forms.before_18_9],
        Some(_) => vec![forms.current],
        // GitLab runs its own instance at the newest version.
        None if instance.host() == "gitlab.com" => vec![forms.current],
        None => vec![forms.current, forms.before_18_9],
    };
    let scopes = asked.scopes.iter().cloned().collect();
    Ok(Form { key: asked.key.to_owned(), addresses, scopes, expires: end(asked.expires) })
}

/// The end to choose.
fn end(expires: &AskedExpiry) -> String {
    match (expires.date, expires.or_earlier) {
        (Some(date), true) => format!("the latest date that the form takes (at most {date})"),
        (Some(date), false) => date.to_string(),
        (None, _) => "none; where one is needed, the latest date that the form takes".to_owned(),
    }
}
