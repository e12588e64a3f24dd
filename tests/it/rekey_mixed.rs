//! People come and go under a policy with anchors, comments, several rules, groups of keys with a threshold, and keys of
//! age and ssh side by side.

use crate::support::lab::{Lab, Said, said};
use crate::support::people::Person;
use crate::support::sops;

const X: &str = "secrets/x.sops.yaml";
const SHARED: &str = "secrets/shared/y.sops.json";
const PUBLIC: &str = include_str!("fixtures/ssh/id_ed25519.pub");

fn ssh_key() -> String {
    format!("{}/tests/it/fixtures/ssh/id_ed25519", env!("CARGO_MANIFEST_DIR"))
}

fn policy(lab: &Lab, ben: &Person) -> String {
    format!(
        "# who reads what\nkeys:\n  - &ana {} # laptop\n  - &ben {}\n  - &sam {}\n\ncreation_rules:\n  # both groups \
         together\n  - path_regex: ^secrets/shared/\n    shamir_threshold: 2\n    key_groups:\n      - age: [*ana, *ben] \
         # people\n      - age:\n          - *sam\n  - path_regex: ^secrets/ # the rest\n    age:\n      - *ana\n      \
         - *sam\n",
        lab.recipient,
        ben.recipient,
        PUBLIC.trim()
    )
}

/// The program with the keys of ana and of sam.
fn both(lab: &Lab, args: &[&str]) -> Said {
    let mut command = lab.command(args);
    said(command.env("SOPS_AGE_SSH_PRIVATE_KEY_FILE", ssh_key()))
}

/// What the stock sops reads with an age identity and, where that is wanted, the key of sam.
fn reads(lab: &Lab, age: Option<&str>, sam: bool, file: &str) -> bool {
    let mut command = sops::command();
    command.env("HOME", "/nonexistent").current_dir(lab.repo()).args(["decrypt", file]);
    command.envs(age.map(|identity| ("SOPS_AGE_KEY", identity)));
    command.envs(sam.then(|| ("SOPS_AGE_SSH_PRIVATE_KEY_FILE", ssh_key())));
    said(&mut command).status == 0
}

#[test]
fn somebody_comes_into_a_group_and_goes_again_and_the_policy_is_what_it_was() {
    let (ben, eva) = (Person::new("ben"), Person::new("eva"));
    let lab = Lab::new();
    let before = policy(&lab, &ben);
    lab.write(".sops.yaml", &before);
    for (file, plain) in [(X, "# note\na: one\nb: [2, null]\n"), (SHARED, "{\n\t\"a\": \"one\"\n}\n")] {
        lab.write(file, plain);
        lab.sops(["encrypt", "-i", file]).ok();
    }
    lab.commit_all("files");
    both(&lab, &["rekey", "--check"]).ok();
    let (old_x, old_shared) = (lab.read(X), lab.read(SHARED));

    both(&lab, &["keys", "add", "eva", &eva.recipient, "--file", X, "--yes"]).ok();
    both(&lab, &["keys", "add", "eva", &eva.recipient, "--file", SHARED, "--group", "1", "--yes"]).ok();
    assert!(reads(&lab, Some(&eva.identity), false, X));
    assert!(reads(&lab, Some(&eva.identity), true, SHARED));
    assert!(!reads(&lab, Some(&eva.identity), false, SHARED), "one group is not enough");
    assert!(reads(&lab, Some(&ben.identity), true, SHARED));
    // Of what was there nothing went.
    for (file, old) in [(X, old_x), (SHARED, old_shared)] {
        let now = lab.read(file);
        let lines: Vec<&str> = now.lines().map(|line| line.trim_end_matches(',')).collect();
        let gone: Vec<&str> =
            old.lines().map(|line| line.trim_end_matches(',')).filter(|line| !lines.contains(line)).collect();
        assert!(gone.is_empty(), "{file}: {gone:?}");
    }

    let said = both(&lab, &["keys", "remove", "eva", "--yes"]);
    assert!([0, 3].contains(&said.status), "{}", said.err);
    assert_eq!(lab.read(".sops.yaml"), before);
    assert!(!reads(&lab, Some(&eva.identity), true, SHARED) && !reads(&lab, Some(&eva.identity), false, X));
    assert!(reads(&lab, Some(lab.identity()), true, SHARED) && reads(&lab, None, true, X));
    assert!(reads(&lab, Some(&ben.identity), true, SHARED) && !reads(&lab, Some(&ben.identity), false, X));
    both(&lab, &["check"]).ok();
    assert_eq!(lab.git(["status", "--porcelain"]), "");
}
