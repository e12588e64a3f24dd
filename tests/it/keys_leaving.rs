//! `provision keys remove --rotate-tokens`: who leaves knows nothing that works any more.

use provision::lock::Lock;

use crate::support::lab::{Lab, said};
use crate::support::people::{Person, policy};
use crate::support::team::Team;
use crate::support::terminal::Terminal;

const QA: &str = "secrets/qa.sops.yaml";
const DEV: &str = "secrets/dev.sops.yaml";

/// Tokens for qa and dev, ben reads both, and eva only dev.
fn lab(lab: Lab, ben: &Person, eva: &Person) -> Lab {
    let ana = Person::owner_of(&lab);
    let rules: [(&str, &[&str]); 2] =
        [("^secrets/qa", &["ana", "ben"]), ("^secrets/dev", &["ana", "ben", "eva"])];
    lab.write(".sops.yaml", &policy(&[&ana, ben, eva], &rules));
    lab.commit_all("readers");
    lab.provision(["--env", "qa,dev", "--yes"]).ok();
    lab
}

fn ids(lab: &Lab) -> Vec<u64> {
    let minted = lab.minted();
    let live = minted.iter().filter(|token| token["active"] == true);
    live.map(|token| token["id"].as_u64().unwrap()).collect()
}

#[test]
fn every_token_that_they_could_read_gets_a_successor_that_they_cannot() {
    let (ben, eva) = (Person::new("ben"), Person::new("eva"));
    let lab = lab(Lab::today(), &ben, &eva);
    let old = ids(&lab);
    let head = lab.head();
    let said = lab.provision(["keys", "remove", "ben", "--rotate-tokens", "--yes"]).ok();
    assert_eq!(said.err.matches("mint ").count(), 2, "{}", said.err);
    assert!(said.out.contains("replaced, and not revoked yet"), "{}", said.out);
    assert!(
        said.err.contains("2 tokens are replaced and still work until a run after the overlap"),
        "{}",
        said.err
    );
    assert!(said.err.contains("what ben could read stays readable to ben"), "{}", said.err);
    assert!(!said.err.contains("still the old one"), "{}", said.err);
    let subjects = lab.git(["log", "--reverse", "--format=%s", &format!("{head}..")]);
    assert!(subjects.starts_with("provision(keys): remove ben\n"), "{subjects}");
    assert_eq!(subjects.lines().count(), 3, "{subjects}");
    assert_eq!(ids(&lab).len(), 4);
    for file in [QA, DEV] {
        assert!(ben.reads(&lab, file).is_none(), "{file}");
        lab.sops(["decrypt", file]).ok();
    }
    assert!(eva.reads(&lab, DEV).is_some());
    lab.provision(["check"]).ok();
    // Once more: nobody could read the successors, so nothing is left to do but to wait.
    let said = lab.provision(["keys", "remove", "ben", "--rotate-tokens", "--yes"]);
    assert_eq!((said.status, ids(&lab).len()), (0, 4), "{}{}", said.out, said.err);
    lab.gitlab.advance(jiff::SignedDuration::from_hours(25));
    lab.provision(["rotate", "--all", "--due", "--yes"]).ok();
    assert!(ids(&lab).iter().all(|id| !old.contains(id)), "{:?} of {old:?}", ids(&lab));
    lab.provision(["keys", "remove", "ben", "--rotate-tokens", "--yes"]).ok();
}

#[test]
fn only_what_they_could_read_is_replaced() {
    let (ben, eva) = (Person::new("ben"), Person::new("eva"));
    let lab = lab(Lab::today(), &ben, &eva);
    let qa = lab.value(QA, "GITLAB_TOKEN");
    lab.provision(["keys", "remove", "eva", "--rotate-tokens", "--yes"]);
    assert_eq!(lab.value(QA, "GITLAB_TOKEN"), qa);
    assert_eq!(ids(&lab).len(), 3);
    assert!(eva.reads(&lab, DEV).is_none() && ben.reads(&lab, DEV).is_some());
}

#[test]
fn without_an_overlap_nothing_that_they_know_works_when_it_ends() {
    let (ben, eva) = (Person::new("ben"), Person::new("eva"));
    let lab = Lab::today();
    let team = Team::of(&lab);
    let lab = self::lab(lab, &ben, &eva);
    lab.git(["push", "-q"]);
    let old = ids(&lab);
    let args = ["keys", "remove", "ben", "--rotate-tokens", "--overlap", "0s", "--yes"];
    lab.provision(args).refused(2, "whose successors nobody has yet");
    assert!(ben.reads(&lab, QA).is_some());
    let said = lab.provision([&args[..], &["--push"]].concat()).ok();
    assert!(ids(&lab).len() == 2 && ids(&lab).iter().all(|id| !old.contains(id)), "{}", said.out);
    assert!(said.out.contains("no longer in use") && !said.out.contains("still in use"), "{}", said.out);
    assert_eq!(lab.head(), team.git(["rev-parse", "main"]));
}

