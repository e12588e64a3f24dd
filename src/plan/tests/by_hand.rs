//! Tokens that people made, and that were taken over: what proves them, and what does not.

use super::*;

/// As [`superseded`], where token 41 was made by hand and git's history has its value.
fn by_hand() -> Observed {
    let mut observed = superseded();
    observed.lock.tokens.get_mut("backstage").unwrap().superseded[0].mark = None;
    observed.by_value.insert(TokenId(41));
    described(&mut observed, "deploys from the old server");
    observed
}

fn described(observed: &mut Observed, text: &str) {
    let Some(Live::Known(record)) = observed.live.get_mut(&TokenId(41)) else { panic!() };
    record.description = Some(text.to_owned());
}

#[test]
fn a_token_made_by_hand_ends_itself() {
    assert_eq!(verbs(&planned(&by_hand()))[0], "end itself 41");
}

#[test]
fn a_token_with_a_mark_that_the_lock_does_not_have_was_minted_elsewhere_and_stays() {
    let mut observed = by_hand();
    described(&mut observed, &description("prod", "deploy", "pv-0123456789abcdef0123"));
    assert_eq!(
        verbs(&planned(&observed)),
        [
            "! superseded token 41 of backstage is not retired: at GitLab it was minted by provision for prod/deploy, \
          and the lock has no mark"
        ]
    );
}
