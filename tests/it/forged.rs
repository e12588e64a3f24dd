//! What a forged lock or template, or the journal of a laptop that was off for a week, can do to other people's tokens and
//! secrets: nothing.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use provision::lock::{Entry, Lock, Superseded};
use provision::token::TokenId;
use serde_json::json;

use crate::support::lab::{Lab, said};
use crate::support::team::Team;
use crate::support::watch::{LOCK, SECRETS, current};

/// The tokens that live, of whomever.
fn live(lab: &Lab) -> BTreeSet<u64> {
    let state = lab.gitlab.state();
    let tokens = state["tokens"].as_array().unwrap().iter();
    tokens.filter(|token| token["active"] == true).map(|token| token["id"].as_u64().unwrap()).collect()
}

const WRITERS: [&[&str]; 7] = [
    &["--env", "qa"],
    &["rotate", "--env", "qa"],
    &["rotate", "--env", "qa", "--due"],
    &["rotate", "--env", "qa", "--overlap", "0s", "--force"],
    &["revoke", "--env", "qa"],
    &["--env", "qa", "--prune"],
    &["revoke", "--env", "qa", "--orphans", "--older-than", "0s", "--force"],
];

/// Every writer over a repository whose lock was forged: of the tokens that live, at most our own ends.
fn nobodys_token_ends(forge: impl Fn(&Lab, &mut Entry)) {
    for writer in WRITERS {
        let lab = Lab::today();
        lab.provision(["--env", "dev,qa", "--yes"]).ok();
        let mut lock = Lock::read(LOCK, &lab.read(LOCK)).unwrap();
        let entry = lock.tokens.get_mut("backstage").unwrap();
        let own = entry.id.0;
        forge(&lab, entry);
        lab.write(LOCK, &lock.write());
        lab.commit_all("forged");
        lab.gitlab.advance(SignedDuration::from_hours(24 * 8));
        let before = live(&lab);
        let said = lab.provision(writer.iter().copied().chain(["--yes"]));
        let ended: BTreeSet<u64> = before.difference(&live(&lab)).copied().collect();
        assert!(ended.is_subset(&[own].into()), "{writer:?} ended {ended:?}: {}{}", said.out, said.err);
    }
}

/// A token that somebody has made by hand, of the same moment, and in all that the profile says like ours.
fn somebody_elses(lab: &Lab) -> TokenId {
    let body = json!({
        "name": "Backstage (qa.alithya-mws.com)", "access_level": 30, "expires_at": lab.in_days(365),
        "scopes": ["read_api", "read_repository", "write_repository"], "description": "made by hand",
    });
    TokenId(lab.api("POST", "/groups/alithya-csna/access_tokens", &body)["id"].as_u64().unwrap())
}

fn of_dev(lab: &Lab) -> TokenId {
    TokenId(current(&lab.read("environments/locks/dev.yaml")))
}

#[test]
fn a_lock_with_another_id() {
    nobodys_token_ends(|lab, entry| entry.id = somebody_elses(lab));
}

#[test]
fn a_lock_with_the_id_of_another_environment() {
    nobodys_token_ends(|lab, entry| entry.id = of_dev(lab));
}

#[test]
fn a_lock_with_a_superseded_id_that_is_somebodys() {
    for whose in [somebody_elses, of_dev] {
        nobodys_token_ends(|lab, entry| {
            let old = Superseded { id: whose(lab), ..entry.clone().supersede() };
            entry.superseded.push(old);
        });
    }
}

/// What another repository has minted in the same group: its facts are public, its mark included.
fn of_another_repository(lab: &Lab, entry: &Entry) -> Superseded {
    let mark = "pv-0123456789abcdef0123";
    let body = json!({
        "name": "Backstage (prod.alithya-mws.com)", "access_level": 30, "expires_at": lab.in_days(334),
        "scopes": ["read_api"], "description": format!("provision prod/backstage {mark}"),
    });
    let made = lab.api("POST", "/groups/alithya-csna/access_tokens", &body);
    Superseded {
        id: TokenId(made["id"].as_u64().unwrap()),
        name: made["name"].as_str().unwrap().to_owned(),
        created: made["created_at"].as_str().unwrap().parse().unwrap(),
        mark: Some(mark.to_owned()),
        expires: Some(lab.in_days(334)),
        overlap: Some("0s".to_owned()),
        ..entry.supersede()
    }
}

#[test]
fn a_lock_with_a_superseded_token_of_another_repository() {
    nobodys_token_ends(|lab, entry| {
        let theirs = of_another_repository(lab, entry);
        entry.superseded.push(theirs);
    });
}

#[test]
fn a_lock_with_the_current_token_of_another_repository() {
    nobodys_token_ends(|lab, entry| {
        let theirs = of_another_repository(lab, entry);
        (entry.id, entry.name, entry.created) = (theirs.id, theirs.name, theirs.created);
        (entry.mark, entry.expires) = (theirs.mark, theirs.expires);
    });
}

#[test]
fn a_renamed_environment_retires_what_it_minted_under_its_old_name() {
    let lab = Lab::today();
    lab.provision(["--env", "qa", "--yes"]).ok();
    lab.provision(["rotate", "--env", "qa", "--yes"]).ok();
    let first = current(&lab.git(["show", &format!("HEAD~1:{LOCK}")]));
    lab.git(["mv", "environments/qa.yaml", "environments/stage.yaml"]);
    lab.git(["mv", LOCK, "environments/locks/stage.yaml"]);
    lab.commit_all("qa is stage");
    lab.gitlab.advance(SignedDuration::from_hours(24 * 8));
    assert!(live(&lab).contains(&first));
    lab.provision(["--env", "stage", "--yes"]).ok();
    assert!(!live(&lab).contains(&first));
}