#[test]
fn successors_wait_for_the_merge_of_the_request_that_takes_them_out() {
    let (ben, eva) = (Person::new("ben"), Person::new("eva"));
    let lab = Lab::today();
    let team = Team::of(&lab);
    let lab = self::lab(lab, &ben, &eva);
    lab.git(["push", "-q"]);
    let old = ids(&lab);
    let args = ["keys", "remove", "ben", "--rotate-tokens", "--mr", "--yes"];
    let said = lab.provision(args);
    assert_eq!((said.status, ids(&lab)), (3, old), "{}", said.err);
    assert!(
        said.err.contains("once .sops.yaml is merged without them, run the same command again"),
        "{}",
        said.err
    );
    team.merge("provision/keys-ben");
    lab.git(["pull", "-q"]);
    let said = lab.provision(args);
    assert_eq!((said.status, ids(&lab).len()), (3, 4), "{}{}", said.out, said.err);
    assert!(said.err.contains("2 tokens have a successor that waits for its merge"), "{}", said.err);
    for branch in ["provision/qa", "provision/dev"] {
        assert!(!team.show(branch, ".sops.yaml").contains("ben"), "{branch}");
    }
}

#[test]
fn what_stops_the_rotation_is_known_before_anybody_is_taken_out() {
    let (ben, eva) = (Person::new("ben"), Person::new("eva"));
    let lab = lab(Lab::today(), &ben, &eva);
    let head = lab.head();
    let mut command = lab.command(["keys", "remove", "ben", "--rotate-tokens", "--yes"]);
    let said = said(command.env("GITLAB_TOKEN", "glpat-wrong-wrong-wrong-00"));
    assert_eq!(said.status, 6, "{}", said.err);
    assert!(said.err.contains("without --rotate-tokens needs no GitLab"), "{}", said.err);
    assert_eq!((lab.head(), lab.git(["status", "--porcelain"])), (head, String::new()));
    assert!(ben.reads(&lab, QA).is_some());
}

#[test]
fn a_dry_run_shows_both_and_does_neither() {
    let (ben, eva) = (Person::new("ben"), Person::new("eva"));
    let lab = lab(Lab::today(), &ben, &eva);
    let (head, old) = (lab.head(), ids(&lab));
    let said = lab.provision(["keys", "remove", "ben", "--rotate-tokens", "--dry-run"]).ok();
    assert!(said.out.contains("rekey") && said.out.contains("mint"), "{}", said.out);
    let json = lab.provision(["keys", "remove", "ben", "--rotate-tokens", "--dry-run", "--json"]).ok().out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["plan"]["changes"].as_array().unwrap().len(), 2, "{json}");
    assert_eq!(json["rotation"].as_array().unwrap().len(), 2, "{json}");
    assert_eq!(json["tokens"].as_array().unwrap().len(), 2, "{json}");
    assert_eq!((lab.head(), ids(&lab)), (head, old));
    assert_eq!(lab.git(["status", "--porcelain"]), "");
}

#[test]
fn one_question_is_about_policy_files_and_tokens() {
    let (ben, eva) = (Person::new("ben"), Person::new("eva"));
    let lab = lab(Lab::today(), &ben, &eva);
    let (head, old) = (lab.head(), ids(&lab));
    let asked = |answer: &str| {
        let mut terminal = Terminal::start(lab.command(["keys", "remove", "ben", "--rotate-tokens"]));
        terminal.answer("Go ahead?", answer);
        terminal.end()
    };
    let (status, said) = asked("n");
    assert_eq!((status, lab.head(), ids(&lab)), (130, head, old), "{said}");
    let before = said.split_once("Go ahead?").unwrap().0;
    for part in [".sops.yaml", "will no longer read", "new data key", "mint ", "is superseded"] {
        assert!(before.contains(part), "{part} is not in {said}");
    }
    let (status, said) = asked("y");
    assert_eq!((status, ids(&lab).len(), said.matches("Go ahead?").count()), (0, 4, 1), "{said}");
}

