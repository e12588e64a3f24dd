//! `revoke`, `--prune` and `moved_from:` of the built program.

use jiff::SignedDuration;

use crate::support::lab::Lab;
use crate::support::program::script;
use crate::support::team::Team;

const SECRETS: &str = "secrets/qa.sops.yaml";
const LOCK: &str = "environments/locks/qa.yaml";
const MIRROR: &str = "  mirror:
    kind: group
    group: alithya-csna
    name: Mirror
    role: reporter
    scopes: [read_repository]
";

fn live(lab: &Lab) -> Vec<u64> {
    let minted = lab.minted();
    let live = minted.iter().filter(|token| token["active"] == true);
    live.map(|token| token["id"].as_u64().unwrap()).collect()
}

/// Two tokens, each with a slot of its own.
fn two_tokens() -> Lab {
    let lab = Lab::today();
    lab.write("environments/qa.yaml", &(lab.read("environments/qa.yaml") + MIRROR));
    let template = lab.read("templates/backstage.yaml") + "MIRROR: \"{{ tokens.mirror }}\"\n";
    lab.write("templates/backstage.yaml", &template);
    lab.commit_all("mirror");
    lab.provision(["--env", "qa", "--yes"]).ok();
    lab
}

#[test]
fn a_token_is_revoked_and_proved_to_be_and_its_slot_and_lock_entry_are_blanked() {
    let lab = two_tokens();
    let mirror = lab.value(SECRETS, "MIRROR");
    let said = lab.provision(["revoke", "--env", "qa", "--token", "backstage", "--yes"]).ok();
    assert!(said.out.contains("is revoked; GitLab refuses its value"), "{}", said.out);
    assert_eq!(live(&lab).len(), 1);
    assert_eq!(lab.value(SECRETS, "GITLAB_TOKEN"), "");
    assert_eq!(lab.value(SECRETS, "MIRROR"), mirror);
    assert!(!lab.read(LOCK).contains("backstage:"), "{}", lab.read(LOCK));
    assert_eq!(lab.git(["status", "--porcelain"]), "");
    assert!(lab.git(["log", "-1", "--format=%s"]).contains("of backstage"));
    // What is left can still be written, and a plain run makes a new one.
    lab.provision(["rotate", "--env", "qa", "--token", "mirror", "--yes"]).ok();
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert!(lab.value(SECRETS, "GITLAB_TOKEN").starts_with("glpat-"));
}

#[test]
fn an_environment_is_revoked_as_a_whole_superseded_tokens_too() {
    let lab = two_tokens();
    lab.provision(["rotate", "--env", "qa", "--yes"]).ok();
    assert_eq!(live(&lab).len(), 4);
    lab.provision(["revoke", "--env", "qa", "--yes"]).ok();
    assert_eq!(live(&lab).len(), 0);
    assert_eq!(
        (lab.value(SECRETS, "GITLAB_TOKEN"), lab.value(SECRETS, "MIRROR")),
        (String::new(), String::new())
    );
    lab.provision(["revoke", "--env", "qa", "--yes"]).ok();
}

#[test]
fn a_file_that_hides_nothing_else_is_blanked_too() {
    let lab = Lab::today();
    lab.write("templates/backstage.yaml", "GITLAB_TOKEN: \"{{ tokens.backstage }}\"\n");
    lab.commit_all("nothing else");
    lab.provision(["--env", "qa", "--yes"]).ok();
    lab.provision(["revoke", "--env", "qa", "--yes"]).ok();
    assert_eq!(lab.value(SECRETS, "GITLAB_TOKEN").trim(), "");
    assert!(lab.read(SECRETS).contains("ENC["));
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert!(lab.value(SECRETS, "GITLAB_TOKEN").starts_with("glpat-"));
}

#[test]
fn a_revocation_is_delivered() {
    let lab = Lab::today();
    let team = Team::of(&lab);
    lab.provision(["--env", "qa", "--push", "--yes"]).ok();
    lab.provision(["revoke", "--env", "qa", "--push", "--yes"]).ok();
    assert_eq!(live(&lab).len(), 0);
    assert!(!team.show("main", LOCK).contains("backstage:"));
    assert_eq!(lab.head(), team.git(["rev-parse", "main"]));
}

#[test]
fn what_gitlab_does_not_revoke_keeps_its_slot_and_its_entry() {
    let lab = two_tokens();
    lab.gitlab.add_fault("DELETE * x1 403".parse().unwrap());
    let said = lab
        .provision(["revoke", "--env", "qa", "--yes"])
        .refused(4, "for the rest: provision revoke --env qa");
    assert!(said.out.contains("is revoked"), "{}{}", said.out, said.err);
    assert_eq!(live(&lab).len(), 1);
    assert_eq!(lab.value(SECRETS, "GITLAB_TOKEN").is_empty(), !lab.read(LOCK).contains("backstage:"));
    lab.provision(["revoke", "--env", "qa", "--yes"]).ok();
    assert_eq!(live(&lab).len(), 0);
}

