//! `rotate` and `resume` of the built program.

use std::io::Write as _;
use std::process::{Command, Stdio};

use jiff::SignedDuration;
use provision::lock::Lock;

use crate::support::lab::{Lab, Said};
use crate::support::team::Team;

const SECRETS: &str = "secrets/qa.sops.yaml";
const LOCK: &str = "environments/locks/qa.yaml";

fn lab() -> Lab {
    let lab = Lab::today();
    lab.provision(["--env", "qa", "--yes"]).ok();
    lab
}

fn live(lab: &Lab) -> Vec<u64> {
    let minted = lab.minted();
    let live = minted.iter().filter(|token| token["active"] == true);
    live.map(|token| token["id"].as_u64().unwrap()).collect()
}

#[test]
fn a_healthy_token_gets_a_successor_and_is_retired_after_its_overlap() {
    let lab = lab();
    let old = lab.value(SECRETS, "GITLAB_TOKEN");
    let said = lab.provision(["rotate", "--env", "qa", "--yes"]).ok();
    assert!(said.out.contains("qa: backstage is group token"), "{}", said.out);
    assert_eq!(live(&lab).len(), 2);
    assert_ne!(lab.value(SECRETS, "GITLAB_TOKEN"), old);
    lab.gitlab.advance(SignedDuration::from_hours(25));
    lab.provision(["rotate", "--env", "qa", "--due", "--yes"]).ok();
    assert_eq!(live(&lab).len(), 1);
    assert!(lab.git(["log", "-1", "--format=%s"]).contains("retire token"));
}

#[test]
fn nothing_is_due_so_nothing_is_done() {
    let lab = lab();
    let head = lab.head();
    let said = lab.provision(["rotate", "--all", "--due", "--yes"]);
    assert_eq!(live(&lab).len(), 1, "{}", said.err);
    assert_eq!(lab.head(), head);
    assert!(said.err.contains("dev") && said.status == 0, "{}{}", said.out, said.err);
}

#[test]
fn without_an_overlap_the_old_token_ends_when_its_successor_is_upstream() {
    let lab = Lab::today();
    let team = Team::of(&lab);
    lab.provision(["--env", "qa", "--push", "--yes"]).ok();
    let said = lab.provision(["rotate", "--env", "qa", "--overlap", "0s", "--push", "--yes"]).ok();
    assert_eq!(live(&lab).len(), 1, "{}{}", said.out, said.err);
    assert!(team.show("main", LOCK).contains(&format!("id: {}", live(&lab)[0])));
    assert!(!team.show("main", LOCK).contains("superseded:\n"), "{}", team.show("main", LOCK));
}

#[test]
fn a_push_to_another_branch_leaves_the_old_token_until_its_successor_is_upstream() {
    let lab = Lab::today();
    let team = Team::of(&lab);
    lab.provision(["--env", "qa", "--push", "--yes"]).ok();
    lab.git(["checkout", "-q", "-b", "feature"]);
    lab.git(["push", "-q", "-u", "origin", "feature"]);
    lab.provision(["rotate", "--env", "qa", "--overlap", "0s", "--push", "--yes"]).ok();
    assert_eq!(live(&lab).len(), 2);
    lab.git(["push", "-q", "origin", "feature:main"]);
    lab.git(["checkout", "-q", "main"]);
    lab.git(["pull", "-q"]);
    lab.gitlab.advance(SignedDuration::from_mins(5));
    lab.provision(["--env", "qa", "--push", "--yes"]).ok();
    assert_eq!(live(&lab).len(), 1);
    assert_eq!(lab.head(), team.git(["rev-parse", "main"]));
}

#[test]
fn two_clones_that_rotate_at_once_end_with_the_winners_successor() {
    let lab = Lab::today();
    let team = Team::of(&lab);
    lab.provision(["--env", "qa", "--push", "--yes"]).ok();
    let ben = team.another_clone("ben");
    let mut held = ben.hold_next_push(&lab);
    let args = ["rotate", "--env", "qa", "--push", "--yes"];
    let late = ben.command(&lab, &args).stdout(Stdio::piped()).spawn().unwrap();
    held.wait();
    lab.provision(args).ok();
    let winner = *live(&lab).last().unwrap();
    held.let_go();
    let said = Said::of(&late.wait_with_output().unwrap()).ok();
    // The first token, which is superseded, and the winner's.
    assert_eq!(live(&lab).len(), 2, "{}", said.out);
    assert!(live(&lab).contains(&winner), "{}", said.out);
    assert!(team.show("main", LOCK).contains(&format!("id: {winner}")));
    assert_eq!(ben.git(&lab, &["rev-parse", "HEAD"]), team.git(["rev-parse", "main"]));
}

