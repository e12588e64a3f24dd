//! `provision rekey` on real repositories, read by the stock sops.

use std::fs;

use crate::support::lab::Lab;
use crate::support::people::{Person, policy};
use crate::support::team::Team;

const X: &str = "secrets/x.sops.yaml";
const Y: &str = "secrets/y.sops.json";
const PLAIN_X: &str = "# note\na: one\nb:\n    # two\n    - 2\n    - null\n";
const PLAIN_Y: &str = "{\n\t\"a\": \"one\",\n\t\"n\": 5\n}\n";

/// A lab with two files of stock sops and one of ours, for these readers.
fn lab(readers: &[&Person]) -> Lab {
    furnished(Lab::new(), readers)
}

fn furnished(lab: Lab, readers: &[&Person]) -> Lab {
    set_policy(&lab, readers);
    lab.git(["add", "-A"]);
    lab.git(["commit", "-q", "--allow-empty", "-m", "readers"]);
    for (file, plain) in [(X, PLAIN_X), (Y, PLAIN_Y)] {
        lab.write(file, plain);
        lab.sops(["encrypt", "-i", file]).ok();
    }
    lab.commit_all("stock files");
    lab.provision(["--env", "qa", "--yes"]).ok();
    lab
}

fn set_policy(lab: &Lab, readers: &[&Person]) {
    let ana = Person::owner_of(lab);
    let all: Vec<&Person> = [&ana].into_iter().chain(readers.iter().copied()).collect();
    let names: Vec<&str> = all.iter().map(|person| person.name).collect();
    lab.write(".sops.yaml", &policy(&all, &[("^secrets/[^/]+\\.sops\\.(yaml|json)$", &names)]));
}

/// The lines of HEAD's commit that went and came in a file.
fn diff(lab: &Lab, file: &str) -> (Vec<String>, Vec<String>) {
    let text = lab.git(["diff", "-U0", "HEAD~1", "HEAD", "--", file]);
    let of = |sign: char, header: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.starts_with(sign) && !line.starts_with(header));
        lines.map(|line| line[1..].to_owned()).collect()
    };
    (of('-', "---"), of('+', "+++"))
}

#[test]
fn who_is_added_reads_with_stock_sops_and_only_lines_of_theirs_are_new() {
    let (ben, eva) = (Person::new("ben"), Person::new("eva"));
    let lab = lab(&[&ben]);
    set_policy(&lab, &[&ben, &eva]);
    lab.commit_all("eva comes");
    let said = lab.provision(["rekey", "--yes"]).ok();
    assert!(said.err.contains(&format!("eva ({}) will read", eva.recipient)), "{}", said.err);
    assert_eq!(
        lab.git(["log", "-1", "--format=%s"]),
        "provision(rekey): bring 3 secrets files into line with .sops.yaml"
    );
    assert!(lab.git(["log", "-1", "--format=%b"]).contains(&format!("added eva ({})", eva.recipient)));
    assert_eq!(lab.git(["status", "--porcelain"]), "");
    for file in [X, Y, "secrets/qa.sops.yaml"] {
        let (gone, new) = diff(&lab, file);
        // JSON puts a comma behind the reader who was the last.
        assert!(gone.iter().all(|line| line.trim() == "}"), "{file}: {gone:?}");
        assert!(new.iter().any(|line| line.contains(&eva.recipient)), "{new:?}");
        let read: Vec<_> = [&ben, &eva].iter().map(|person| person.reads(&lab, file).unwrap()).collect();
        assert_eq!(read[0], read[1]);
    }
    assert_eq!(eva.reads(&lab, X).unwrap(), PLAIN_X);
    // The locks still agree, so that nothing is minted.
    lab.provision(["check"]).ok();
    let head = lab.head();
    assert!(
        lab.provision(["rekey", "--yes"]).ok().out.contains("3 files are as .sops.yaml says: nothing to do")
    );
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert_eq!(lab.head(), head);
}

