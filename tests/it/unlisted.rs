//! Environments whose profile is gone, of the built program: their tokens are seen, and can be ended by their lock alone.

use crate::support::lab::{Lab, Said};
use crate::support::team::Team;

const PROFILE: &str = "environments/qa.yaml";
const SECRETS: &str = "secrets/qa.sops.yaml";
const LOCK: &str = "environments/locks/qa.yaml";
const REVOKE: &str = "provision revoke --env qa";

fn live(lab: &Lab) -> usize {
    lab.minted().iter().filter(|token| token["active"] == true).count()
}

fn current(lab: &Lab) -> String {
    let lock = lab.read(LOCK);
    lock.lines().find_map(|line| line.trim().strip_prefix("id: ").map(str::to_owned)).unwrap()
}

/// With the one environment qa, and its token.
fn with_a_token() -> Lab {
    let lab = Lab::today();
    lab.git(["rm", "--quiet", "environments/dev.yaml", "environments/devmode.yaml"]);
    lab.git(["commit", "--quiet", "--message", "qa alone"]);
    lab.provision(["--env", "qa", "--yes"]).ok();
    lab
}

/// One current token and two superseded ones, all alive, and no profile.
fn without_a_profile() -> Lab {
    let lab = with_a_token();
    lab.provision(["rotate", "--env", "qa", "--yes"]).ok();
    lab.provision(["rotate", "--env", "qa", "--yes"]).ok();
    lab.git(["rm", "--quiet", PROFILE]);
    lab.git(["commit", "--quiet", "--message", "no qa any more"]);
    assert_eq!(live(&lab), 3);
    lab
}

fn doctor(lab: &Lab) -> Said {
    lab.provision(["doctor", "--offline"])
}

#[test]
fn a_lock_without_its_profile_is_seen_by_everything_that_looks() {
    let lab = without_a_profile();
    let id = current(&lab);
    for args in [["status"].as_slice(), &["status", "--env", "qa"], &["status", "--live"]] {
        let said = lab.provision(args).refused(3, "");
        assert!(said.out.contains("unlisted (superseded: ") && said.out.contains(&id), "{}", said.out);
    }
    let said = lab.provision(["check"]).refused(3, "");
    assert!(said.out.contains(&format!("nothing looks after token {id} (backstage)")), "{}", said.out);
    assert!(
        said.out.contains(REVOKE) && said.out.contains("git mv environments/locks/qa.yaml"),
        "{}",
        said.out
    );
    let said = doctor(&lab);
    assert!(said.out.contains("environments/qa.yaml is not there"), "{}", said.out);
    assert!(said.out.contains(REVOKE), "{}", said.out);
}

#[test]
fn every_writer_of_all_environments_says_that_a_profile_is_gone() {
    let lab = without_a_profile();
    for args in [
        ["--all", "--yes"].as_slice(),
        &["rotate", "--all", "--due", "--yes"],
        &["revoke", "--all", "--orphans", "--yes"],
        &["--env", "qa", "--yes"],
    ] {
        lab.provision(args).refused(3, REVOKE);
    }
    assert_eq!(live(&lab), 3);
    lab.provision(["--all", "--prune", "--yes"]).ok();
    assert_eq!(live(&lab), 0);
}

#[test]
fn an_environment_is_revoked_by_its_lock_alone() {
    let lab = without_a_profile();
    let said = lab.provision(["revoke", "--env", "qa", "--yes"]).ok();
    assert!(said.out.contains("GitLab refuses its value"), "{}", said.out);
    assert_eq!(live(&lab), 0);
    assert_eq!(lab.value(SECRETS, "GITLAB_TOKEN"), "");
    assert!(!lab.repo().join(LOCK).exists());
    assert_eq!(lab.git(["status", "--porcelain"]), "");
    assert_eq!(lab.git(["ls-files", LOCK]), "");
    lab.provision(["status"]).ok();
    lab.provision(["check"]).ok();
    lab.provision(["revoke", "--env", "qa", "--yes"]).refused(2, "there is no environment qa");
}

#[test]
fn a_revocation_without_a_profile_needs_neither_policy_nor_secrets_file() {
    let lab = without_a_profile();
    lab.git(["rm", "--quiet", "-r", SECRETS, "templates"]);
    lab.git(["commit", "--quiet", "--message", "nothing of qa"]);
    lab.provision(["revoke", "--env", "qa", "--yes"]).ok();
    assert_eq!(live(&lab), 0);
    assert!(!lab.repo().join(LOCK).exists());
}

