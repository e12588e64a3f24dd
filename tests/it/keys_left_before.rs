//! `provision keys remove` of somebody whom other means took out before, so that they still know the data key.

use crate::support::lab::{Lab, Said};
use crate::support::people::{Person, policy};

const QA: &str = "secrets/qa.sops.yaml";
const RULE: &str = "^secrets/";

/// A token for qa, which ben reads.
fn lab(ben: &Person) -> Lab {
    let lab = Lab::today();
    set_policy(&lab, &[&Person::owner_of(&lab)]);
    lab.commit_all("owner");
    lab.provision(["--env", "qa", "--yes"]).ok();
    lab.provision(["keys", "add", "ben", &ben.recipient, "--yes"]).ok();
    assert!(ben.reads(&lab, QA).is_some());
    lab
}

fn set_policy(lab: &Lab, people: &[&Person]) {
    let names: Vec<&str> = people.iter().map(|one| one.name).collect();
    lab.write(".sops.yaml", &policy(people, &[(RULE, &names)]));
}

/// What takes somebody out and leaves the data key as it is.
const MEANS: [fn(&Lab); 2] = [
    |lab| {
        set_policy(lab, &[&Person::owner_of(lab)]);
        lab.sops(["updatekeys", "-y", QA]).ok();
        lab.commit_all("out");
    },
    |lab| {
        lab.git(["revert", "--no-edit", "HEAD"]);
    },
];

/// What `who` reads of the file with the entry that an older version had for them.
fn reads_with_old_entry(who: &Person, before: &str, lab: &Lab) -> Option<String> {
    let now = lab.read(QA);
    let entry_of = |text: &str, recipient: &str| {
        let start = text.find(&format!("        - recipient: {recipient}")).unwrap();
        let end = text[start..].find("-----END AGE ENCRYPTED FILE-----\n").unwrap();
        text[start..start + end + "-----END AGE ENCRYPTED FILE-----\n".len()].to_owned()
    };
    let owners = entry_of(&now, &lab.recipient);
    lab.write(QA, &now.replace(&owners, &(owners.clone() + &entry_of(before, &who.recipient))));
    let read = who.reads(lab, QA);
    lab.write(QA, &now);
    read
}

fn remove(lab: &Lab, more: &[&str]) -> Said {
    lab.provision([&["keys", "remove", "ben", "--yes"][..], more].concat())
}

#[test]
fn somebody_whom_updatekeys_or_a_revert_took_out_does_not_read_the_successor() {
    for means in MEANS {
        let ben = Person::new("ben");
        let lab = lab(&ben);
        let before = lab.read(QA);
        means(&lab);
        assert!(reads_with_old_entry(&ben, &before, &lab).is_some(), "the trial can succeed");
        let said = remove(&lab, &["--rotate-tokens"]).ok();
        assert!(said.err.contains("a new data key") && said.err.contains("mint "), "{said:?}");
        assert!(reads_with_old_entry(&ben, &before, &lab).is_none(), "{said:?}");
        lab.sops(["decrypt", QA]).ok();
        lab.provision(["check"]).ok();
        let (head, said) = (lab.head(), remove(&lab, &["--rotate-tokens"]).ok());
        assert!(said.out.contains("nothing to do") && lab.head() == head, "{said:?}");
    }
}

#[test]
fn their_removal_renews_a_data_key_that_they_know_once() {
    for means in MEANS {
        let ben = Person::new("ben");
        let lab = lab(&ben);
        let before = lab.read(QA);
        means(&lab);
        let planned = remove(&lab, &["--dry-run"]).ok();
        assert!(planned.out.contains("a new data key"), "{planned:?}");
        assert_eq!(remove(&lab, &[]).status, 3, "the token is the old one");
        assert!(reads_with_old_entry(&ben, &before, &lab).is_none());
        let head = lab.head();
        let again = remove(&lab, &[]);
        assert!(again.out.contains("nothing to do") && lab.head() == head, "{again:?}");
    }
}

/// Copied and edited, as people begin a new file, and then put under other readers by updatekeys.
#[test]
fn a_copy_of_a_file_that_they_could_read_has_its_data_key_renewed_too() {
    let ben = Person::new("ben");
    let lab = lab(&ben);
    lab.write("secrets/copy.yaml", &lab.read(QA));
    lab.sops(["set", "secrets/copy.yaml", "[\"GITLAB_TOKEN\"]", "\"another\""]).ok();
    lab.commit_all("a copy");
    MEANS[0](&lab);
    lab.sops(["updatekeys", "-y", "secrets/copy.yaml"]).ok();
    lab.commit_all("out of the copy");
    let said = remove(&lab, &[]);
    assert!(said.err.contains("secrets/copy.yaml") && said.err.contains("a new data key"), "{said:?}");
}

#[test]
fn no_successor_goes_into_a_file_whose_data_key_cannot_be_renewed() {
    let (ben, eva) = (Person::new("ben"), Person::new("eva"));
    let lab = lab(&ben);
    // The second file of the environment is for others alone.
    let profile = lab.read("environments/qa.yaml");
    let second = "secrets:\n  - { file: secrets/qa.sops.yaml, template: backstage.yaml }\n  - { file: secrets/eva.sops.yaml, template: backstage.yaml }\n";
    let start = profile.find("secrets:").unwrap();
    let end = start + profile[start..].find("tokens:").unwrap();
    lab.write("environments/qa.yaml", &format!("{}{second}{}", &profile[..start], &profile[end..]));
    lab.commit_all("two files");
    lab.provision(["--env", "qa", "--yes"]).ok();
    MEANS[0](&lab);
    let only_eva =
        policy(&[&Person::owner_of(&lab), &eva], &[("^secrets/eva", &["eva"]), ("^secrets/", &["ana"])]);
    lab.write(".sops.yaml", &only_eva);
    lab.sops(["updatekeys", "-y", "secrets/eva.sops.yaml"]).ok();
    lab.commit_all("eva's");
    let tokens = lab.minted().len();
    let said = remove(&lab, &["--rotate-tokens"]);
    assert_eq!((said.status, lab.minted().len()), (3, tokens), "{said:?}");
    assert!(said.err.contains("secrets/eva.sops.yaml is left as it is: no key here opens it"), "{said:?}");
}