#[test]
fn without_a_journal_there_is_nothing_to_resume() {
    let lab = lab();
    let said = lab.provision(["resume", "--yes"]).ok();
    assert!(said.err.contains("no run was interrupted here"), "{}", said.err);
}

#[test]
fn what_an_interrupted_run_made_is_finished_or_undone() {
    for (flag, left) in [(None, 2), (Some("--abandon"), 1)] {
        let lab = lab();
        let old = lab.value(SECRETS, "GITLAB_TOKEN");
        // The commit fails, so that files and journal are left.
        lab.write(".git/hooks/pre-commit", "#!/bin/sh\nexit 1\n");
        make_executable(&lab, ".git/hooks/pre-commit");
        lab.provision(["rotate", "--env", "qa", "--yes"]).refused(4, "git commit failed");
        std::fs::remove_file(lab.repo().join(".git/hooks/pre-commit")).unwrap();
        lab.provision(["status", "--env", "qa"]).refused(3, "qa: a run was not finished: provision resume");
        let args: Vec<&str> = ["resume", "--yes"].into_iter().chain(flag).collect();
        lab.provision(args).ok();
        assert_eq!(live(&lab).len(), left, "{flag:?}");
        assert_eq!(lab.value(SECRETS, "GITLAB_TOKEN") == old, flag.is_some());
        assert_eq!(lab.git(["status", "--porcelain"]), "");
        assert!(!lab.repo().join(".git/provision/qa.journal").exists());
    }
}