#[test]
fn a_lock_with_an_entry_of_another_owner() {
    nobodys_token_ends(|lab, entry| {
        entry.id = somebody_elses(lab);
        entry.owner.path = "other-group".to_owned();
    });
}

/// The reply of a laptop's mint was lost, and the laptop was off; meanwhile others went on.
#[test]
fn a_dead_laptops_journal_resumed_a_week_later_withdraws_its_own_only() {
    let lab = Lab::today();
    let team = Team::of(&lab);
    let ben = team.another_clone("ben");
    lab.gitlab.add_fault("POST /groups/*/access_tokens x1 lose-reply".parse().unwrap());
    lab.provision(["--env", "qa", "--push", "--yes"]).refused(4, "run the same command again");
    let own = *live(&lab).last().unwrap();
    said(&mut ben.command(&lab, &["--env", "qa", "--push", "--yes"])).ok();
    let by_hand = somebody_elses(&lab);
    lab.gitlab.advance(SignedDuration::from_hours(24 * 7));
    let before = live(&lab);
    assert!(before.contains(&own) && before.contains(&by_hand.0));
    lab.provision(["resume", "--push", "--yes"]).ok();
    assert_eq!(before.difference(&live(&lab)).copied().collect::<Vec<_>>(), [own]);
    assert!(live(&lab).contains(&current(&team.show("main", LOCK))));
}

/// The path of the profile, which a person reads in the plan, and the number of another group, which the request would go to.
#[test]
fn a_lock_with_the_number_of_another_group_mints_nothing_there() {
    for strategy in ["replace", "in-place"] {
        let lab = Lab::new();
        let profile = lab
            .read("environments/qa.yaml")
            .replace("    role:", &format!("    strategy: {strategy}\n    role:"));
        lab.write("environments/qa.yaml", &profile.replace("alithya-csna", "alithya-csna/platform"));
        lab.commit_all("its own group");
        lab.provision(["--env", "dev,qa", "--yes"]).ok();
        let dev =
            Lock::read(LOCK, &lab.read("environments/locks/dev.yaml")).unwrap().tokens["backstage"].clone();
        let mut lock = Lock::read(LOCK, &lab.read(LOCK)).unwrap();
        let entry = lock.tokens.get_mut("backstage").unwrap();
        let (path, slots) = (entry.owner.path.clone(), entry.slots.clone());
        *entry = Entry { slots, ..dev };
        entry.owner.path = path;
        lab.write(LOCK, &lock.write());
        std::fs::remove_file(lab.repo().join("environments/locks/dev.yaml")).unwrap();
        lab.commit_all("forged");
        let before = live(&lab);
        for writer in [
            &["--env", "qa", "--dry-run"][..],
            &["--env", "qa", "--yes"],
            &["rotate", "--env", "qa", "--yes"],
        ] {
            lab.provision(writer).refused(5, "alithya-csna/platform of backstage is number");
        }
        assert_eq!(live(&lab), before);
    }
}

/// Whoever can change a template could have any secret of its file sent to GitLab, which sees it, and whose logs may.
#[test]
fn a_template_that_calls_another_secret_a_token_shows_it_to_nobody() {
    let lab = Lab::new();
    lab.provision(["--env", "qa", "--yes"]).ok();
    lab.sops(["set", SECRETS, r#"["DB_PASSWORD"]"#, r#""hunter2-very-secret""#]).ok();
    lab.write("templates/backstage.yaml", "DB_PASSWORD: \"{{ tokens.backstage }}\"\n");
    lab.commit_all("forged");
    for reader in [
        &["--env", "qa", "--dry-run"][..],
        &["adopt", "--dry-run"],
        &["adopt", "--yes"],
        &["diff"],
        &["revoke", "--env", "qa", "--dry-run"],
    ] {
        lab.provision(reader);
        let refused =
            lab.requests().into_iter().filter(|request| request.ends_with(" 401")).collect::<Vec<_>>();
        assert!(refused.is_empty(), "{reader:?}: {refused:?}");
    }
}

#[test]
fn a_lock_with_one_id_in_two_entries() {
    const TWO: &str =
        "  other: { kind: group, group: alithya-csna, name: Other, role: reporter, scopes: [read_api] }\n";
    for writer in WRITERS {
        let lab = Lab::today();
        lab.write("environments/qa.yaml", &(lab.read("environments/qa.yaml") + TWO));
        let template = lab.read("templates/backstage.yaml") + "OTHER: \"{{ tokens.other }}\"\n";
        lab.write("templates/backstage.yaml", &template);
        lab.commit_all("two");
        lab.provision(["--env", "qa", "--yes"]).ok();
        let mut lock = Lock::read(LOCK, &lab.read(LOCK)).unwrap();
        let one = lock.tokens["backstage"].clone();
        lock.tokens.get_mut("other").unwrap().clone_from(&one);
        lab.write(LOCK, &lock.write());
        lab.commit_all("forged");
        let before = live(&lab);
        let says = format!("token {} is the current one of `backstage` and of `other`", one.id);
        lab.provision(writer.iter().copied().chain(["--yes"])).refused(5, &says);
        assert_eq!(live(&lab), before, "{writer:?}");
    }
}
