//! Delivery to a project of the embedded GitLab: what GitLab says of the branch and of merge requests decides before
//! anything is minted.

use serde_json::json;

use crate::support::lab::{Lab, Said, said};
use crate::support::team::{PROJECT, Team};

const BRANCH: &str = "provision/qa";

fn project(rest: &str) -> String {
    format!("/projects/{}/{rest}", PROJECT.replace('/', "%2F"))
}

fn lab_and_project() -> (Lab, Team) {
    let lab = Lab::new();
    let team = Team::of(&lab);
    team.is_a_project(&lab, "");
    (lab, team)
}

fn run(lab: &Lab, way: &[&str]) -> Said {
    lab.provision([&["--env", "qa", "--yes"], way].concat())
}

/// A run with `--mr`. Returns the path of its merge request.
fn requested(lab: &Lab, team: &Team) -> String {
    run(lab, &["--mr"]).ok();
    opened(lab, team)
}

/// What GitLab makes of the push options.
fn opened(lab: &Lab, team: &Team) -> String {
    team.told(lab, BRANCH);
    let wish = json!({"source_branch": BRANCH, "target_branch": "main", "title": "x"});
    let made = lab.api("POST", &project("merge_requests"), &wish);
    project(&format!("merge_requests/{}", made["iid"]))
}

fn nobody_may_push(lab: &Lab) {
    lab.api("DELETE", &project("protected_branches/main"), &json!({}));
    lab.api("POST", &project("protected_branches"), &json!({"name": "ma*", "push_access_level": 0}));
}

#[track_caller]
fn asked_of_the_project(lab: &Lab) -> usize {
    lab.requests().iter().filter(|request| request.contains("/projects/")).count()
}

#[test]
fn a_protected_branch_is_refused_before_anything_is_minted_unless_a_merge_request_was_chosen() {
    let (lab, _team) = lab_and_project();
    nobody_may_push(&lab);
    for way in [&[][..], &["--push"]] {
        let said = run(&lab, way).refused(5, "main of origin is protected");
        assert!(said.err.contains("--mr"), "{}", said.err);
    }
    assert_eq!(lab.minted().len(), 0);
    assert_eq!(lab.git(["worktree", "list"]).lines().count(), 1);
    run(&lab, &["--mr"]).ok();
    assert_eq!(lab.minted().len(), 1);
}

#[test]
fn a_branch_of_ones_own_and_a_user_who_may_push_are_let_through() {
    let (lab, team) = lab_and_project();
    let said = run(&lab, &["--push"]).ok();
    assert!(said.out.contains("pushed to main at origin"), "{}", said.out);
    nobody_may_push(&lab);
    team.told(&lab, "main");
    let before = asked_of_the_project(&lab);
    run(&lab, &[]).ok();
    assert_eq!(asked_of_the_project(&lab), before, "asked for a plan that mints nothing");
    lab.git(["checkout", "-q", "-b", "topic"]);
    lab.write("environments/qa.yaml", &lab.read("environments/qa.yaml").replace("[read_api, ", "["));
    lab.commit_all("another scope");
    run(&lab, &[]).ok();
    assert_eq!(lab.minted().len(), 2);
}

#[test]
fn a_remote_elsewhere_is_nothing_that_gitlab_is_asked_about() {
    let lab = Lab::new();
    let team = Team::of(&lab);
    team.is_a_project(&lab, "");
    nobody_may_push(&lab);
    let before = asked_of_the_project(&lab);
    lab.git(["remote", "set-url", "origin", &format!("ssh://git@gitlab.example.com/{PROJECT}.git")]);
    run(&lab, &["--push"]).ok();
    assert_eq!(asked_of_the_project(&lab), before);
}

#[test]
fn a_gitlab_that_does_not_tell_does_not_stand_in_the_way() {
    for fault in ["GET /projects/* 403", "GET /projects/* 404", "GET /projects/* 401", "GET /projects/* html"]
    {
        let (lab, _team) = lab_and_project();
        nobody_may_push(&lab);
        lab.gitlab.add_fault(fault.parse().unwrap());
        run(&lab, &["--push"]).ok();
    }
}

#[test]
fn a_remote_that_lets_nobody_write_is_found_out_before_anything_is_minted() {
    let lab = Lab::new();
    let team = Team::of(&lab);
    let read_only = "[ \"$1\" = git-upload-pack ] || { echo 'ERROR: You are not allowed to push code to this project.' >&2; exit 1; }";
    team.is_a_project(&lab, read_only);
    for way in ["--push", "--mr"] {
        let said = run(&lab, &[way]).refused(6, "origin does not allow git push --dry-run");
        assert!(said.err.contains("You are not allowed to push code"), "{}", said.err);
    }
    assert_eq!(lab.minted().len(), 0);
    assert!(!lab.repo().join(".git/provision/qa.journal").exists());
}