#[test]
fn what_is_not_revoked_is_said_to_be_not_revoked() {
    let lab = two_tokens();
    lab.provision(["rotate", "--env", "qa", "--token", "backstage", "--yes"]).ok();
    for token in lab.minted().iter().filter(|token| token["name"] != "Mirror") {
        lab.fault(&format!("DELETE */access_tokens/{} 403", token["id"]));
    }
    let said = lab.provision(["revoke", "--env", "qa", "--yes"]).refused(4, "2 tokens were not revoked");
    assert!(!said.err.contains("not made"), "{}", said.err);
    let rest = said.err.lines().find(|line| line.contains("for the rest")).unwrap();
    assert!(rest.ends_with("provision revoke --env qa --token backstage"), "{rest}");
    assert_eq!(live(&lab).len(), 2);
    lab.gitlab.clear_faults();
    lab.provision(["revoke", "--env", "qa", "--yes"]).ok();
    assert_eq!(live(&lab).len(), 0);
}

#[test]
fn an_entry_that_left_the_profile_is_reported_and_revoked_by_prune_only() {
    let lab = two_tokens();
    lab.write("environments/qa.yaml", &lab.read("environments/qa.yaml").replace(MIRROR, ""));
    let template = lab.read("templates/backstage.yaml").replace("MIRROR: \"{{ tokens.mirror }}\"\n", "");
    lab.write("templates/backstage.yaml", &template);
    lab.commit_all("no mirror");
    let said = lab.provision(["--env", "qa", "--yes"]).refused(3, "provision --env qa --prune revokes it");
    assert!(said.out.contains("backstage is healthy"), "{}", said.out);
    assert_eq!(live(&lab).len(), 2);
    lab.provision(["--env", "qa", "--prune", "--yes"]).ok();
    assert_eq!(live(&lab).len(), 1);
    assert_eq!(lab.value(SECRETS, "MIRROR"), "");
    assert!(!lab.read(LOCK).contains("mirror:"));
    let said = lab.provision(["--env", "qa", "--prune", "--yes"]).ok();
    assert!(said.out.contains("backstage is healthy"), "{}", said.out);
}

#[test]
fn an_entry_whose_token_has_ended_by_itself_is_named_where_it_leaves_the_lock() {
    let lab = two_tokens();
    lab.write("environments/qa.yaml", &lab.read("environments/qa.yaml").replace(MIRROR, ""));
    let template = lab.read("templates/backstage.yaml").replace("MIRROR: \"{{ tokens.mirror }}\"\n", "");
    lab.write("templates/backstage.yaml", &template);
    lab.commit_all("no mirror");
    let mirror =
        lab.minted().into_iter().find(|token| token["description"].as_str().unwrap().contains("mirror"));
    let mirror = &mirror.unwrap()["id"];
    lab.api("DELETE", &format!("/groups/alithya-csna/access_tokens/{mirror}"), &serde_json::Value::Null);
    let plan = lab.provision(["--env", "qa", "--prune", "--dry-run"]).ok();
    assert!(plan.out.contains("without mirror, whose token has ended"), "{plan:?}");
    lab.provision(["--env", "qa", "--prune", "--yes"]).ok();
    assert!(lab.git(["log", "-1", "--format=%B"]).contains("forget mirror, whose token has ended"));
}

#[test]
fn a_renamed_entry_keeps_its_token() {
    let lab = Lab::today();
    lab.provision(["--env", "qa", "--yes"]).ok();
    let value = lab.value(SECRETS, "GITLAB_TOKEN");
    let profile = lab.read("environments/qa.yaml");
    lab.write(
        "environments/qa.yaml",
        &profile.replace("  backstage:\n", "  portal:\n    moved_from: backstage\n"),
    );
    let template = lab.read("templates/backstage.yaml");
    lab.write("templates/backstage.yaml", &template.replace("tokens.backstage", "tokens.portal"));
    lab.commit_all("rename");
    let status = lab.provision(["status", "--env", "qa"]).ok();
    assert!(status.out.contains("portal") && !status.out.contains("unlisted"), "{status:?}");
    let said = lab.provision(["--env", "qa", "--yes"]).ok();
    assert!(said.out.contains("backstage is portal now"), "{}", said.out);
    assert_eq!(live(&lab).len(), 1);
    assert_eq!(lab.value(SECRETS, "GITLAB_TOKEN"), value);
    assert!(lab.read(LOCK).contains("  portal:") && !lab.read(LOCK).contains("  backstage:"));
    let head = lab.head();
    let said = lab.provision(["--env", "qa", "--yes"]).ok();
    assert!(said.out.contains("portal is healthy"), "{}", said.out);
    assert_eq!(lab.head(), head);
}

