//! Secrets files that HEAD has and the work tree has not: none is passed over when somebody is to read no more.

use crate::support::lab::Lab;
use crate::support::people::{Person, policy};
use crate::support::team::Team;

/// Takes a file out of the work tree.
type Leave = fn(&Lab);

const IN: &str = "secrets/in/a.sops.yaml";
const OUT: &str = "secrets/out/b.sops.yaml";

fn set_policy(lab: &Lab, readers: &[&Person]) {
    let names: Vec<&str> = readers.iter().map(|one| one.name).collect();
    lab.write(".sops.yaml", &policy(readers, &[("^secrets/", &names)]));
}

/// Two files of stock sops for ana and ben.
fn lab(ben: &Person) -> Lab {
    let lab = Lab::today();
    set_policy(&lab, &[&Person::owner_of(&lab), ben]);
    for file in [IN, OUT] {
        lab.write(file, "a: b\n");
        lab.sops(["encrypt", "-i", file]).ok();
    }
    lab.commit_all("files");
    lab
}

fn sparse(lab: &Lab, index: &str) {
    lab.git(["sparse-checkout", "set", "--cone", index, "secrets/in", "environments", "templates"]);
    assert!(!lab.repo().join(OUT).exists());
}

/// A stash that does not go together with what was committed since.
fn conflict(lab: &Lab) {
    lab.sops(["set", OUT, "[\"a\"]", "\"stashed\""]).ok();
    lab.git(["stash"]);
    lab.sops(["set", OUT, "[\"a\"]", "\"committed\""]).ok();
    lab.commit_all("another value");
    lab.git(["-c", "alias.pop=!git stash pop || true", "pop"]);
    assert!(lab.git(["status", "--porcelain"]).starts_with("UU "));
}

#[test]
fn a_removal_that_cannot_reach_a_file_is_refused_and_names_it() {
    let ways: [(&str, Leave); 5] = [
        ("is outside the sparse checkout", |lab| sparse(lab, "--sparse-index")),
        ("is outside the sparse checkout", |lab| sparse(lab, "--no-sparse-index")),
        ("was deleted, and the deletion is not committed", |lab| {
            std::fs::remove_file(lab.repo().join(OUT)).unwrap();
        }),
        ("was deleted, and the deletion is not committed", |lab| {
            lab.git(["rm", "-q", OUT]);
        }),
        ("has merge conflicts", conflict),
    ];
    for (words, leave_out) in ways {
        let ben = Person::new("ben");
        let lab = lab(&ben);
        leave_out(&lab);
        let head = lab.head();
        lab.provision(["keys", "remove", "ben", "--yes"]).refused(5, &format!("{OUT} {words}"));
        assert_eq!(lab.head(), head);
        if words.contains("sparse") {
            let _team = Team::of(&lab);
            lab.provision(["keys", "remove", "ben", "--yes", "--push"]).refused(5, &format!("{OUT} {words}"));
            lab.git(["sparse-checkout", "add", "secrets/out"]);
            lab.provision(["keys", "remove", "ben", "--yes"]);
            assert!(ben.reads(&lab, OUT).is_none() && ben.reads(&lab, IN).is_none());
        }
    }
}

#[test]
fn the_checks_see_what_a_sparse_checkout_leaves_out() {
    for index in ["--sparse-index", "--no-sparse-index"] {
        let ben = Person::new("ben");
        let lab = lab(&ben);
        sparse(&lab, index);
        lab.provision(["check"]).ok();
        set_policy(&lab, &[&Person::owner_of(&lab)]);
        lab.git(["commit", "-qam", "ben leaves"]);
        for args in [&["check"][..], &["rekey", "--check"]] {
            let said = lab.provision(args);
            assert!(said.status == 3 && said.out.contains(OUT), "{index}: {}{}", said.out, said.err);
        }
        lab.provision(["rekey", "--yes"]).refused(5, &format!("{OUT} is outside the sparse checkout"));
        let listed = lab.provision(["keys", "who", OUT]).ok().out;
        assert!(listed.contains("    ben ("), "{listed}");
    }
}

#[test]
fn a_file_out_of_reach_that_is_as_it_should_be_stands_in_nobodys_way() {
    let ben = Person::new("ben");
    let lab = lab(&ben);
    let ana = Person::owner_of(&lab);
    let rules: [(&str, &[&str]); 2] = [("^secrets/in/", &["ana"]), ("^secrets/out/", &["ana", "ben"])];
    lab.write(".sops.yaml", &policy(&[&ana, &ben], &rules));
    lab.commit_all("ben keeps one");
    sparse(&lab, "--sparse-index");
    let said = lab.provision(["rekey", "--yes"]).ok();
    assert!(ben.reads(&lab, IN).is_none(), "{}", said.err);
    assert_eq!(lab.git(["status", "--porcelain"]), "");
}

#[test]
fn a_file_marked_as_not_to_be_looked_at_is_named_with_what_takes_the_mark_off() {
    let ben = Person::new("ben");
    let lab = lab(&ben);
    for path in [".sops.yaml", OUT] {
        lab.git(["update-index", "--skip-worktree", path]);
        let said = lab.provision(["keys", "remove", "ben", "--yes"]);
        let said = said.refused(5, &format!("{path} is marked skip-worktree"));
        let mend = format!("git update-index --no-skip-worktree {path}");
        assert!(said.err.contains(&mend) && !said.err.contains("sparse"), "{}", said.err);
        let doctor = lab.provision(["doctor", "--offline"]).out;
        assert!(path == OUT || doctor.contains(&mend), "{doctor}");
        lab.git(["update-index", "--no-skip-worktree", path]);
    }
}

#[test]
fn a_file_out_of_reach_is_never_called_absent() {
    let lab = Lab::today();
    let qa = "secrets/qa.sops.yaml";
    lab.provision(["--env", "qa", "--yes"]).ok();
    lab.git(["update-index", "-q", "--refresh"]);
    lab.git(["sparse-checkout", "set", "--cone", "environments", "templates"]);
    assert!(!lab.repo().join(qa).exists());
    let doctor = lab.provision(["doctor", "--offline"]).out;
    assert!(doctor.contains("are as HEAD has them") && !doctor.contains("sparse"), "{doctor}");
    for args in
        [&["show", "--env", "qa"][..], &["exec", "--env", "qa", "--", "true"], &["export", "--env", "qa"]]
    {
        let said = lab.provision(args);
        assert!(said.err.contains(&format!("{qa} is outside the sparse checkout")), "{args:?}: {said:?}");
        assert!(said.err.contains("git sparse-checkout add secrets"), "{args:?}: {said:?}");
    }
    // It is as it should be, so nothing is to be done; the same with its folder.
    for path in [qa, "secrets"] {
        lab.provision(["rekey", "--yes", path]).ok();
        lab.provision(["rekey", "--check", path]).ok();
    }
    lab.provision(["rekey", "--yes", "secrets/none.sops.yaml"]).refused(2, "cannot look at");

    lab.git(["sparse-checkout", "disable"]);
    std::fs::remove_file(lab.repo().join(qa)).unwrap();
    let said = lab.provision(["show", "--env", "qa"]);
    assert!(said.err.contains(&format!("{qa} was deleted, and the deletion is not committed")), "{said:?}");
    assert!(said.err.contains(&format!("git restore --staged --worktree {qa}")), "{said:?}");
}