#[test]
fn a_git_that_speaks_french_is_asked_for_english_where_its_words_are_read() {
    let lab = Lab::new();
    let team = Team::of(&lab);
    let before = "[ \"$LANGUAGE\" = en ] && echo 'Permission denied' >&2 || echo 'Permission non accordée' >&2; exit 1";
    team.is_a_project(&lab, before);
    let mut run = lab.command(["--env", "qa", "--yes", "--push"]);
    said(run.env("LANGUAGE", "fr").env("LANG", "fr_CA.UTF-8"))
        .refused(6, "origin does not allow git ls-remote");
    assert_eq!(lab.minted().len(), 0);
}

#[test]
fn a_remote_that_takes_no_push_options_is_found_out_before_anything_is_minted() {
    let (lab, team) = lab_and_project();
    team.git(["config", "receive.advertisePushOptions", "false"]);
    let said = run(&lab, &["--mr"]).refused(5, "origin takes no push options");
    assert!(said.err.contains("--push"), "{}", said.err);
    assert_eq!(lab.minted().len(), 0);
}

#[test]
fn the_merge_request_of_yesterday_is_named_and_nothing_is_minted() {
    let (lab, team) = lab_and_project();
    requested(&lab, &team);
    lab.gitlab.advance(jiff::SignedDuration::from_hours(24));
    let said = run(&lab, &["--mr"]).ok();
    assert!(
        said.err.contains(&format!("is open: {}/{PROJECT}/-/merge_requests/1", lab.gitlab.url())),
        "{}",
        said.err
    );
    assert_eq!(lab.minted().len(), 1);
}

#[test]
fn a_closed_merge_request_is_reported_with_the_token_that_it_left() {
    let (lab, team) = lab_and_project();
    let request = requested(&lab, &team);
    let token = lab.minted()[0]["id"].clone();
    lab.api("PUT", &request, &json!({"state_event": "close"}));
    for way in ["--mr", "--push"] {
        let said = run(&lab, &[way]).refused(5, "was closed without being merged");
        assert!(said.err.contains(&format!("token {token} of backstage")), "{}", said.err);
        assert!(said.err.contains("/-/merge_requests/1"), "{}", said.err);
    }
    lab.api("PUT", &request, &json!({"state_event": "reopen"}));
    run(&lab, &["--mr"]).ok();
    assert_eq!(lab.minted().len(), 1);
}

#[test]
fn a_closed_merge_request_whose_branch_is_gone_is_remembered_while_its_token_lives() {
    let (lab, team) = lab_and_project();
    let request = requested(&lab, &team);
    let token = lab.minted()[0]["id"].clone();
    lab.api("PUT", &request, &json!({"state_event": "close"}));
    team.git(["branch", "-q", "-D", BRANCH]);
    team.told(&lab, BRANCH);
    // Attention: somebody has to revoke that token.
    let said =
        run(&lab, &["--mr"]).refused(3, &format!("token {token} of backstage is left of a merge request"));
    assert!(said.out.contains("pushed to provision/qa"), "{}", said.out);
    assert_eq!(lab.minted().len(), 2);
}

#[test]
fn a_request_that_was_squashed_and_whose_branch_was_left_counts_as_merged() {
    let (lab, team) = lab_and_project();
    let request = requested(&lab, &team);
    team.squash(BRANCH);
    lab.api("PUT", &format!("{request}/merge"), &json!({}));
    lab.git(["pull", "-q"]);
    let said = run(&lab, &["--mr"]).ok();
    assert!(!said.err.contains(BRANCH), "{}", said.err);
    assert_eq!(lab.minted().len(), 1);
}

#[test]
fn what_was_committed_before_is_pushed_by_a_later_run_that_finds_nothing_else_to_do() {
    for (way, branch) in [("--push", "main"), ("--mr", BRANCH)] {
        let (lab, team) = lab_and_project();
        run(&lab, &[]).ok();
        let head = lab.head();
        let said = lab.provision(["--env", "qa", way, "--dry-run"]).ok();
        let text = format!("1 commit that is made already to {branch} at origin");
        assert!(said.out.contains(&text), "{}", said.out);
        let said = run(&lab, &[way]).ok();
        assert!(said.out.contains(&format!("pushed to {branch} at origin")), "{}", said.out);
        assert_eq!(team.git(["rev-parse", branch]), head);
        if way == "--mr" {
            opened(&lab, &team);
        }
        let said = run(&lab, &[way]).ok();
        assert!(!said.out.contains("pushed to"), "{}", said.out);
        assert_eq!((lab.minted().len(), lab.head()), (1, head));
    }
}