#[test]
fn a_refusal_of_gitlab_leaves_them_out_and_the_same_command_goes_on() {
    let (ben, eva) = (Person::new("ben"), Person::new("eva"));
    let lab = lab(Lab::today(), &ben, &eva);
    lab.gitlab.add_fault("POST * x1 403".parse().unwrap());
    let args = ["keys", "remove", "ben", "--rotate-tokens", "--yes"];
    let said = lab.provision(args).refused(4, "not all tokens have successors yet");
    assert!(said.err.contains("run the same command again: it goes on"), "{}", said.err);
    assert!(said.out.contains("still in use"), "{}", said.out);
    assert!(ben.reads(&lab, QA).is_none() && ben.reads(&lab, DEV).is_none());
    let mut command = lab.command(args);
    let said = crate::support::lab::said(command.arg("--json")).ok();
    let json: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((ids(&lab).len(), json["rotated"].as_array().unwrap().len()), (4, 1), "{json}");
}

#[test]
fn a_refusal_of_gitlab_is_told_in_one_document_too() {
    let (ben, eva) = (Person::new("ben"), Person::new("eva"));
    let lab = lab(Lab::today(), &ben, &eva);
    lab.gitlab.add_fault("POST * x1 403".parse().unwrap());
    let said = lab.provision(["keys", "remove", "ben", "--rotate-tokens", "--yes", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.status, json["done"]["new_policy"].as_bool()), (4, Some(true)), "{json}");
}

#[test]
fn who_is_named_by_their_public_key_leaves_as_well() {
    let (ben, eva) = (Person::new("ben"), Person::new("eva"));
    let lab = lab(Lab::today(), &ben, &eva);
    let said = lab.provision(["keys", "remove", &ben.recipient, "--rotate-tokens", "--yes"]).ok();
    assert_eq!(ids(&lab).len(), 4, "{}{}", said.out, said.err);
    assert!(ben.reads(&lab, QA).is_none() && ben.reads(&lab, DEV).is_none());
}

/// A file on one line, as a template may make it, and one whose block is quoted.
#[test]
fn files_whose_block_does_not_begin_a_line_are_found_too() {
    let (lab, ben) = (Lab::today(), Person::new("ben"));
    let owner = Person::owner_of(&lab);
    lab.write(".sops.yaml", &policy(&[&owner, &ben], &[("^secrets/", &["ana", "ben"])]));
    let profile = lab.read("environments/qa.yaml");
    lab.write(
        "environments/qa.yaml",
        &profile.replace(QA, "secrets/qa.json").replace("backstage.yaml", "qa.json"),
    );
    lab.write("templates/qa.json", "{\"GITLAB_TOKEN\": \"{{ tokens.backstage }}\"}\n");
    lab.write("secrets/quoted.yaml", "a: one\n");
    lab.sops(["encrypt", "-i", "secrets/quoted.yaml"]).ok();
    lab.write("secrets/quoted.yaml", &lab.read("secrets/quoted.yaml").replace("\nsops:", "\n'sops':"));
    lab.commit_all("files");
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert_eq!(lab.read("secrets/qa.json").lines().count(), 1);
    let files = ["secrets/qa.json", "secrets/quoted.yaml"];
    assert!(files.iter().all(|file| ben.reads(&lab, file).is_some()));
    lab.provision(["keys", "remove", "ben", "--rotate-tokens", "--yes"]);
    assert!(files.iter().all(|file| ben.reads(&lab, file).is_none()));
    assert_eq!(ids(&lab).len(), 2);
    lab.provision(["check"]).ok();
}

