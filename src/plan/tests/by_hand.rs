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

/// mirror was taken over from GitLab's list: its value was never here. BOTH takes it, and backstage too.
fn listed() -> (Environment, Observed) {
    let two = format!(
        "{PROFILE}  mirror: {{ kind: group, group: acme, name: Backstage, role: developer, scopes: [read_api] }}\n"
    );
    let mut observed = healthy();
    observed.owners.insert("mirror".to_owned(), acme());
    observed.lock.tokens.insert("mirror".to_owned(), lock::Entry { slots: BTreeMap::new(), ..entry(43) });
    observed.live.insert(TokenId(43), Live::Known(record(43)));
    observed.files[0].slots.push(SlotState {
        path: path("BOTH"),
        tokens: BTreeSet::from(["backstage".to_owned(), "mirror".to_owned()]),
        leaf: Leaf::Missing,
    });
    (environment(&two), observed)
}

#[test]
fn a_leaf_that_takes_an_awaited_value_too_is_named() {
    let (environment, mut observed) = listed();
    let rotate =
        Options { renew: Renew::Now(Chosen::from_iter(["backstage".to_owned()])), ..Options::default() };
    let refusal = |observed: &Observed| plan(&environment, observed, &rotate).unwrap_err().to_string();
    assert_eq!(
        refusal(&observed),
        "secrets/qa.sops.yaml [\"BOTH\"] takes backstage and mirror, and the value of mirror was never here"
    );
    observed.files[0].exists = false;
    assert_eq!(
        refusal(&observed),
        "secrets/qa.sops.yaml is not there yet, and the value of mirror, which it takes too, was never here"
    );
}
