//! Personal tokens that only a person can make: each is asked for in GitLab's form, and proved before it counts.

use crate::error::{Error, Kind, Result};
use crate::gitlab::tokens::{MintRequest, personal_token_forms};
use crate::journal::description;
use crate::observe::{Ground, Pasted};
use crate::plan::pasted::compare;
use crate::plan::{AskedExpiry, Mint, Plan};
use crate::secret::Secret;
use crate::ui::Ui;
use crate::ui::form::{self, Form};
use crate::world::{World, browser};

/// How tokens are taken from a person.
pub(super) struct Pasting<'a> {
    /// Whether one is taken that may do more than the profile asks for (`--accept-more`).
    pub(super) accepts_more: bool,
    /// The one that was pasted before there was a plan; a person is not asked for it again.
    pub(super) beforehand: Option<&'a Secret>,
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
            let pasted = match self.beforehand {
                Some(token) => self.prove(mint, token, ground).await?,
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
        let form = form(&plan.environment, mint, ground, world).await?;
        if !ui.interactive {
            return Err(Error::new(
                Kind::Usage,
                format!("{} is a personal token, and there is no terminal to paste it on", mint.key),
            )
            .because(format!("{} makes personal tokens by API for administrators only", plan.gitlab))
            .hint(form.hint())
            .hint("then run the same command on a terminal, and paste it there"));
        }
        let opened = form.addresses.first().is_some_and(|address| browser::open(&world.variables, address));
        form.show(ui, opened);
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

async fn form(environment: &str, mint: &Mint, ground: &Ground, world: &World) -> Result<Form> {
    let request = MintRequest {
        name: mint.name.clone(),
        description: description(environment, &mint.key, &world.new_mark()?),
        scopes: mint.scopes.clone(),
        role: None,
        expires_at: mint.expires.date,
    };
    let forms = personal_token_forms(ground.client.instance(), &request);
    let addresses = match ground.client.version().await? {
        Some(version) if version < (18, 9) => vec![forms.before_18_9],
        Some(_) => vec![forms.current],
        None => vec![forms.current, forms.before_18_9],
    };
    let scopes = mint.scopes.iter().cloned().collect();
    Ok(Form { key: mint.key.clone(), addresses, scopes, expires: end(&mint.expires) })
}

/// The end to choose.
fn end(expires: &AskedExpiry) -> String {
    match (expires.date, expires.or_earlier) {
        (Some(date), true) => format!("the latest date that the form takes (at most {date})"),
        (Some(date), false) => date.to_string(),
        (None, _) => "none; where one is needed, the latest date that the form takes".to_owned(),
    }
}