#[test]
fn who_goes_reads_no_more_not_even_with_the_data_key_that_they_had() {
    let (ben, eva) = (Person::new("ben"), Person::new("eva"));
    let lab = lab(&[&ben, &eva]);
    let before = lab.read(X);
    set_policy(&lab, &[&ben]);
    lab.commit_all("eva goes");
    lab.provision(["rekey", "--yes"]).ok();
    for file in [X, Y, "secrets/qa.sops.yaml"] {
        assert!(eva.reads(&lab, file).is_none(), "{file}");
        assert!(ben.reads(&lab, file).is_some() && lab.sops(["decrypt", file]).status == 0, "{file}");
    }
    let body = lab.git(["log", "-1", "--format=%b"]);
    assert!(
        body.contains(&format!("removed eva ({})", eva.recipient)) && body.contains("new data keys"),
        "{body}"
    );
    // Their old entry, with the data key in it, put back into the new file.
    let now = lab.read(X);
    let entry_of = |text: &str, who: &str| {
        let start = text.find(&format!("        - recipient: {who}")).unwrap();
        let end = text[start..].find("-----END AGE ENCRYPTED FILE-----\n").unwrap();
        text[start..start + end + "-----END AGE ENCRYPTED FILE-----\n".len()].to_owned()
    };
    let ana = entry_of(&now, &lab.recipient);
    lab.write(X, &now.replace(&ana, &(ana.clone() + &entry_of(&before, &eva.recipient))));
    let tried = eva.sops(&lab, &["decrypt", X]);
    assert!(tried.status != 0 && tried.err.contains("Could not decrypt"), "{}", tried.err);
    // The same with the old file, which shows that the trial can succeed.
    lab.write(X, &before);
    assert_eq!(eva.reads(&lab, X).unwrap(), PLAIN_X);
}

#[test]
fn the_lock_follows_the_leaves_that_are_encrypted_anew() {
    let ben = Person::new("ben");
    let lab = lab(&[&ben]);
    let before = lab.read("environments/locks/qa.yaml");
    set_policy(&lab, &[]);
    lab.commit_all("ben goes");
    lab.provision(["rekey", "--yes"]).ok();
    assert_ne!(lab.read("environments/locks/qa.yaml"), before);
    assert!(lab.git(["show", "--name-only", "--format="]).contains("environments/locks/qa.yaml"));
    lab.provision(["check"]).ok();
    let said = lab.provision(["--env", "qa", "--yes"]).ok();
    assert!(said.out.contains("is healthy"), "{}", said.out);
}

/// reference/sops-format.md §0.1: the list of readers is not authenticated.
#[test]
fn a_reader_who_was_put_into_the_file_gets_nothing_where_stock_sops_falls_for_it() {
    let (ben, eve) = (Person::new("ben"), Person::new("eve"));
    let lab = lab(&[&ben]);
    let injected = lab.read(X).replace(
        "    age:\n",
        &format!("    age:\n        - recipient: {}\n          enc: |\n            junk\n", eve.recipient),
    );
    lab.write(X, &injected);
    lab.commit_all("harmless formatting");
    // Stock sops encrypts the new data key for whoever stands in the file.
    lab.sops(["rotate", "-i", X]).ok();
    assert_eq!(eve.reads(&lab, X).unwrap(), PLAIN_X);
    lab.git(["checkout", "-q", X]);

    let said = lab.provision(["rekey", "--check"]);
    assert_eq!(said.status, 3);
    assert!(
        said.out
            .contains(&format!("{} can read the file and should not (provision rekey {X}", eve.recipient)),
        "{}",
        said.out
    );
    let said = lab.provision(["rekey", "--yes"]).ok();
    assert!(said.err.contains(&format!("{} will no longer read", eve.recipient)), "{}", said.err);
    assert!(!lab.read(X).contains(&eve.recipient));
    assert!(eve.reads(&lab, X).is_none());
    assert_eq!(ben.reads(&lab, X).unwrap(), PLAIN_X);
    lab.sops(["rotate", "-i", X]).ok();
    assert!(eve.reads(&lab, X).is_none());
}

