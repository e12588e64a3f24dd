//! What stands in the way of `keys add`, `keys remove` and `rekey`: that it is said before, and that the hints work as they
//! are typed.

use crate::support::lab::{Lab, Said};
use crate::support::people::{Person, policy};

const X: &str = "secrets/x.yaml";

/// Two files of the stock sops that the owner reads.
fn lab() -> Lab {
    let lab = Lab::new();
    lab.write(".sops.yaml", &policy(&[&Person::owner_of(&lab)], &[("^secrets/", &["ana"])]));
    for file in [X, "secrets/y.yaml"] {
        lab.write(file, "a: one\n");
        lab.sops(["encrypt", "-i", file]).ok();
    }
    lab.commit_all("files");
    lab
}

fn add(lab: &Lab, who: &Person) -> Said {
    lab.provision(["keys", "add", who.name, &who.recipient, "--yes"])
}

/// Types a command that a hint names.
fn type_hint(lab: &Lab, said: &Said, command: &str) {
    assert!(said.err.contains(command), "{command} is not in {}", said.err);
    let mut shell = std::process::Command::new("sh");
    let command = command.replace("git commit", "git commit -q -m done");
    shell.args(["-c", &command]).current_dir(lab.repo()).env("HOME", lab.home());
    let ended = shell.env("GIT_CONFIG_NOSYSTEM", "1").output().unwrap();
    assert!(ended.status.success(), "{command}: {}", String::from_utf8_lossy(&ended.stderr));
}

#[test]
fn a_mistake_in_a_rule_for_no_file_yet_passes_no_gate() {
    let (lab, ben) = (lab(), Person::new("ben"));
    let wrong = "  - path_regex: ^new/\n    age: age1typo\n";
    lab.write(
        ".sops.yaml",
        &lab.read(".sops.yaml").replace("creation_rules:\n", &format!("creation_rules:\n{wrong}")),
    );
    lab.commit_all("a rule for what is to come");
    for gate in [&["check"][..], &["rekey", "--check"], &["doctor"]] {
        let said = lab.provision(gate);
        assert!(said.status == 3 && said.out.contains(".sops.yaml:6"), "{gate:?}: {said:?}");
    }
    // The place is that of the committed policy, not of one with the key in it.
    add(&lab, &ben).refused(5, ".sops.yaml:6:10");
    lab.provision(["keys", "remove", "ana", "--yes"]).refused(5, ".sops.yaml:6:10");
}

#[test]
fn a_new_file_that_was_never_committed_is_not_said_to_be_restorable() {
    let ben = Person::new("ben");
    for how in [&["add", "secrets/n.yaml"][..], &["add", "-N", "secrets/n.yaml"]] {
        let lab = lab();
        lab.write("secrets/n.yaml", "a: one\n");
        lab.sops(["encrypt", "-i", "secrets/n.yaml"]).ok();
        lab.git(how);
        let said = add(&lab, &ben);
        assert!(said.status == 5 && !said.err.contains("restore"), "{said:?}");
        type_hint(
            &lab,
            &said,
            if how.len() == 2 { "git commit" } else { "git add secrets/n.yaml && git commit" },
        );
        add(&lab, &ben).ok();
        assert!(ben.reads(&lab, "secrets/n.yaml").is_some());
    }
}

#[test]
fn files_that_are_edited_in_the_same_way_are_named_together() {
    let (lab, ben) = (lab(), Person::new("ben"));
    for file in [X, "secrets/y.yaml"] {
        lab.sops(["set", file, "[\"a\"]", "\"two\""]).ok();
    }
    let said =
        add(&lab, &ben).refused(5, "secrets/x.yaml, secrets/y.yaml have changes that are not committed");
    type_hint(&lab, &said, "git restore --staged --worktree secrets/x.yaml secrets/y.yaml");
    add(&lab, &ben).ok();
}

#[test]
fn a_staged_deletion_or_rename_is_committed_as_it_is_staged() {
    let ben = Person::new("ben");
    for how in [&["rm", "-q", X][..], &["mv", X, "secrets/z.yaml"]] {
        let lab = lab();
        lab.git(how);
        let said =
            add(&lab, &ben).refused(5, "secrets/x.yaml was deleted, and the deletion is not committed");
        assert!(!said.err.contains("git add secrets/x.yaml"), "{said:?}");
        type_hint(&lab, &said, "git commit");
        add(&lab, &ben).ok();
    }
}

#[test]
fn a_file_at_the_root_comes_back_into_a_sparse_checkout_as_the_hint_says() {
    let (lab, ben) = (lab(), Person::new("ben"));
    lab.write("root.yaml", "a: one\n");
    lab.write(".sops.yaml", &lab.read(".sops.yaml").replace("^secrets/", "yaml$"));
    lab.sops(["encrypt", "-i", "root.yaml"]).ok();
    lab.commit_all("at the root");
    lab.git([
        "sparse-checkout",
        "set",
        "--no-cone",
        "/secrets/",
        "/.sops.yaml",
        "/environments/",
        "/templates/",
    ]);
    let said = add(&lab, &ben);
    assert_eq!(said.status, 5, "{said:?}");
    type_hint(&lab, &said, "git sparse-checkout add /root.yaml");
    add(&lab, &ben).ok();
    assert!(ben.reads(&lab, "root.yaml").is_some());
}

/// The readers are right, and the data key is the one that the person knows.
#[test]
fn what_updatekeys_left_uncommitted_is_not_said_to_be_fit_for_a_commit() {
    let (lab, ben) = (lab(), Person::new("ben"));
    add(&lab, &ben).ok();
    lab.write(".sops.yaml", &policy(&[&Person::owner_of(&lab)], &[("^secrets/", &["ana"])]));
    lab.sops(["updatekeys", "-y", X]).ok();
    let args = ["rekey", "--with-policy", "--yes"];
    let said = lab.provision(args).refused(5, "the data key that it had");
    assert!(!said.err.contains("git add"), "{said:?}");
    type_hint(&lab, &said, "git restore --staged --worktree secrets/x.yaml");
    lab.provision(args).ok();
    assert!(ben.reads(&lab, X).is_none());
}