#[test]
fn what_only_they_could_read_is_named_with_what_ends_it_and_then_all_is_done() {
    let (ben, eva) = (Person::new("ben"), Person::new("eva"));
    let lab = lab(Lab::today(), &ben, &eva);
    let mut bens = lab.command(["--env", "devmode", "--yes"]);
    bens.env("SOPS_AGE_KEY", &ben.identity).env("XDG_CONFIG_HOME", "/nonexistent");
    said(bens.env("GITLAB_TOKEN", lab.gitlab.admin_token().expose())).ok();
    let locks: Vec<_> = std::fs::read_dir(lab.repo().join("environments/locks/devmode")).unwrap().collect();
    let user = locks[0].as_ref().unwrap().file_name().into_string().unwrap().replace(".yaml", "");
    let (file, lock) =
        (format!("secrets/devmode/{user}.sops.yaml"), format!("environments/locks/devmode/{user}.yaml"));
    let args = ["keys", "remove", "ben", "--rotate-tokens", "--overlap", "0s", "--force", "--yes"];
    for _ in 0..2 {
        let said = lab.provision(args);
        assert_eq!(said.status, 3, "{said:?}");
        assert!(!said.err.contains("replace what can be"), "{said:?}");
        assert!(!said.err.contains("still the old one"), "{said:?}");
        assert!(said.err.contains(&format!("in devmode/{user}, which nobody but ben can read")), "{said:?}");
        assert!(said.err.contains("DELETE /api/v4/personal_access_tokens/ID"), "{said:?}");
        assert!(said.err.contains(&format!("git rm {file} {lock} && git commit")), "{said:?}");
    }
    // What CI says every night after its end.
    let mut ended = Lock::read(&lock, &lab.read(&lock)).unwrap();
    ended.tokens.get_mut("backstage").unwrap().expires = Some(jiff::civil::date(2026, 1, 1));
    lab.write(&lock, &ended.write());
    lab.commit_all("its end");
    let status = lab.provision(["status"]);
    assert_eq!(status.status, 3, "{status:?}");
    assert!(status.err.contains(&format!("git rm {file} {lock}")), "{status:?}");
    lab.git(["rm", "-q", &file, &lock]);
    lab.git(["commit", "-qm", "ben has left"]);
    lab.provision(["status"]).ok();
    let said = lab.provision(args).ok();
    assert!(said.out.contains("no longer in use"), "{said:?}");
    lab.provision(["check"]).ok();
}

/// Names that git knew and that the policy no longer has: by hand, or by a list of which only some items are named.
#[test]
fn who_has_lost_the_name_is_taken_out_by_the_key_that_had_it() {
    let (ben, eva) = (Person::new("ben"), Person::new("eva"));
    let lab = Lab::new();
    let ana = Person::owner_of(&lab);
    let list = |lines: &[&str]| format!("creation_rules:\n  - age:\n{}\n", lines.join("\n"));
    let (bens, anas) = (format!("      - {}", ben.recipient), format!("      - {}", ana.recipient));
    lab.write(".sops.yaml", &list(&["      # ben", &bens, "      # me", &anas]));
    lab.write("x.yaml", "a: one\n");
    lab.sops(["encrypt", "-i", "x.yaml"]).ok();
    lab.commit_all("readers");
    lab.provision(["keys", "add", "eva", &eva.recipient, "--yes"]).ok();
    let listed = lab.provision(["keys", "list"]).ok().out;
    assert!(["ben ", "me ", "eva "].iter().all(|name| listed.contains(name)), "{listed}");
    // Somebody adds a line by hand, and only some have a comment above.
    lab.write(
        ".sops.yaml",
        &list(&["      # ben", &bens, "      # me", &anas, &format!("      - {}", eva.recipient)]),
    );
    lab.commit_all("by hand");
    let said = lab.provision(["keys", "remove", "ben", "--yes"]);
    assert!(!lab.read(".sops.yaml").contains(&ben.recipient), "{said:?}");
    assert!(ben.reads(&lab, "x.yaml").is_none() && eva.reads(&lab, "x.yaml").is_some());
    let said = lab.provision(["keys", "remove", "ben", "--yes"]);
    assert!(said.out.contains("nothing to do") && eva.reads(&lab, "x.yaml").is_some(), "{said:?}");
}

#[test]
fn who_has_another_name_now_is_not_guessed_at() {
    let (ben, eva) = (Person::new("ben"), Person::new("eva"));
    let lab = lab(Lab::today(), &ben, &eva);
    lab.write(".sops.yaml", &lab.read(".sops.yaml").replace("ben", "benno"));
    lab.commit_all("by hand");
    let head = lab.head();
    for more in [&[][..], &["--rotate-tokens"]] {
        let said = lab.provision([&["keys", "remove", "ben", "--yes"], more].concat());
        said.refused(5, "which was ben's, is called benno in .sops.yaml now");
    }
    assert_eq!(lab.head(), head);
    lab.provision(["keys", "remove", "benno", "--rotate-tokens", "--yes"]).ok();
    assert!(ben.reads(&lab, QA).is_none() && ben.reads(&lab, DEV).is_none());
}

