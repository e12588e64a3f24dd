//! Personal tokens that only a person can make: each is asked for in GitLab's form, and proved before it counts.

use jiff::tz::TimeZone;

use crate::error::{Error, Kind, Result};
use crate::gitlab::tokens::{MintRequest, personal_token_forms};
use crate::instance::Instance;
use crate::journal::description;
use crate::observe::{Ground, Pasted};
use crate::plan::pasted::compare;
use crate::plan::{AskedExpiry, Mint, Plan};
use crate::profile::{Environment, Expires, Token};
use crate::secret::Secret;
use crate::token::Scopes;
use crate::ui::Ui;
use crate::ui::form::{self, Form};
use crate::world::{World, browser};

/// A token that was pasted before there was a plan.
pub(super) struct Beforehand {
    /// Key of the entry that it is for.
    pub(super) key: String,
    /// Its value.
    pub(super) value: Secret,
}

/// How tokens are taken from a person.
pub(super) struct Pasting<'a> {
    /// Whether one is taken that may do more than the profile asks for (`--accept-more`).
    pub(super) accepts_more: bool,
    /// The one that was pasted before there was a plan; a person is not asked for it again.
    pub(super) beforehand: Option<&'a Beforehand>,
}

impl Pasting<'_> {
    /// The tokens that the plan wants from a person, one after the other. Nothing has been changed yet.
    ///
    /// # Errors
    /// Where nobody is there or the person declines; what was pasted beforehand is not what the plan asks for.
    pub(super) async fn all(
        &self,
        plan: &Plan,
        ground: &Ground,
        ui: Ui,
        world: &World,
    ) -> Result<Vec<Pasted>> {
        let mut all: Vec<Pasted> = Vec::new();
        for mint in plan.pastes() {
            let pasted = match self.beforehand.filter(|beforehand| beforehand.key == mint.key) {
                Some(beforehand) => self.prove(mint, &beforehand.value, ground).await?,
                None => self.ask(plan, mint, ground, ui, world).await?,
            };
            if let Some(other) = all.iter().find(|other| other.record.id == pasted.record.id) {
                return Err(Error::new(Kind::Refused, format!("{} needs a token of its own", mint.key))
                    .because(format!("token {} is that of {}", pasted.record.id, other.key)));
            }
            all.push(pasted);
        }
        Ok(all)
    }

    /// On a terminal a token that will not do is asked for again: nothing is lost by another try.
    async fn ask(&self, plan: &Plan, mint: &Mint, ground: &Ground, ui: Ui, world: &World) -> Result<Pasted> {
        let version = ground.client.version().await?;
        let asked = Asked { key: &mint.key, name: &mint.name, scopes: &mint.scopes, expires: &mint.expires };
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
        loop {
            let token = form::paste(ui)?;
            match self.prove(mint, &token, ground).await {
                Err(error) if matches!(error.kind(), Kind::Refused | Kind::NotAllowed) => ui.error(&error),
                proved => return proved,
            }
        }
    }

    /// Lets the token speak for itself.
    async fn prove(&self, mint: &Mint, token: &Secret, ground: &Ground) -> Result<Pasted> {
        let record = ground.client.verify(token, "the pasted token").await?;
        let found = compare(mint, &record);
        let page = ground.client.instance().page("-/user_settings/personal_access_tokens");
        let refused = |differences: Vec<String>| {
            Error::new(Kind::Refused, format!("token {} is not what {} asks for", record.id, mint.key))
                .because(differences.join("; "))
                .hint(format!("revoke it at {page}, and make one as the form has it"))
        };
        if ground.lock.names(record.id) {
            return Err(refused(vec!["it is in use already".to_owned()]));
        }
        if !found.wrong.is_empty() {
            return Err(refused([found.wrong, found.more].concat()));
        }
        if !found.more.is_empty() && !self.accepts_more {
            return Err(refused(found.more).hint("or take it all the same: --accept-more"));
        }
        Ok(Pasted { key: mint.key.clone(), record, value: Secret::new(token.expose().to_owned()) })
    }
}

/// The token of `token`, before anything could be asked of GitLab: there is no other token to ask with.
///
/// # Errors
/// Where nobody is there, or the person declines.
pub(super) fn without_plan(
    environment: &Environment,
    token: &Token,
    ui: Ui,
    world: &World,
) -> Result<Secret> {
    show(&form_without_plan(environment, token, world)?, ui, world);
    form::paste(ui)
}

/// What is said of it where nobody is asked for it.
pub(super) fn not_given(environment: &Environment, token: &Token, world: &World) -> Error {
    let form = match form_without_plan(environment, token, world) {
        Ok(form) => form,
        Err(error) => return error,
    };
    Error::new(Kind::NotAllowed, format!("no GitLab token was given for {}", environment.gitlab))
        .because(format!("{} is a personal token: on a terminal it is asked for", token.key))
        .hint(form.hint())
        .hint("then give it to provision bootstrap: --token-file FILE or --token-stdin")
}

fn form_without_plan(environment: &Environment, token: &Token, world: &World) -> Result<Form> {
    let today = world.effects().now().to_zoned(TimeZone::UTC).date();
    let date = token.expires.ask(today).map_err(|error| Error::from_source(Kind::Usage, &error))?;
    let expires = AskedExpiry {
        written: token.expires_as_written.clone(),
        date: date.date(),
        or_earlier: matches!(token.expires, Expires::Max),
    };
    let asked = Asked { key: &token.key, name: &token.name, scopes: &token.scopes, expires: &expires };
    form(&environment.name, &asked, &environment.gitlab, None, world)
}

fn show(form: &Form, ui: Ui, world: &World) {
    let opened = form.addresses.first().is_some_and(|address| browser::open(&world.variables, address));
    form.show(ui, opened);
}

/// What a form is filled in with.
struct Asked<'a> {
    key: &'a str,
    name: &'a str,
    scopes: &'a Scopes,
    expires: &'a AskedExpiry,
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