#[test]
fn what_no_key_here_opens_is_named_with_its_readers_and_the_rest_is_done() {
    let (ben, eva) = (Person::new("ben"), Person::new("eva"));
    let lab = lab(&[&ben]);
    let ana = Person::owner_of(&lab);
    let rules = |more: &[&str]| {
        let mut of_ben = vec!["ben"];
        of_ben.extend(more);
        let mut of_all = vec!["ana", "ben"];
        of_all.extend(more);
        let rules: [(&str, &[&str]); 2] =
            [("^secrets/ben/", &of_ben), ("^secrets/[^/]+\\.sops\\.(yaml|json)$", &of_all)];
        policy(&[&ana, &ben, &eva], &rules)
    };
    lab.write(".sops.yaml", &rules(&[]));
    lab.write("secrets/ben/b.sops.yaml", "k: v\n");
    lab.sops(["encrypt", "-i", "secrets/ben/b.sops.yaml"]).ok();
    lab.commit_all("a file of ben's");
    lab.write(".sops.yaml", &rules(&["eva"]));
    lab.commit_all("eva comes");
    let said = lab.provision(["rekey", "--yes", "--json"]);
    assert_eq!(said.status, 3, "{}", said.err);
    let json: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(json["rekeyed"].as_array().unwrap().len(), 3);
    let left = serde_json::json!([{
        "file": "secrets/ben/b.sops.yaml",
        "why": "cannot_open",
        "readers": [{ "name": "ben", "key": ben.recipient }],
    }]);
    assert_eq!(json["skipped"], left);
    assert_eq!(json["commit"], lab.head());
    assert!(eva.reads(&lab, X).is_some() && eva.reads(&lab, "secrets/ben/b.sops.yaml").is_none());
    let again = lab.provision(["rekey", "--yes"]);
    assert_eq!((again.status, again.out.as_str()), (3, ""));
    assert!(
        again.err.contains("secrets/ben/b.sops.yaml was left as it is: no key here opens it; it is for ben")
    );
    lab.write(".sops.yaml", &(rules(&["eva"]) + "    mac_only_encrypted: true\n"));
    lab.commit_all("another rule for the others");
    let said = lab.provision(["rekey", "--yes"]);
    assert_eq!((said.status, said.err.matches("secrets/ben/b.sops.yaml").count()), (3, 1), "{}", said.err);
    ben.provision(&lab, &["rekey", "--yes"]).ok();
    assert!(eva.reads(&lab, "secrets/ben/b.sops.yaml").is_some());
}

#[test]
fn a_file_whose_mac_is_wrong_is_left_and_named() {
    let (ben, eva) = (Person::new("ben"), Person::new("eva"));
    let lab = lab(&[&ben]);
    let text = lab.read(X);
    let line = text.lines().find(|line| line.starts_with("a: ")).unwrap().to_owned() + "\n";
    lab.write(X, &text.replace(&line, ""));
    set_policy(&lab, &[&ben, &eva]);
    lab.commit_all("eva comes, and somebody took a line out");
    let before = lab.read(X);
    let said = lab.provision(["rekey", "--yes"]).refused(3, "the MAC of the file does not match");
    assert!(said.err.contains(&format!("{X} was left as it is")));
    assert_eq!(lab.read(X), before);
    assert!(eva.reads(&lab, Y).is_some());
}

#[test]
fn changed_rules_are_applied_and_a_slot_that_they_would_leave_clear_is_not() {
    let ben = Person::new("ben");
    let lab = lab(&[&ben]);
    lab.write(
        ".sops.yaml",
        &(lab.read(".sops.yaml") + "    encrypted_regex: ^b$\n    mac_only_encrypted: true\n"),
    );
    lab.commit_all("only b");
    let said = lab.provision(["rekey", "--yes"]).refused(3, "secrets/qa.sops.yaml was left as it is");
    assert!(said.err.contains("would be written in the clear"), "{}", said.err);
    assert!(lab.read(X).contains("a: one\n"));
    assert_eq!(ben.reads(&lab, X).unwrap(), PLAIN_X);
    assert!(lab.read("secrets/qa.sops.yaml").contains("ENC["));
}