#[test]
fn orphans_are_revoked_once_they_are_old_and_no_branch_of_the_remote_names_them() {
    let lab = Lab::today();
    let team = Team::of(&lab);
    // A container that is gone before it pushed; and a request that is open.
    let container = team.another_clone("container");
    assert!(container.command(&lab, &["--env", "qa", "--yes"]).output().unwrap().status.success());
    drop(container);
    lab.provision(["--env", "dev", "--mr", "--yes"]).ok();
    let waiting = live(&lab)[1];
    lab.git(["update-ref", "-d", "refs/remotes/origin/provision/dev"]);

    let said = lab.provision(["revoke", "--all", "--orphans", "--yes"]).ok();
    assert!(said.err.contains("not revoked yet"), "{}", said.err);
    assert_eq!(live(&lab).len(), 2);
    lab.gitlab.advance(SignedDuration::from_hours(25));
    let said = lab.provision(["revoke", "--all", "--orphans", "--yes"]).ok();
    assert!(said.out.contains("is revoked; GitLab says so"), "{}{}", said.out, said.err);
    assert_eq!(live(&lab), [waiting]);
}

#[test]
fn an_orphan_that_somebody_has_used_needs_force() {
    let lab = Lab::today();
    lab.provision(["--env", "qa", "--yes"]).ok();
    let value = lab.value(SECRETS, "GITLAB_TOKEN");
    lab.git(["reset", "-q", "--hard", "HEAD~1"]);
    lab.gitlab.advance(SignedDuration::from_hours(30));
    super::rotate::used(&lab, &value);
    lab.provision(["revoke", "--env", "qa", "--orphans", "--yes"]).refused(3, "not revoked without --force");
    assert_eq!(live(&lab).len(), 1);
    lab.provision(["revoke", "--env", "qa", "--orphans", "--force", "--yes"]).ok();
    assert_eq!(live(&lab).len(), 0);
}

#[test]
fn what_was_replaced_and_not_pushed_yet_ends_with_its_entry() {
    let lab = Lab::today();
    let _team = Team::of(&lab);
    lab.provision(["--env", "qa", "--push", "--yes"]).ok();
    lab.provision(["rotate", "--env", "qa", "--yes"]).ok();
    lab.provision(["revoke", "--env", "qa", "--yes"]).ok();
    assert_eq!(live(&lab), [0; 0]);
}

#[test]
fn what_an_interrupted_run_made_is_withdrawn_and_not_committed_first() {
    let lab = Lab::today();
    let hook = lab.repo().join(".git/hooks/pre-commit");
    script(&hook, "#!/bin/sh\nexit 1\n");
    lab.provision(["--env", "qa", "--yes"]).refused(4, "git commit failed");
    std::fs::remove_file(hook).unwrap();
    let head = lab.head();
    lab.provision(["revoke", "--env", "qa", "--token", "backstage", "--yes"]).ok();
    assert_eq!((live(&lab), lab.head()), (Vec::new(), head));
    assert_eq!(lab.git(["status", "--porcelain"]), "");
    assert!(!lab.repo().join(".git/provision/qa.journal").exists());
}

#[test]
fn a_lock_upstream_that_cannot_be_read_is_named() {
    let lab = Lab::today();
    let _team = Team::of(&lab);
    lab.provision(["--env", "dev,qa", "--push", "--yes"]).ok();
    lab.provision(["rotate", "--env", "qa", "--push", "--yes"]).ok();
    lab.gitlab.advance(SignedDuration::from_hours(30));
    let good = lab.head();
    for path in [LOCK, "environments/locks/dev.yaml"] {
        let markers = "<<<<<<< HEAD\n    id: 1\n=======\n    id: 2\n>>>>>>> x\n";
        lab.write(path, &lab.read(path).replacen("    id: ", &format!("{markers}    id: "), 1));
        lab.commit_all("a careless merge");
        lab.git(["push", "-q"]);
        lab.git(["reset", "-q", "--hard", &good]);
        let said = lab.provision(["--env", "qa", "--yes"]).refused(3, "superseded tokens are not retired");
        assert!(said.err.contains(&format!("{path}:")) && said.err.contains("upstream"), "{}", said.err);
        assert_eq!(live(&lab).len(), 3, "{}", said.err);
        lab.git(["push", "-q", "-f"]);
    }
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert_eq!(live(&lab).len(), 2);
}
