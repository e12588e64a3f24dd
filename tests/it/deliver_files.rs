//! Delivery of files, without tokens: a user's clone, a bare remote, and others who push meanwhile.

use std::cell::Cell;
use std::fs;
use std::rc::Rc;

use provision::deliver::{Bench, Change, Delivered, deliver};
use provision::error::{Error, Kind};
use provision::plan::deliver::{Topic, Way};
use provision::plan::request::RequestText;
use provision::repo::{CommitRequest, FileChange, RelPath, Repository};
use provision::world::{System, World};

use crate::support::gitlab::run;
use crate::support::lab::Lab;
use crate::support::program::shell;
use crate::support::team::Team;

const FILE: &str = "list";

/// Adds a line to a file, as a run over effects of this process.
fn add(team: &Team, lab: &Lab, way: Way, line: &str, meanwhile: &dyn Fn()) -> Result<Delivered, Error> {
    let system = System::new(None, &lab.variables(), &lab.repo()).unwrap();
    let world = World::new(Rc::new(system), lab.variables(), lab.repo());
    let repo = Rc::new(Repository::discover(&lab.repo()).unwrap());
    let calls = Cell::new(0);
    let work = async |Bench { repo, .. }: Bench<'_>| {
        let path = RelPath::new(FILE).unwrap();
        let old = repo.content_at_head(&path)?.unwrap_or_default();
        let text = format!("{}{line}\n", String::from_utf8(old).unwrap());
        repo.write(&path, text.as_bytes())?;
        let files = vec![FileChange::of(path, text.as_bytes())];
        let request = CommitRequest { message: format!("add {line}"), files, expected_head: repo.head()? };
        let commit = repo.commit(&request)?.unwrap().id;
        calls.set(calls.get() + 1);
        if calls.get() == 1 {
            meanwhile();
        }
        let text = RequestText { title: format!("Add {line}"), lines: vec![format!("**{line}**")] };
        Ok(Some(Change { commit, text }))
    };
    let done = run(deliver(&world, &repo, Some(way), &Topic::of("list"), work));
    assert!(!lab.repo().join(".git/provision/provision-list").exists(), "the worktree is left");
    assert_eq!(lab.git(["worktree", "list"]).lines().count(), 1);
    assert!(team.remote().join("HEAD").exists() || done.is_err());
    done
}

fn nothing() {}

#[test]
fn a_push_arrives_and_the_users_branch_follows_with_their_other_work_kept() {
    let (team, lab) = Team::with_clone();
    lab.write("edited", "mine\n");
    lab.write("staged", "mine too\n");
    lab.git(["add", "staged"]);
    let before = lab.git(["status", "--porcelain"]);
    let done = add(&team, &lab, Way::Push, "a", &nothing).unwrap();
    assert_eq!((done.to.as_deref(), done.notes.len()), (Some("main at origin"), 0));
    assert_eq!(team.show("main", FILE), "a");
    assert_eq!(lab.git(["rev-parse", "HEAD"]), team.git(["rev-parse", "main"]));
    assert_eq!(lab.git(["status", "--porcelain"]), before);
}

#[test]
fn what_stands_in_the_way_stays_staged_whatever_git_would_stash() {
    let (team, lab) = Team::with_clone();
    lab.git(["config", "merge.autoStash", "true"]);
    lab.write("edited", "mine\n");
    lab.write("staged", "mine too\n");
    lab.git(["add", "staged", "edited"]);
    lab.write("edited", "mine again\n");
    let before = lab.git(["status", "--porcelain"]);
    let done = add(&team, &lab, Way::Push, "a", &nothing).unwrap();
    assert_eq!((done.notes.len(), lab.head()), (0, team.git(["rev-parse", "main"])));
    assert_eq!(lab.git(["status", "--porcelain"]), before);
    assert_eq!(lab.git(["stash", "list"]), "");
}

#[test]
fn hooks_in_a_folder_that_git_does_not_track_run_in_a_worktree_of_ours_too() {
    for way in [Way::Push, Way::MergeRequest] {
        let (team, lab) = Team::with_clone();
        let ran = lab.everything().join("ran");
        for hook in ["pre-commit", "pre-push"] {
            let line = format!("echo {hook} >> '{}'", ran.display());
            shell(&lab.repo().join(".husky/_").join(hook), &line);
        }
        lab.write(".husky/_/.gitignore", "*\n");
        lab.git(["config", "core.hooksPath", ".husky/_"]);
        add(&team, &lab, way, "a", &nothing).unwrap();
        assert_eq!(fs::read_to_string(ran).unwrap(), "pre-commit\npre-push\n");
    }
}