#[test]
fn without_a_commit_the_files_wait_and_the_next_run_commits_them() {
    let ben = Person::new("ben");
    let lab = lab(&[]);
    set_policy(&lab, &[&ben]);
    lab.commit_all("ben comes");
    let head = lab.head();
    lab.write("mine", "staged\n");
    lab.git(["add", "mine"]);
    let said = lab.provision(["rekey", "--no-commit", "--yes"]).ok();
    assert!(said.out.contains("not committed"));
    let files = lab.read(X);
    assert_eq!(lab.head(), head);
    let said = lab.provision(["rekey", "--yes"]).ok();
    assert!(said.err.contains("3 of them are so already"), "{}", said.err);
    assert_eq!(lab.read(X), files);
    assert_eq!(lab.git(["status", "--porcelain"]), "A  mine");
    assert_eq!(
        lab.git(["show", "--name-only", "--format="]),
        "secrets/qa.sops.yaml\nsecrets/x.sops.yaml\nsecrets/y.sops.json"
    );
}

#[test]
fn only_the_files_that_are_named_change() {
    let ben = Person::new("ben");
    let lab = lab(&[]);
    set_policy(&lab, &[&ben]);
    lab.commit_all("ben comes");
    lab.provision(["rekey", "--yes", X]).ok();
    assert!(ben.reads(&lab, X).is_some() && ben.reads(&lab, Y).is_none());
    lab.provision(["rekey", "--check", X]).ok();
    let said = lab.provision(["rekey", "-C", "secrets", "--check", "y.sops.json"]);
    assert_eq!(said.status, 3);
    assert!(said.out.starts_with(&format!("{Y}:")), "{}", said.out);
}

#[test]
fn the_check_needs_no_key_and_speaks_text_json_and_code_quality() {
    let ben = Person::new("ben");
    let lab = lab(&[]);
    fs::remove_file(lab.home().join(".config/sops/age/keys.txt")).unwrap();
    lab.provision(["rekey", "--check"]).ok();
    set_policy(&lab, &[&ben]);
    let said = lab.provision(["rekey", "--check"]);
    assert_eq!((said.status, said.out.lines().count()), (3, 3), "{}", said.out);
    let json: serde_json::Value =
        serde_json::from_str(&lab.provision(["rekey", "--check", "--json"]).out).unwrap();
    assert_eq!(json["findings"][1]["path"], X);
    assert_eq!(json["findings"][1]["check"], "recipients-missing");
    let said = lab.provision(["rekey", "--check", "--code-quality", "-"]);
    let report: serde_json::Value =
        serde_json::from_str(said.out.split("\n]").next().map(|text| format!("{text}\n]")).unwrap().as_str())
            .unwrap();
    assert_eq!((said.status, report[1]["location"]["path"].as_str()), (3, Some(X)));
    // A policy that says nothing must not look as if all were well.
    lab.write(".sops.yaml", "creation_rules: [\n");
    assert_eq!(lab.provision(["rekey", "--check", X]).status, 3);
}

#[test]
fn it_is_delivered_with_push_and_as_a_merge_request() {
    let (ben, eva) = (Person::new("ben"), Person::new("eva"));
    let lab = furnished(Lab::today(), &[]);
    let team = Team::of(&lab);
    set_policy(&lab, &[&ben]);
    lab.commit_all("ben comes");
    lab.git(["push", "-q"]);
    let said = lab.provision(["rekey", "--yes", "--push"]).ok();
    assert!(said.out.contains("pushed to main at origin"), "{}", said.out);
    assert_eq!(team.git(["rev-parse", "main"]), lab.head());
    assert!(ben.reads(&lab, X).is_some());
    set_policy(&lab, &[&eva]);
    lab.commit_all("eva for ben");
    lab.git(["push", "-q"]);
    let before = lab.read(X);
    lab.provision(["rekey", "--yes", "--mr"]).ok();
    assert_eq!(lab.read(X), before);
    assert!(team.show("provision/rekey", X).contains(&eva.recipient));
    let options = team.options().join("\n");
    assert!(
        options.contains(&format!("**Reader added**: `eva`, `{}` in 3 secrets files", eva.recipient)),
        "{options}"
    );
    assert!(options.contains("**Reader removed**"), "{options}");
}

