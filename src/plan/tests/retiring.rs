//! What is planned for tokens that an interrupted run was about to revoke.

use super::*;
use crate::token::Known;

/// Token 42.
pub(super) fn known() -> Known {
    let record = record(42);
    let known = serde_json::json!({
        "id": 42, "owner": acme(), "name": record.name, "created": record.created_at, "mark": "pv-1",
    });
    serde_json::from_value(known).unwrap()
}

/// A run was about to revoke token 42.
fn retiring(mut observed: Observed) -> Observed {
    let known = known();
    observed.live.insert(known.id, Live::Known(record(42)));
    observed.retiring = vec![("backstage".to_owned(), known)];
    observed
}

fn replaced() -> Observed {
    let mut observed = healthy();
    observed.lock.tokens.insert("backstage".to_owned(), entry(50));
    observed.live.insert(TokenId(50), Live::Known(record(50)));
    observed.current_anywhere = BTreeSet::from([TokenId(50)]);
    retiring(observed)
}

#[test]
fn what_an_interrupted_run_was_about_to_revoke_is_revoked_where_no_lock_names_it() {
    assert_eq!(verbs(&planned(&replaced())), ["then revoke 42"]);
    let mut ended = replaced();
    ended.live.insert(TokenId(42), Live::Gone);
    assert!(planned(&ended).is_empty());
}

#[test]
fn what_cannot_be_revoked_yet_is_not_forgotten_but_where_it_is_undone() {
    let without_a_commit = Options { commit: false, ..Options::default() };
    let mut elsewhere = replaced();
    elsewhere.current_elsewhere.insert(TokenId(42), "environments/locks/dev.yaml".to_owned());
    let cases = [
        (retiring(healthy()), Options::default(), "the lock here has it as the current one"),
        (replaced(), without_a_commit, "a run that commits revokes it"),
        (elsewhere, Options::default(), "environments/locks/dev.yaml has it as a current one"),
    ];
    for (observed, options, why) in cases {
        let plan = plan(&environment(PROFILE), &observed, &options).unwrap();
        assert!(plan.is_empty() && plan.needs_attention());
        assert_eq!(plan.still_to_revoke, [TokenId(42)]);
        assert!(plan.notes[0].text.contains(why), "{:?}", plan.notes);
    }
    let abandon = Options { abandon: true, ..Options::default() };
    let plan = plan(&environment(PROFILE), &retiring(healthy()), &abandon).unwrap();
    assert!(plan.is_empty() && plan.still_to_revoke.is_empty() && !plan.needs_attention());
}
