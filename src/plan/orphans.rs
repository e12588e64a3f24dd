//! Which tokens that no lock names are revoked.

use jiff::SignedDuration;

use super::observed::{Observed, Orphan, Outcome, Pending};
use super::{Note, Retire, Revoke, Why};
use crate::token::Known;

/// A token is used once right after it was made, by our own proof that it works.
const PROOF: SignedDuration = SignedDuration::from_mins(10);

/// The revocations of orphans that are at least `age` old, and what is said of the others. One that was used by somebody
/// since it was made may be of another repository with an environment of the same name: that takes `force`.
pub(super) fn plan(observed: &Observed, age: SignedDuration, force: bool) -> (Vec<Revoke>, Vec<Note>) {
    let (mut revoked, mut notes) = (Vec::new(), Vec::new());
    for orphan in &observed.orphans {
        let Orphan { key, token, last_used } = orphan;
        let what = format!("token {} (\"{}\" of {}), made for {key}", token.id, token.name, token.owner.path);
        let is_pending =
            observed.pending.iter().any(|pending| token.mark.as_ref() == Some(&pending.intent.mark));
        if is_pending {
            continue;
        }
        if observed.pending.iter().any(|pending| is_made_by(pending, token)) {
            continue;
        }
        if observed.operator == Some(token.id) {
            notes.push(Note::attention(format!("{what}, is what this run acts with: not revoked")));
        } else if observed.now.duration_since(token.created) < age {
            notes.push(Note::info(format!(
                "{what}, is in no lock, but was made only at {}: not revoked yet",
                token.created
            )));
        } else if let Some(used) =
            last_used.filter(|used| used.duration_since(token.created) > PROOF && !force)
        {
            notes.push(Note::attention(format!(
                "{what}, is in no lock, but was used at {used}: not revoked without --force"
            )));
        } else {
            let because = Why::Orphan { created: token.created };
            let retire = Retire { key: key.clone(), token: token.clone(), because };
            revoked.push(Revoke { retire, value: None });
        }
    }
    (revoked, notes)
}

/// Whether an interrupted run made the token, or may have: what GitLab's rotate makes carries the mark of the one before.
fn is_made_by(pending: &Pending, token: &Known) -> bool {
    let made = match &pending.outcome {
        Outcome::Found(record) | Outcome::Recorded { record, .. } => Some(record.id),
        Outcome::NotFound => None,
    };
    made == Some(token.id) || pending.intent.rotates.as_ref().is_some_and(|old| old.mark == token.mark)
}