#[test]
fn a_revocation_without_a_profile_is_delivered() {
    let lab = Lab::today();
    let team = Team::of(&lab);
    lab.provision(["--env", "qa", "--push", "--yes"]).ok();
    lab.git(["rm", "--quiet", PROFILE]);
    lab.git(["commit", "--quiet", "--message", "no qa any more"]);
    lab.git(["push", "--quiet", "origin", "HEAD:main"]);
    lab.provision(["revoke", "--env", "qa", "--push", "--yes"]).ok();
    assert_eq!(live(&lab), 0);
    assert_eq!(team.content("main", LOCK), None);
    assert!(!lab.repo().join(LOCK).exists());
}

#[test]
fn a_token_that_only_the_lock_says_is_ours_is_not_revoked_without_a_profile_either() {
    let lab = without_a_profile();
    let lock = lab.read(LOCK);
    let name = lock.lines().find(|line| line.starts_with("    name: ")).unwrap();
    lab.write(LOCK, &lock.replace(name, "    name: Somebody else's"));
    lab.commit_all("another name");
    lab.provision(["revoke", "--env", "qa", "--yes"]).refused(5, "");
    assert_eq!(live(&lab), 3);
}

#[test]
fn a_profile_that_is_renamed_without_its_lock_gets_no_second_token() {
    let lab = with_a_token();
    // A lab of today keeps its hooks where its own configuration says, and nobody's hook is overwritten there.
    lab.git(["config", "--unset", "core.hooksPath"]);
    lab.provision(["hook", "install"]).ok();
    lab.git(["mv", PROFILE, "environments/staging.yaml"]);
    lab.git(["commit", "--quiet", "--no-verify", "--message", "staging"]);
    let both = "git mv environments/locks/qa.yaml environments/locks/staging.yaml";
    lab.provision(["--env", "staging", "--yes"]).refused(5, both);
    assert_eq!(live(&lab), 1);
    lab.git(["mv", LOCK, "environments/locks/staging.yaml"]);
    lab.git(["commit", "--quiet", "--message", "and its lock"]);
    let said = lab.provision(["--env", "staging", "--yes"]).ok();
    assert!(said.out.contains("backstage is healthy"), "{}", said.out);
    lab.provision(["rotate", "--env", "staging", "--yes"]).ok();
    lab.provision(["check"]).ok();
    lab.provision(["status"]).ok();
}

#[test]
fn the_hook_holds_up_the_commit_that_takes_a_profile_away_and_no_later_one() {
    let lab = with_a_token();
    lab.git(["rm", "--quiet", PROFILE]);
    let said = lab.provision(["check", "--staged"]).refused(3, "");
    assert!(said.out.contains(REVOKE), "{}", said.out);
    lab.git(["commit", "--quiet", "--message", "no qa any more"]);
    lab.provision(["check", "--staged"]).ok();
}

#[test]
fn a_person_ends_what_the_lock_of_their_own_names() {
    let lab = Lab::today();
    lab.provision_as_admin(["--env", "devmode", "--yes"]).ok();
    lab.git(["rm", "--quiet", "environments/devmode.yaml"]);
    lab.git(["commit", "--quiet", "--message", "no devmode any more"]);
    let said = lab.provision(["status", "--env", "devmode"]).refused(3, "");
    assert!(said.out.contains("devmode/root") && said.out.contains("unlisted"), "{}", said.out);
    lab.provision_as_admin(["revoke", "--env", "devmode", "--yes"]).ok();
    assert_eq!(live(&lab), 0);
    assert_eq!(lab.git(["ls-files", "environments/locks"]), "");
    assert_eq!(lab.git(["status", "--porcelain"]), "");
}

#[test]
fn what_needs_care_is_seen_by_scripts() {
    let lab = with_a_token();
    std::fs::write(lab.repo().join(".git/provision/qa.journal"), "").unwrap();
    lab.provision(["status"]).refused(3, "qa: a run was not finished");
    lab.provision(["--env", "qa", "--yes"]).ok();
    lab.provision(["status"]).ok();

    lab.git(["rm", "--quiet", PROFILE]);
    lab.git(["commit", "--quiet", "--message", "no qa any more"]);
    let said = lab.provision(["--env", "qa", "--yes", "--json"]).refused(3, "");
    let report: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let note = &report["environments"][0]["notes"][0];
    assert_eq!(note["attention"], true, "{report}");
    assert!(note["text"].as_str().unwrap().contains(REVOKE), "{report}");
}
