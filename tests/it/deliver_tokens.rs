//! `--push` and `--mr` of the built program, for runs that mint.

use crate::support::lab::{Lab, Said};
use crate::support::team::Team;

const SECRETS: &str = "secrets/qa.sops.yaml";
const LOCK: &str = "environments/locks/qa.yaml";

fn lab_and_team() -> (Lab, Team) {
    let lab = Lab::new();
    let team = Team::of(&lab);
    (lab, team)
}

#[track_caller]
fn live(lab: &Lab) -> Vec<u64> {
    let minted = lab.minted();
    let live = minted.iter().filter(|token| token["active"] == true);
    live.map(|token| token["id"].as_u64().unwrap()).collect()
}

#[test]
fn a_push_brings_token_file_and_lock_to_the_remote_and_the_clone_follows() {
    let (lab, team) = lab_and_team();
    let said = lab.provision(["--env", "qa", "--push", "--yes"]).ok();
    assert!(said.out.contains("qa: pushed to main at origin"), "{}", said.out);
    assert_eq!(lab.head(), team.git(["rev-parse", "main"]));
    assert!(team.show("main", LOCK).contains(&format!("id: {}", live(&lab)[0])));
    assert!(lab.value(SECRETS, "GITLAB_TOKEN").starts_with("glpat-"));
    assert_eq!(lab.git(["status", "--porcelain"]), "");
    assert!(!lab.repo().join(".git/provision/qa.journal").exists());
    let said = lab.provision(["--env", "qa", "--push", "--yes"]).ok();
    assert!(said.out.contains("backstage is healthy"), "{}", said.out);
    assert_eq!(live(&lab).len(), 1);
}

#[test]
fn a_merge_request_tells_the_reviewer_and_waits_without_a_second_mint() {
    let (lab, team) = lab_and_team();
    let before = (lab.head(), lab.git(["status", "--porcelain"]));
    lab.provision(["--env", "qa", "--mr", "--yes"]).ok();
    assert_eq!((lab.head(), lab.git(["status", "--porcelain"])), before);
    let options = team.options();
    assert!(options.contains(&"merge_request.title=provision(qa): mint backstage".to_owned()), "{options:?}");
    let description = options.iter().find(|option| option.starts_with("merge_request.description=")).unwrap();
    assert!(
        description.contains("role: developer<br>scopes: `read_api`, `read_repository`"),
        "{description}"
    );

    let said = lab.provision(["--env", "qa", "--mr", "--yes"]).ok();
    assert!(said.out.contains("backstage is healthy"), "{}", said.out);
    assert!(said.err.contains("provision/qa"), "{}", said.err);
    assert_eq!(live(&lab).len(), 1);
    lab.provision(["--env", "qa", "--push", "--yes"])
        .refused(5, "provision/qa of origin has changes that are not in main yet");

    team.merge("provision/qa");
    let said = lab.provision(["--env", "qa", "--mr", "--yes"]).ok();
    assert!(said.out.contains("backstage is healthy"), "{}", said.out);
    assert_eq!(live(&lab).len(), 1);
}

#[test]
fn two_clones_that_mint_the_same_end_with_one_token() {
    let (lab, team) = lab_and_team();
    let ben = team.another_clone("ben");
    let mut held = ben.hold_next_push(&lab);
    let late = ben.command(&lab, &["--env", "qa", "--push", "--yes"]).spawn().unwrap();
    held.wait();
    lab.provision(["--env", "qa", "--push", "--yes"]).ok();
    assert_eq!(live(&lab).len(), 2);
    held.let_go();
    let said = Said::of(&late.wait_with_output().unwrap()).ok();
    assert_eq!(live(&lab).len(), 1, "{}", said.err);
    assert_eq!(ben.git(&lab, &["rev-parse", "HEAD"]), team.git(["rev-parse", "main"]));
    assert_eq!(lab.head(), team.git(["rev-parse", "main"]));
}

#[test]
fn a_push_that_took_the_next_environment_along_is_done() {
    let (lab, team) = lab_and_team();
    lab.provision(["--env", "qa", "--yes"]).ok();
    let said = lab.provision(["--env", "dev,qa", "--push", "--yes"]).ok();
    assert_eq!(live(&lab).len(), 2, "{}", said.err);
    assert_eq!(lab.head(), team.git(["rev-parse", "main"]));
    assert!(team.show("main", LOCK).contains(&format!("id: {}", live(&lab)[0])));
}