#[test]
fn what_somebody_could_read_is_told_from_what_the_remote_has() {
    for way in ["--push", "--mr"] {
        let (lab, ben) = (Lab::today(), Person::new("ben"));
        let ana = Person::owner_of(&lab);
        lab.write(".sops.yaml", &policy(&[&ana, &ben], &[("^secrets/", &["ana", "ben"])]));
        lab.commit_all("readers");
        let team = Team::of(&lab);
        let elsewhere = team.another_clone("elsewhere");
        said(&mut elsewhere.command(&lab, &["--env", "qa", "--push", "--yes"])).ok();
        let token = ids(&lab)[0];
        let said = lab.provision(["keys", "remove", "ben", "--dry-run", way]).ok();
        assert!(said.out.contains(&token.to_string()), "{}{}", said.out, said.err);
        let said = lab.provision(["keys", "remove", "ben", "--yes", way]);
        assert_eq!(said.status, 3, "{way}: {}{}", said.out, said.err);
        assert!(said.out.contains(&token.to_string()) && said.out.contains("still in use"), "{}", said.out);
    }
}

#[test]
fn what_the_remote_has_is_rotated_too() {
    let (lab, ben) = (Lab::today(), Person::new("ben"));
    let ana = Person::owner_of(&lab);
    lab.write(".sops.yaml", &policy(&[&ana, &ben], &[("^secrets/", &["ana", "ben"])]));
    lab.commit_all("readers");
    let team = Team::of(&lab);
    let elsewhere = team.another_clone("elsewhere");
    said(&mut elsewhere.command(&lab, &["--env", "qa", "--push", "--yes"])).ok();
    let old = ids(&lab);
    let args = ["keys", "remove", "ben", "--rotate-tokens", "--overlap", "0s", "--push", "--yes"];
    lab.provision(args).ok();
    assert!(ids(&lab).len() == 1 && ids(&lab) != old, "{:?} of {old:?}", ids(&lab));
    assert_eq!(lab.head(), team.git(["rev-parse", "main"]));
}

#[test]
fn a_removal_that_was_committed_here_goes_along_with_push() {
    let (ben, eva) = (Person::new("ben"), Person::new("eva"));
    for rotates in [false, true] {
        let lab = Lab::today();
        let team = Team::of(&lab);
        let lab = self::lab(lab, &ben, &eva);
        lab.git(["push", "-q"]);
        lab.provision(["keys", "remove", "ben", "--yes"]);
        assert!(team.show("main", ".sops.yaml").contains("ben"));
        let args = ["keys", "remove", "ben", "--push", "--yes"];
        let said = lab.provision(args.into_iter().chain(rotates.then_some("--rotate-tokens")));
        assert_eq!(said.status, if rotates { 0 } else { 3 }, "{}{}", said.out, said.err);
        assert!(!team.show("main", ".sops.yaml").contains("ben"), "{}{}", said.out, said.err);
        assert_eq!(lab.head(), team.git(["rev-parse", "main"]));
        assert_eq!(ids(&lab).len(), if rotates { 4 } else { 2 });
    }
}

#[test]
fn a_file_whose_slot_was_blanked_by_hand_does_not_keep_who_leaves() {
    let (ben, eva) = (Person::new("ben"), Person::new("eva"));
    let lab = lab(Lab::today(), &ben, &eva);
    lab.sops(["set", QA, "[\"GITLAB_TOKEN\"]", "\"\""]).ok();
    lab.commit_all("blanked");
    let args = ["keys", "remove", "ben", "--rotate-tokens", "--overlap", "0s", "--force", "--yes"];
    let said = lab.provision(args);
    assert!(!said.err.contains("left as it is"), "{said:?}");
    assert!(ben.reads(&lab, QA).is_none() && ben.reads(&lab, DEV).is_none(), "{said:?}");
    lab.sops(["decrypt", QA]).ok();
}

/// What a key opens that is not here stays as it was, and so does who reads it.
#[test]
fn nobody_is_said_to_read_nothing_new_where_a_file_was_left() {
    let (ben, eva) = (Person::new("ben"), Person::new("eva"));
    let lab = lab(Lab::today(), &ben, &eva);
    lab.write("secrets/qa-bens.yaml", "a: one\n");
    lab.sops(["encrypt", "-i", "--age", &ben.recipient, "secrets/qa-bens.yaml"]).ok();
    lab.commit_all("ben's");
    lab.gitlab.add_fault("POST * x1 403".parse().unwrap());
    let said = lab.provision(["keys", "remove", "ben", "--rotate-tokens", "--yes"]);
    assert_eq!(said.status, 4, "{said:?}");
    assert!(said.err.contains("not all tokens have successors yet"), "{said:?}");
    assert!(!said.err.contains("reads nothing new"), "{said:?}");
}