fn make_executable(lab: &Lab, path: &str) {
    use std::os::unix::fs::PermissionsExt;
    let path = lab.repo().join(path);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn piped(lab: &Lab, args: &[&str], input: &str) -> Said {
    fed(lab.command(args), input)
}

/// Runs a command that reads this from its standard input.
pub(crate) fn fed(mut command: Command, input: &str) -> Said {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Said::of(&child.wait_with_output().unwrap())
}

/// Uses a token as a thief would.
pub(crate) fn used(lab: &Lab, value: &str) {
    let url = format!("{}/api/v4/personal_access_tokens/self", lab.gitlab.url());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let request = reqwest::Client::builder().no_proxy().build().unwrap().get(url);
    assert!(runtime.block_on(request.header("PRIVATE-TOKEN", value).send()).unwrap().status().is_success());
}

#[test]
fn a_leaked_token_is_found_by_its_value_replaced_and_revoked_now() {
    let lab = lab();
    let leaked = lab.value(SECRETS, "GITLAB_TOKEN");
    lab.gitlab.advance(SignedDuration::from_hours(1));
    used(&lab, &leaked);
    lab.gitlab.advance(SignedDuration::from_hours(1));
    let said = piped(&lab, &["rotate", "--leaked", "--yes"], &format!("{leaked}\n")).ok();
    assert!(said.err.contains("in the wrong hands; last used at"), "{}", said.err);
    // It ends now, and the plan does not say that it lives on.
    assert!(!said.err.contains("once its overlap is over"), "{}", said.err);
    assert!(!said.err.contains(&leaked) && !said.out.contains(&leaked));
    let minted = lab.minted();
    assert_eq!(minted[0]["revoked"], true);
    assert_eq!(live(&lab).len(), 1);
    assert_ne!(lab.value(SECRETS, "GITLAB_TOKEN"), leaked);
    let said = piped(&lab, &["rotate", "--leaked", "--yes"], &leaked).ok();
    assert!(said.err.contains("was revoked: nobody can use it any more"), "{}", said.err);
    assert_eq!(live(&lab).len(), 1);
}

#[test]
fn a_leaked_token_that_was_superseded_is_revoked_without_another_successor() {
    let lab = lab();
    let leaked = lab.value(SECRETS, "GITLAB_TOKEN");
    lab.provision(["rotate", "--env", "qa", "--yes"]).ok();
    let current = lab.value(SECRETS, "GITLAB_TOKEN");
    piped(&lab, &["rotate", "--leaked", "--env", "qa", "--yes"], &leaked).ok();
    assert_eq!(lab.value(SECRETS, "GITLAB_TOKEN"), current);
    assert_eq!((live(&lab).len(), lab.minted().len()), (1, 2));
    assert!(!lab.read(LOCK).contains("superseded"), "{}", lab.read(LOCK));
}

#[test]
fn what_no_lock_names_is_not_touched_even_if_it_leaked() {
    let lab = lab();
    let operator = lab.gitlab.operator_token();
    piped(&lab, &["rotate", "--leaked", "--yes"], operator.expose()).refused(5, "no lock here names it");
    piped(&lab, &["rotate", "--leaked", "--yes"], "glpat-00000000000000000000").refused(5, "does not accept");
    assert_eq!(live(&lab).len(), 1);
}

/// An environment with this many tokens, each with a slot of its own.
pub(crate) fn many(lab: &Lab, count: usize) {
    let mut profile = lab.read("environments/qa.yaml");
    let mut template = lab.read("templates/backstage.yaml");
    for number in 1..count {
        profile += &format!(
            "  t{number}: {{ kind: group, group: alithya-csna, name: T{number}, role: reporter, scopes: [read_api], expires: 90d }}\n"
        );
        template += &format!("T{number}: \"{{{{ tokens.t{number} }}}}\"\n");
    }
    lab.write("environments/qa.yaml", &profile);
    lab.write("templates/backstage.yaml", &template);
    lab.commit_all("more");
}

#[test]
fn what_expired_or_was_revoked_is_revived_in_bulk_with_one_commit() {
    let lab = Lab::today();
    many(&lab, 200);
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert_eq!(live(&lab).len(), 200);
    lab.gitlab.advance(SignedDuration::from_hours(24 * 100));
    assert_eq!(live(&lab).len(), 1);
    let head = lab.head();
    lab.provision(["rotate", "--all", "--due", "--yes"]);
    assert_eq!(live(&lab).len(), 200);
    assert_eq!(lab.git(["rev-parse", "HEAD~1"]), head);
    assert!(lab.value(SECRETS, "T7").starts_with("glpat-"));
}

#[test]
fn what_gitlab_refuses_does_not_take_the_others_along_and_the_error_says_what_to_run() {
    let lab = Lab::today();
    many(&lab, 3);
    lab.provision(["--env", "qa", "--yes"]).ok();
    lab.gitlab.add_fault("POST /groups/*/access_tokens after 1 x1 403".parse().unwrap());
    let args = ["rotate", "--env", "qa", "--overlap", "48h", "--yes"];
    let said = lab.provision(args).refused(4, "1 token was not made");
    let rest = "for the rest: provision rotate --env qa --token t1 --overlap 48h";
    assert!(said.err.contains(rest), "{}", said.err);
    assert_eq!(live(&lab).len(), 5);
    assert!(!lab.repo().join(".git/provision/qa.journal").exists());
    let before = [lab.value(SECRETS, "T1"), lab.value(SECRETS, "T2")];
    lab.provision(["rotate", "--env", "qa", "--token", "t1", "--yes"]).ok();
    assert_eq!(live(&lab).len(), 6);
    assert_ne!(lab.value(SECRETS, "T1"), before[0]);
    assert_eq!(lab.value(SECRETS, "T2"), before[1]);
}

#[test]
fn an_environment_that_cannot_be_planned_does_not_hold_up_the_others() {
    let lab = lab();
    let lock = lab.read(LOCK);
    lab.write(LOCK, &lock.replace("name: Backstage (qa", "name: Another (qa"));
    lab.commit_all("forged");
    let said = lab.provision(["--env", "qa,dev", "--prune", "--yes"]).refused(4, "qa failed");
    assert!(said.out.contains("dev: backstage is group token"), "{}", said.out);
    assert!(said.err.contains("for the rest: provision --env qa --prune"), "{}", said.err);
}

/// dev and qa are due, and so is somebody's personal token.
fn all_are_due() -> Lab {
    let lab = Lab::today();
    lab.provision(["--env", "dev,qa", "--yes"]).ok();
    lab.gitlab.advance(SignedDuration::from_hours(24 * 360));
    lab
}

#[test]
fn a_personal_environment_does_not_hold_up_the_others_where_nobody_can_paste() {
    let lab = all_are_due();
    let said = lab.provision(["rotate", "--all", "--due", "--yes"]).ok();
    assert!(said.err.contains("devmode is each person's own, and left out"), "{}", said.err);
    assert_eq!(lab.minted().len(), 4);

    let lab = all_are_due();
    let said = lab.provision(["--env", "devmode,dev,qa", "--yes"]).refused(4, "devmode failed");
    assert!(said.err.contains("there is no terminal to paste it on"), "{}", said.err);
    assert_eq!(lab.minted().len(), 4);
}

#[test]
fn the_overlap_begins_when_the_successor_arrives() {
    let lab = Lab::today();
    let _team = Team::of(&lab);
    lab.provision(["--env", "qa", "--yes", "--push"]).ok();
    lab.provision(["rotate", "--env", "qa", "--yes"]).ok();
    // As if it had been made three days before it was pushed.
    let early = jiff::Timestamp::now() - SignedDuration::from_hours(72);
    let early = format!("alias.early=!GIT_COMMITTER_DATE={early} git commit -q --amend --no-edit");
    lab.git(["-c", &early, "early"]);
    lab.git(["push", "-q"]);
    let due = ["rotate", "--env", "qa", "--due", "--yes"];
    let said = lab.provision(due).ok();
    assert!(said.err.contains("lives until"), "{}", said.err);
    assert_eq!(live(&lab).len(), 2);
    lab.gitlab.advance(SignedDuration::from_hours(25));
    lab.provision(due).ok();
    assert_eq!(live(&lab).len(), 1);
}

fn edited(lab: &Lab, slots: &[&str], value: &str) {
    for slot in slots {
        lab.sops(["set", SECRETS, &format!("[\"{slot}\"]"), &format!("\"{value}\"")]).ok();
    }
    lab.commit_all("edit by hand");
}

/// backstage and t1, each in a slot of its own.
fn two() -> Lab {
    let lab = Lab::today();
    many(&lab, 2);
    lab.provision(["--env", "qa", "--yes"]).ok();
    lab
}

#[test]
fn a_slot_that_somebody_has_overwritten_is_no_better_after_the_rotation_of_another_entry() {
    let lab = two();
    edited(&lab, &["T1"], "not a token");
    let said = || {
        let said = [&["--env", "qa", "--dry-run"][..], &["status", "--env", "qa"], &["check"]];
        said.map(|args| lab.provision(args)).map(|said| (said.status, said.out.contains("T1")))
    };
    let before = said();
    assert!(before[0].1 && before[2] == (3, true), "{before:?}");
    lab.provision(["rotate", "--env", "qa", "--token", "backstage", "--yes"]).ok();
    assert_eq!(said(), before);
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert!(lab.value(SECRETS, "T1").starts_with("glpat-"));
}

#[test]
fn a_slot_whose_token_gitlab_refused_is_still_known_to_hold_another_value() {
    let lab = two();
    edited(&lab, &["GITLAB_TOKEN", "T1"], "not a token");
    lab.gitlab.add_fault("POST /groups/*/access_tokens after 1 x1 403".parse().unwrap());
    lab.provision(["--env", "qa", "--yes"]).refused(4, "1 token was not made");
    assert!(lab.value(SECRETS, "GITLAB_TOKEN").starts_with("glpat-"));
    assert_eq!(lab.value(SECRETS, "T1"), "not a token");
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert!(lab.value(SECRETS, "T1").starts_with("glpat-"));
}

#[test]
fn a_slot_that_waits_for_its_value_still_waits_after_the_rotation_of_another_entry() {
    let lab = two();
    let mut lock = Lock::read(LOCK, &lab.read(LOCK)).unwrap();
    lock.tokens.get_mut("t1").unwrap().slots.clear();
    lab.write(LOCK, &lock.write());
    edited(&lab, &["T1"], "");
    lab.provision(["--env", "qa", "--yes"]).refused(3, "and its value is not here");
    lab.provision(["rotate", "--env", "qa", "--token", "backstage", "--yes"]).ok();
    lab.provision(["--env", "qa", "--yes"]).refused(3, "and its value is not here");
}

#[test]
fn a_slot_that_is_gone_or_empty_does_not_hold_up_the_rotation_of_another_entry() {
    type Lose = fn(&Lab);
    let loses: [Lose; 2] = [
        |lab| edited(lab, &["T1"], ""),
        |lab| {
            lab.sops(["unset", SECRETS, "[\"T1\"]"]).ok();
            lab.commit_all("edit by hand");
        },
    ];
    for lose in loses {
        let lab = two();
        lose(&lab);
        let old = lab.value(SECRETS, "GITLAB_TOKEN");
        lab.provision(["rotate", "--env", "qa", "--token", "backstage", "--yes"]).ok();
        assert_ne!(lab.value(SECRETS, "GITLAB_TOKEN"), old);
        lab.provision(["--env", "qa", "--yes"]).ok();
        assert!(lab.value(SECRETS, "T1").starts_with("glpat-"));
    }
}

#[test]
fn a_file_that_is_gone_leaves_the_lock_in_a_plain_run_and_not_in_the_rotation_of_another_entry() {
    const OLD: &str = "secrets/old.sops.yaml";
    let lab = two();
    let mut lock = Lock::read(LOCK, &lab.read(LOCK)).unwrap();
    let slots = &mut lock.tokens.get_mut("t1").unwrap().slots;
    slots.insert(OLD.to_owned(), slots[SECRETS].clone());
    lab.write(LOCK, &lock.write());
    lab.commit_all("both names");
    let said = lab.provision(["rotate", "--env", "qa", "--token", "backstage", "--yes"]).ok();
    assert!(!said.err.contains(OLD) && lab.read(LOCK).contains(OLD), "{}", said.err);
    let said = lab.provision(["--env", "qa", "--yes"]).ok();
    assert!(said.err.contains(OLD) && !lab.read(LOCK).contains(OLD), "{}", said.err);
}