/// A commit of the user's that is for no branch of the remote.
fn wip(lab: &Lab) -> String {
    lab.write("wip", "not ready\n");
    lab.commit_all("wip");
    lab.head()
}

#[test]
fn a_branch_that_follows_a_local_one_is_not_pushed_to_main() {
    let (lab, team) = lab_and_team();
    let main = team.git(["rev-parse", "main"]);
    lab.git(["checkout", "-q", "-b", "feature", "--track", "main"]);
    wip(&lab);
    let said = lab.provision(["--env", "qa", "--push", "--yes"]);
    let said = said.refused(2, "the branch feature follows none at origin");
    assert!(said.err.contains("git push --set-upstream origin feature"), "{}", said.err);
    assert_eq!((team.git(["rev-parse", "main"]), live(&lab).len()), (main, 0));
    lab.provision(["--env", "qa", "--mr", "--yes"]).ok();
    assert_eq!(live(&lab).len(), 1);
}

#[test]
fn a_detached_head_takes_no_commit_to_main() {
    let (lab, team) = lab_and_team();
    let main = team.git(["rev-parse", "main"]);
    // As a job of CI for a branch has it.
    lab.git(["checkout", "-q", "--detach"]);
    wip(&lab);
    let said = lab.provision(["--env", "qa", "--push", "--yes"]);
    let said = said.refused(5, "HEAD is on no branch and has 1 commit that main of origin does not have");
    assert!(said.err.contains("--mr"), "{}", said.err);
    assert_eq!((team.git(["rev-parse", "main"]), live(&lab).len()), (main, 0));
    lab.git(["checkout", "-q", "--detach", "main"]);
    lab.provision(["--env", "qa", "--push", "--yes"]).ok();
    assert!(team.show("main", LOCK).contains(&format!("id: {}", live(&lab)[0])));
}

#[test]
fn a_push_that_git_would_take_elsewhere_is_refused() {
    let (lab, team) = lab_and_team();
    let main = team.git(["rev-parse", "main"]);
    let fork = lab.everything().join("fork.git");
    let fork = fork.to_str().unwrap();
    lab.git(["clone", "-q", "--bare", ".", fork]);
    lab.git(["remote", "add", "fork", fork]);
    for (key, value, back) in [
        ("remote.pushDefault", "fork", None),
        ("branch.main.pushRemote", "fork", None),
        ("branch.main.remote", fork, Some("origin")),
    ] {
        lab.git(["config", key, value]);
        let said = lab.provision(["--env", "qa", "--push", "--yes"]);
        let said = said.refused(5, "git push goes elsewhere than to origin here");
        assert!(said.err.contains(key) && said.err.contains("--mr"), "{}", said.err);
        match back {
            Some(back) => lab.git(["config", key, back]),
            None => lab.git(["config", "--unset", key]),
        };
    }
    assert_eq!((team.git(["rev-parse", "main"]), live(&lab).len()), (main, 0));
    lab.provision(["--env", "qa", "--push", "--yes"]).ok();
}

#[test]
fn work_of_ones_own_after_what_the_request_has_already_does_not_wait() {
    let (lab, _team) = lab_and_team();
    lab.provision(["--env", "qa", "--mr", "--yes"]).ok();
    lab.git(["fetch", "-q", "origin"]);
    lab.git(["merge", "-q", "origin/provision/qa"]);
    wip(&lab);
    let said = lab.provision(["--env", "qa", "--mr", "--dry-run"]).ok();
    assert!(!said.out.contains("made already"), "{}", said.out);
}

#[test]
fn a_remote_that_has_nothing_yet_gets_all_that_is_committed() {
    let lab = Lab::new();
    lab.provision(["--env", "qa", "--yes"]).ok();
    let remote = lab.everything().join("new.git");
    lab.git(["init", "-q", "--bare", "-b", "main", remote.to_str().unwrap()]);
    lab.git(["remote", "add", "origin", remote.to_str().unwrap()]);
    let commits = lab.git(["rev-list", "--count", "HEAD"]);
    let said = lab.provision(["--env", "qa", "--push", "--dry-run"]).ok();
    let expected = format!("{commits} commits that are made already to main at origin");
    assert!(said.out.contains(&expected), "{}", said.out);
}