#[test]
fn a_change_of_the_users_in_the_way_stays_and_git_pull_is_named() {
    let (team, lab) = Team::with_clone();
    lab.write(FILE, "mine\n");
    let done = add(&team, &lab, Way::Push, "a", &nothing).unwrap();
    assert_eq!(
        done.notes,
        ["main here is behind main at origin: git pull brings it up to date, or says what stands in the way"]
    );
    assert_eq!((lab.read(FILE), team.show("main", FILE)), ("mine\n".to_owned(), "a".to_owned()));
}

#[test]
fn a_race_that_is_lost_is_run_again_on_what_the_winner_made() {
    let (team, lab) = Team::with_clone();
    let done = add(&team, &lab, Way::Push, "b", &|| team.somebody_adds(FILE, "a")).unwrap();
    assert!(done.commit.is_some());
    assert_eq!(team.show("main", FILE), "a\nb");
    assert_eq!(lab.git(["rev-parse", "HEAD"]), team.git(["rev-parse", "main"]));
}

#[test]
fn a_merge_request_is_opened_by_push_options_and_the_next_run_builds_on_its_branch() {
    let (team, lab) = Team::with_clone();
    let head = lab.head();
    let done = add(&team, &lab, Way::MergeRequest, "a", &nothing).unwrap();
    assert_eq!(done.to.as_deref(), Some("provision/list at origin"));
    assert_eq!(
        team.options(),
        [
            "merge_request.create",
            "merge_request.target=main",
            "merge_request.remove_source_branch",
            "merge_request.title=Add a",
            "merge_request.description=**a**",
        ]
    );
    assert_eq!((lab.head(), team.show("provision/list", FILE)), (head, "a".to_owned()));
    add(&team, &lab, Way::MergeRequest, "b", &nothing).unwrap();
    assert_eq!(team.show("provision/list", FILE), "a\nb");
    let error = add(&team, &lab, Way::Push, "c", &nothing).unwrap_err();
    assert!(
        error.to_string().contains("provision/list of origin has changes that are not in main"),
        "{error}"
    );
}

#[test]
fn a_squashed_branch_that_was_left_is_replaced() {
    let (team, lab) = Team::with_clone();
    add(&team, &lab, Way::MergeRequest, "a", &nothing).unwrap();
    team.squash("provision/list");
    add(&team, &lab, Way::MergeRequest, "b", &nothing).unwrap();
    assert_eq!(team.show("provision/list", FILE), "a\nb");
    assert_eq!(team.git(["rev-list", "--count", "main..provision/list"]), "1");
}

#[test]
fn what_the_remote_declines_is_refused_with_its_reason() {
    let (team, lab) = Team::with_clone();
    team.hook(
        "pre-receive",
        "echo 'GitLab: You are not allowed to push code to protected branches on this project.'; exit 1",
    );
    let head = lab.head();
    let error = add(&team, &lab, Way::Push, "a", &nothing).unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    assert_eq!(error.to_string(), "origin does not take the push to main: pre-receive hook declined");
    assert!(error.hints().iter().any(|hint| hint.to_string().contains("--mr")), "{:?}", error.hints());
    assert_eq!(lab.head(), head);
}

#[test]
fn a_remote_that_is_gone_is_for_later() {
    let (team, lab) = Team::with_clone();
    fs::rename(team.remote(), team.remote().with_extension("away")).unwrap();
    let error = add(&team, &lab, Way::Push, "a", &nothing).unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
}

#[test]
fn commits_of_the_users_go_along_and_a_branch_that_diverged_is_refused() {
    let (team, lab) = Team::with_clone();
    lab.write("own", "1\n");
    lab.commit_all("own");
    add(&team, &lab, Way::Push, "a", &nothing).unwrap();
    assert_eq!(team.show("main", "own"), "1");
    team.somebody_adds(FILE, "b");
    lab.write("own", "2\n");
    lab.commit_all("own again");
    let error = add(&team, &lab, Way::Push, "c", &nothing).unwrap_err();
    assert!(error.hints().contains(&"git pull --rebase origin main".into()), "{:?}", error.hints());
}

#[test]
fn a_detached_head_as_in_ci_stands_for_the_default_branch() {
    let (team, lab) = Team::with_clone();
    lab.git(["checkout", "-q", "--detach"]);
    lab.git(["remote", "set-head", "origin", "--delete"]);
    team.somebody_adds(FILE, "a");
    add(&team, &lab, Way::Push, "b", &nothing).unwrap();
    assert_eq!(team.show("main", FILE), "a\nb");
}

#[test]
fn a_branch_that_follows_none_is_not_pushed_to_a_guess() {
    let (team, lab) = Team::with_clone();
    lab.git(["checkout", "-q", "-b", "feature"]);
    let error = add(&team, &lab, Way::Push, "a", &nothing).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (Kind::Usage, "the branch feature follows none at origin")
    );
}