#[test]
fn a_policy_that_is_not_committed_stops_a_rekey_that_delivers() {
    let (ben, eva) = (Person::new("ben"), Person::new("eva"));
    let lab = furnished(Lab::today(), &[&ben]);
    let team = Team::of(&lab);
    let main = team.git(["rev-parse", "main"]);
    set_policy(&lab, &[]);
    for way in ["--push", "--mr"] {
        let said = lab.provision(["rekey", "--yes", way]);
        let said = said.refused(5, ".sops.yaml has changes that are not committed");
        assert!(said.err.contains("provision rekey --with-policy"), "{}", said.err);
        let add = ["keys", "add", "eva", &eva.recipient, "--yes", way];
        lab.provision(add).refused(5, ".sops.yaml has changes that are not committed");
    }
    let said = lab.provision(["rekey", "--check"]);
    assert!(said.status == 3 && said.err.contains("provision rekey --with-policy"), "{}", said.err);
    assert_eq!(team.git(["rev-parse", "main"]), main);
    lab.provision(["rekey", "--with-policy", "--yes"]).ok();
    lab.provision(["rekey", "--push", "--yes"]).ok();
    assert!(!team.show("main", ".sops.yaml").contains("ben"));
    assert!(!team.show("main", X).contains(&ben.recipient));
    assert_eq!(
        (lab.head(), lab.git(["status", "--porcelain"])),
        (team.git(["rev-parse", "main"]), String::new())
    );

    // An edit of a file that would change is not passed over either.
    lab.sops(["set", X, "[\"a\"]", "\"mine\""]).ok();
    let add = ["keys", "add", "eva", &eva.recipient, "--yes", "--push"];
    lab.provision(add).refused(5, &format!("{X} has changes that are not committed"));
}

/// Who has left by the policy of main would be a reader again when the request is merged.
#[test]
fn an_open_request_that_is_behind_the_policy_is_not_taken_for_done() {
    let (ben, eva) = (Person::new("ben"), Person::new("eva"));
    let lab = furnished(Lab::today(), &[&ben]);
    let team = Team::of(&lab);
    let becomes = |people: &[&Person]| {
        set_policy(&lab, people);
        lab.commit_all("another policy");
        lab.git(["push", "-q"]);
    };
    becomes(&[&ben, &eva]);
    lab.provision(["rekey", "--yes", "--mr"]).ok();
    becomes(&[&ben]);
    let said = lab.provision(["rekey", "--yes", "--mr"]);
    let said = said
        .refused(5, "provision/rekey of origin is not merged, and has another policy than main has by now");
    assert!(said.err.contains("git push origin --delete provision/rekey"), "{}", said.err);
    // As the first hint says.
    lab.git(["switch", "-q", "provision/rekey"]);
    lab.git(["merge", "-q", "origin/main"]);
    lab.git(["push", "-q", "origin", "provision/rekey"]);
    lab.git(["switch", "-q", "main"]);
    lab.provision(["rekey", "--yes", "--mr"]).ok();
    team.merge("provision/rekey");
    lab.git(["pull", "-q"]);
    assert_eq!((eva.reads(&lab, X), ben.reads(&lab, X).is_some()), (None, true));
}

