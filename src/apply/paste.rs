//! Taking personal tokens that a person makes in GitLab's form: announced and recorded like those that are minted.

use jiff::Timestamp;

use super::Fresh;
use super::journalled::Journalled;
use super::mint::intent;
use super::preflight::Prepared;
use crate::error::{Error, Kind, Result};
use crate::gitlab::tokens::{MintRequest, personal_token_forms};
use crate::journal::{Line, description};
use crate::observe::Ground;
use crate::plan::{Mint, Plan, given};
use crate::secret::Secret;
use crate::token::Record;
use crate::ui::progress::Progress;
use crate::world::World;
use crate::world::person::{Person, Wanted};

/// Asks for them one after the other. What was given is under seal in the journal before the next is asked for.
pub(super) async fn all(
    plan: &Plan,
    ground: &Ground,
    world: &World,
    prepared: &Prepared,
    journal: &Journalled<'_>,
    progress: &Progress,
) -> Result<Vec<Fresh>> {
    let mut fresh = Vec::new();
    for mint in plan.pastes() {
        match one(plan, mint, ground, world, prepared, journal, progress).await {
            Ok(token) => fresh.push(token),
            // What was given before stays under seal, and the next run goes on with it.
            Err(error) if !fresh.is_empty() => return Err(error.of_kind(Kind::HalfWay)),
            Err(error) => return Err(error),
        }
    }
    Ok(fresh)
}

async fn one(
    plan: &Plan,
    mint: &Mint,
    ground: &Ground,
    world: &World,
    prepared: &Prepared,
    journal: &Journalled<'_>,
    progress: &Progress,
) -> Result<Fresh> {
    let person = world.person().ok_or_else(|| {
        Error::new(Kind::Usage, format!("{} is made by hand, and nobody can be asked", mint.key))
            .hint("run provision bootstrap on a terminal, or with --token-stdin")
    })?;
    let mark = world.new_mark()?;
    let wanted = wanted(plan, mint, &mark, ground).await?;
    journal.append(&Line::Intent(intent(&mark, mint, ground, world)))?;
    match accept(mint, person, &wanted, ground, progress).await {
        Ok((record, value)) => {
            let sealed = prepared.seal_for(&mint.key, &value, now(ground, world))?;
            journal.append(&Line::Minted { mark: mark.clone(), token: record.clone(), sealed })?;
            let (key, owner) = (mint.key.clone(), mint.owner.clone());
            Ok(Fresh { key, owner, record, mark, value, replaces: mint.replaces })
        }
        Err(error) => {
            // Nothing of ours was made: a token that the person made meanwhile is the person's own.
            journal.append(&Line::Refused { mark })?;
            journal.give_up()?;
            Err(error)
        }
    }
}

fn now(ground: &Ground, world: &World) -> Timestamp {
    ground.client.server_time().unwrap_or_else(|| world.effects().now())
}

async fn wanted(plan: &Plan, mint: &Mint, mark: &str, ground: &Ground) -> Result<Wanted> {
    let request = MintRequest {
        name: mint.name.clone(),
        description: description(&plan.environment, &mint.key, mark),
        scopes: mint.scopes.clone(),
        role: None,
        expires_at: mint.expires.date,
    };
    let instance = ground.client.instance();
    let forms = personal_token_forms(instance, &request);
    let forms = match ground.client.version().await? {
        Some(version) if version < (18, 9) => vec![forms.before_18_9],
        Some(_) => vec![forms.current],
        None => vec![forms.current, forms.before_18_9],
    };
    let expires = match (mint.expires.date, mint.expires.or_earlier) {
        (Some(date), true) => format!("the latest date that it offers (at most {date})"),
        (Some(date), false) => date.to_string(),
        (None, _) => "leave it empty; where that is not possible, the latest date".to_owned(),
    };
    let scopes = mint.scopes.iter().cloned().collect();
    Ok(Wanted { gitlab: instance.clone(), forms, name: mint.name.clone(), scopes, expires })
}

/// Asks the person, and lets the token speak for itself.
async fn accept(
    mint: &Mint,
    person: &dyn Person,
    wanted: &Wanted,
    ground: &Ground,
    progress: &Progress,
) -> Result<(Record, Secret)> {
    let value = progress.aside(|| person.personal_token(wanted))?;
    let record = ground.client.verify(&value, "the token that was given").await?;
    let found = given::compare(mint, &record);
    let refused = |differences: &[String]| {
        Error::new(Kind::Refused, format!("token {} is not what {} asks for", record.id, mint.key))
            .because(differences.join("; "))
    };
    let page = ground.client.instance().page("-/user_settings/personal_access_tokens");
    if !found.wrong.is_empty() {
        let differences = [found.wrong, found.more].concat();
        return Err(
            refused(&differences).hint(format!("revoke it at {page}, and make one as it is shown above"))
        );
    }
    if !found.more.is_empty() && !person.accepts_more() {
        return Err(refused(&found.more)
            .hint(format!("revoke it at {page}, and make one with no more than is asked for"))
            .hint("or take it all the same: --accept-more"));
    }
    if ground.lock.names(record.id) || ground.operator == Some(record.id) {
        return Err(refused(&["it is in use already".to_owned()]).hint("make a new one"));
    }
    Ok((record, value))
}