#[test]
fn a_rekey_that_was_committed_here_goes_along_with_push() {
    let ben = Person::new("ben");
    for way in ["--push", "--mr"] {
        let lab = furnished(Lab::today(), &[]);
        let team = Team::of(&lab);
        set_policy(&lab, &[&ben]);
        lab.commit_all("ben comes");
        lab.provision(["rekey", "--yes"]).ok();
        let planned = lab.provision(["rekey", "--dry-run", "--exit-code", way]);
        assert!(planned.status == 3 && planned.out.contains("push     2 commits of yours to"), "{planned:?}");
        let said = lab.provision(["rekey", "--yes", way]).ok();
        let branch = if way == "--mr" { "provision/rekey" } else { "main" };
        assert!(said.out.contains(&format!("pushed to {branch} at origin")), "{}{}", said.out, said.err);
        assert_eq!(team.git(["rev-parse", branch]), lab.head());
        let said = lab.provision(["rekey", "--yes", way]).ok();
        assert!(said.out.contains("nothing to do") && !said.out.contains("pushed"), "{}", said.out);
        assert_eq!(
            said.err.contains("provision/rekey at origin, which is not merged into main yet"),
            way == "--mr",
            "{}",
            said.err
        );
        // Commits of the user's that are about something else stay.
        lab.write("README", "mine\n");
        lab.commit_all("readme");
        lab.provision(["rekey", "--yes", way]).ok();
        assert_ne!(team.git(["rev-parse", branch]), lab.head());
    }
}

#[test]
fn a_file_whose_slot_was_blanked_by_hand_follows_the_policy() {
    let ben = Person::new("ben");
    let lab = lab(&[&ben]);
    let qa = "secrets/qa.sops.yaml";
    lab.sops(["set", qa, "[\"GITLAB_TOKEN\"]", "\"\""]).ok();
    lab.commit_all("blanked");
    set_policy(&lab, &[]);
    lab.commit_all("ben goes");
    lab.provision(["rekey", "--yes"]).ok();
    assert!(ben.reads(&lab, qa).is_none());
    assert!(lab.sops(["decrypt", qa]).ok().out.contains("GITLAB_TOKEN: \"\""));
}

#[test]
fn a_file_under_a_policy_of_its_own_is_left_alone() {
    let ben = Person::new("ben");
    let lab = Lab::new();
    let ana = Person::owner_of(&lab);
    let (own, theirs) = ("team/.sops.yaml", "team/secrets/b.yaml");
    lab.write(".sops.yaml", &policy(&[&ana], &[(".*", &["ana"])]));
    lab.write(own, &policy(&[&ana, &ben], &[(".*", &["ana", "ben"])]));
    lab.write(theirs, "a: one\n");
    lab.sops(["--config", own, "encrypt", "-i", theirs]).ok();
    lab.commit_all("readers");
    let head = lab.head();
    for args in [&["rekey", "--yes"][..], &["rekey", theirs, "--yes"]] {
        let said = lab.provision(args).ok();
        let left = format!("{theirs} is left to {own}, which is nearer to it");
        assert_eq!(said.err.matches(&left).count(), 1, "{said:?}");
    }
    assert_eq!(lab.head(), head);
    // Somebody who leaves goes on reading it, and that is said.
    lab.write(".sops.yaml", &policy(&[&ana, &ben], &[(".*", &["ana", "ben"])]));
    lab.commit_all("ben reads elsewhere too");
    let said = lab.provision(["keys", "remove", "ben", "--yes"]).refused(3, "ben goes on reading it");
    assert!(said.err.contains(theirs) && said.err.contains(own), "{said:?}");
    assert!(ben.reads(&lab, theirs).is_some());
    let check = lab.provision(["check"]).refused(3, "");
    assert_eq!(check.out.matches("1 secrets file lies below this policy").count(), 1, "{check:?}");
    assert!(!check.out.contains("should not") && !check.out.contains("not encrypted"), "{check:?}");
    let doctor = lab.provision(["doctor"]);
    assert!(doctor.out.contains("check"), "{doctor:?}");
    // A profile's file there has two policies that do not know of each other.
    lab.write("secrets/.sops.yaml", &policy(&[&ana], &[(".*", &["ana"])]));
    lab.commit_all("another one");
    let said = lab.provision(["--env", "qa", "--yes"]);
    said.refused(5, "secrets/qa.sops.yaml lies below secrets/.sops.yaml");
}
