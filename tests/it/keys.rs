//! `provision keys` on real repositories: who reads, who did, who comes and goes.

use std::process::Command;

use crate::support::lab::Lab;
use crate::support::people::{Person, policy};
use crate::support::team::Team;

const QA: &str = "secrets/qa.sops.yaml";
const DEV: &str = "secrets/dev.sops.yaml";
const X: &str = "secrets/more/x.sops.yaml";
const REGEX: [&str; 3] = ["^secrets/qa\\.sops\\.yaml$", "^secrets/dev\\.sops\\.yaml$", "^secrets/more/"];

/// A lab with tokens for qa and dev and a file of stock sops, a rule for each, all for ana and ben.
fn lab(ben: &Person) -> Lab {
    furnished(Lab::new(), ben)
}

fn furnished(lab: Lab, ben: &Person) -> Lab {
    let ana = Person::owner_of(&lab);
    let both: &[&str] = &["ana", "ben"];
    lab.write(".sops.yaml", &policy(&[&ana, ben], &REGEX.map(|regex| (regex, both))));
    lab.write(X, "password: hunter2\nuser_unencrypted: eve\n");
    lab.sops(["encrypt", "-i", X]).ok();
    lab.commit_all("readers");
    lab.provision(["--env", "qa,dev", "--yes"]).ok();
    lab
}

#[test]
fn the_list_shows_names_keys_and_files() {
    let ben = Person::new("ben");
    let lab = lab(&ben);
    let said = lab.provision(["keys", "list"]).ok();
    let lines: Vec<&str> = said.out.lines().collect();
    assert!(lines[0].starts_with("NAME"), "{}", said.out);
    assert!(lines[1].starts_with("ana") && lines[2].starts_with("ben"), "{}", said.out);
    assert!(lines[2].contains(&format!("{DEV}, {X}, {QA}")), "{}", said.out);
    // A stranger in a file, and somebody whom a rule has and no file.
    let eva = Person::new("eva");
    let text = lab.read(X);
    let entry = format!(
        "        - recipient: {}\n          enc: |\n            junk\n",
        Person::new("eve").recipient
    );
    lab.write(X, &text.replace("    age:\n", &format!("    age:\n{entry}")));
    let ana = Person::owner_of(&lab);
    lab.write(".sops.yaml", &policy(&[&ana, &ben, &eva], &[("^secrets/", &["ana", "ben", "eva"])]));
    lab.commit_all("change");
    let json: serde_json::Value =
        serde_json::from_str(&lab.provision(["keys", "list", "--json"]).ok().out).unwrap();
    let readers = json["readers"].as_array().unwrap();
    assert_eq!(readers.len(), 4);
    assert_eq!((&readers[2]["name"], &readers[2]["will_read"][0]), (&"eva".into(), &DEV.into()));
    assert_eq!(
        (readers[3]["in_policy"].as_bool(), &readers[3]["should_not_read"][0]),
        (Some(false), &X.into())
    );
}

#[test]
fn who_is_added_reads_what_the_environment_has_and_the_policy_keeps_its_layout() {
    let (ben, eva) = (Person::new("ben"), Person::new("eva"));
    let lab = lab(&ben);
    let before = lab.read(".sops.yaml");
    let said = lab.provision(["keys", "add", "eva", &eva.recipient, "--env", "qa", "--yes"]).ok();
    assert!(said.err.contains(&format!("eva ({}) will read", eva.recipient)), "{}", said.err);
    assert!(eva.reads(&lab, QA).is_some() && eva.reads(&lab, DEV).is_none() && eva.reads(&lab, X).is_none());
    let after = lab.read(".sops.yaml");
    let new: Vec<&str> = after.lines().filter(|line| !before.lines().any(|old| old == *line)).collect();
    assert_eq!(new, [format!("  - &eva {}", eva.recipient).as_str(), "      - *eva"]);
    assert_eq!(lab.git(["log", "-1", "--format=%s"]), "provision(keys): add eva");
    assert_eq!(lab.git(["show", "--name-only", "--format="]), format!(".sops.yaml\n{QA}"));
    assert_eq!(lab.git(["status", "--porcelain"]), "");
    lab.provision(["check"]).ok();
    // Again: nothing to do. Then everywhere.
    let head = lab.head();
    lab.provision(["keys", "add", "eva", &eva.recipient, "--env", "qa", "--yes"]).ok();
    assert_eq!(lab.head(), head);
    lab.provision(["keys", "add", "eva", &eva.recipient, "--yes"]).ok();
    assert!(eva.reads(&lab, DEV).is_some() && eva.reads(&lab, X).is_some());
    lab.provision(["check"]).ok();
}

#[test]
fn somebody_joins_one_of_several_groups() {
    let (ben, eva) = (Person::new("ben"), Person::new("eva"));
    let lab = Lab::bare(None);
    let ana = Person::owner_of(&lab);
    let policy = format!(
        "creation_rules:\n  - path_regex: ^secrets/\n    key_groups:\n      - age: [{}]\n      - age:\n          - {} # ben\n",
        ana.recipient, ben.recipient
    );
    lab.write(".sops.yaml", &policy);
    lab.write(X, "password: hunter2\n");
    ana.sops(&lab, &["encrypt", "-i", X]).ok();
    lab.commit_all("two groups");
    let together = |one: &Person, two: &Person| Person {
        name: "both",
        recipient: String::new(),
        identity: format!("{}\n{}", one.identity, two.identity),
    };
    let add = |more: &[&str]| {
        let args = [&["keys", "add", "eva", &eva.recipient, "--yes"], more].concat();
        together(&ana, &ben).provision(&lab, &args)
    };
    let who = lab.provision(["keys", "who", X]).ok().out;
    assert!(who.contains("can read it, with a key of each of these 2 groups:\n    group 1: age1"), "{who}");
    assert!(who.contains("\n    group 2: ben (age1"), "{who}");
    let who = lab.provision(["keys", "who", X, "--json"]).ok().out;
    let who: serde_json::Value = serde_json::from_str(&who).unwrap();
    assert_eq!(who["files"][0]["together"]["groups"][1][0], ben.recipient.as_str());
    add(&[]).refused(5, "the rule has 2 groups of keys, and nothing says into which one");
    add(&["--group", "2"]).ok();
    assert_eq!(lab.read(".sops.yaml"), format!("{policy}          - {} # eva\n", eva.recipient));
    assert!(together(&ana, &eva).reads(&lab, X).is_some());
    assert!(together(&ben, &eva).reads(&lab, X).is_none());
    assert_eq!(lab.git(["status", "--porcelain"]), "");
}

#[test]
fn a_rule_that_is_for_other_files_too_is_not_widened_for_one() {
    let (ben, eva) = (Person::new("ben"), Person::new("eva"));
    let lab = lab(&ben);
    let ana = Person::owner_of(&lab);
    lab.write(".sops.yaml", &policy(&[&ana, &ben], &[("^secrets/", &["ana", "ben"])]));
    lab.commit_all("one rule");
    let head = lab.head();
    let add =
        |more: &[&str]| lab.provision([&["keys", "add", "eva", &eva.recipient, "--yes"], more].concat());
    add(&["--env", "qa"]).refused(5, &format!("the rule in line 6 of .sops.yaml is for {DEV}, {X} too"));
    assert_eq!((lab.head(), lab.git(["status", "--porcelain"])), (head, String::new()));
    add(&["--env", "qa,dev", "--file", X]).ok();
    assert!(eva.reads(&lab, X).is_some());
}

#[test]
fn who_leaves_reads_no_more_and_what_they_could_read_is_listed() {
    let ben = Person::new("ben");
    let lab = lab(&ben);
    let said = lab.provision(["keys", "remove", "ben", "--yes"]);
    assert_eq!(said.status, 3, "{}{}", said.out, said.err);
    for file in [QA, DEV, X] {
        assert!(ben.reads(&lab, file).is_none(), "{file}");
        lab.sops(["decrypt", file]).ok();
    }
    assert!(!lab.read(".sops.yaml").contains("ben") && !lab.read(".sops.yaml").contains(&ben.recipient));
    assert_eq!(lab.git(["log", "-1", "--format=%s"]), "provision(keys): remove ben");
    lab.provision(["check"]).ok();
    let ids: Vec<String> = lab.minted().iter().map(|token| token["id"].to_string()).collect();
    for id in &ids {
        assert!(said.out.contains(&format!("token {id} of alithya-csna: still in use")), "{}", said.out);
    }
    assert!(
        said.out.contains(&format!("{X}: [\"password\"]")) && !said.out.contains("user_unencrypted"),
        "{}",
        said.out
    );
    assert!(said.err.contains("what ben could read stays readable to ben"), "{}", said.err);
    assert!(said.err.contains("2 tokens are still the old one, in dev, qa"), "{}", said.err);
    // Asked again later: nothing changes, and the answer is the same.
    let head = lab.head();
    let said = lab.provision(["keys", "remove", "ben", "--yes"]);
    assert_eq!((said.status, lab.head()), (3, head));
    assert!(ids.iter().all(|id| said.out.contains(id)), "{}", said.out);
}

#[test]
fn a_token_that_was_replaced_since_is_listed_and_no_longer_old() {
    let ben = Person::new("ben");
    let lab = lab(&ben);
    lab.provision(["keys", "remove", "ben", "--yes"]);
    let profile = lab.read("environments/qa.yaml");
    lab.write("environments/qa.yaml", &profile.replace("[read_api, ", "["));
    lab.commit_all("other scopes");
    let old = lab.minted()[0]["id"].to_string();
    lab.provision(["--env", "qa", "--yes"]).ok();
    let json: serde_json::Value =
        serde_json::from_str(&lab.provision(["keys", "remove", "ben", "--yes", "--json"]).out).unwrap();
    let tokens = json["tokens"].as_array().unwrap();
    assert_eq!(tokens.len(), 2, "{json}");
    let qa = tokens.iter().find(|token| token["environment"] == "qa").unwrap();
    assert_eq!((qa["id"].to_string(), &qa["state"]), (old, &"superseded".into()));
}

#[test]
fn who_can_read_a_file_or_a_token_and_who_could() {
    let ben = Person::new("ben");
    let lab = lab(&ben);
    let id = lab.minted()[0]["id"].to_string();
    lab.git(["mv", QA, "secrets/more/moved.sops.yaml"]);
    lab.commit_all("moved");
    lab.git(["mv", "secrets/more/moved.sops.yaml", QA]);
    lab.commit_all("and back");
    lab.provision(["keys", "remove", "ben", "--yes"]);
    let said = lab.provision(["keys", "who", QA]).ok();
    let (now, before) = said.out.split_once("could read it before:").unwrap();
    assert!(now.contains("ana (") && !now.contains("ben ("), "{}", said.out);
    assert!(before.contains("ben (") && before.contains(" until 20"), "{}", said.out);
    for token in ["qa/backstage", id.as_str()] {
        let json: serde_json::Value =
            serde_json::from_str(&lab.provision(["keys", "who", token, "--json"]).ok().out).unwrap();
        assert_eq!(json["token"]["entry"], "qa/backstage", "{json}");
        assert_eq!(json["files"][0]["file"], QA);
        assert_eq!(json["files"][0]["readers"][0]["name"], "ana");
        assert_eq!(json["files"][0]["former"][0]["name"], "ben", "{json}");
    }
    lab.provision(["keys", "who", "backstage"]).refused(2, "stands for several tokens");
    lab.provision(["keys", "who", "nothing"]).refused(2, "neither a secrets file nor a token");
}

#[test]
fn a_shallow_clone_gives_no_answer_and_nothing_is_changed() {
    let ben = Person::new("ben");
    let lab = furnished(Lab::today(), &ben);
    let team = Team::of(&lab);
    let url = format!("file://{}", team.remote().display());
    lab.git(["clone", "-q", "--depth", "1", &url, "../shallow"]);
    for args in [&["keys", "who", QA][..], &["keys", "remove", "ben", "--yes"]] {
        let mut command: Command = lab.command(args);
        let said = crate::support::lab::Said::of(
            &command.current_dir(lab.repo().join("../shallow")).output().unwrap(),
        );
        said.refused(5, "this clone does not have the whole history");
    }
}

#[test]
fn who_is_the_last_to_read_something_stays() {
    let ben = Person::new("ben");
    let lab = lab(&ben);
    let ana = Person::owner_of(&lab);
    lab.write(
        ".sops.yaml",
        &policy(&[&ana, &ben], &[("^secrets/more/", &["ben"]), ("^secrets/", &["ana", "ben"])]),
    );
    lab.commit_all("ben alone");
    lab.provision(["keys", "remove", "ben", "--yes"]).refused(5, "nobody else is named here");
    assert_eq!(lab.git(["status", "--porcelain"]), "");
}

#[test]
fn a_request_puts_the_newcomer_into_the_policy_and_touches_no_secret() {
    let (ben, eva) = (Person::new("ben"), Person::new("eva"));
    let lab = furnished(Lab::today(), &ben);
    let team = Team::of(&lab);
    let said =
        eva.provision(&lab, &["keys", "request", "--env", "qa", "--name", "eva", "--mr", "--yes"]).ok();
    assert!(said.out.contains("pushed to provision/access-eva at origin"), "{}", said.out);
    assert_eq!(team.git(["diff", "--name-only", "main", "provision/access-eva"]), ".sops.yaml");
    let options = team.options().join("\n");
    assert!([QA, &eva.recipient, "eva"].iter().all(|what| options.contains(what)), "{options}");
    assert!(!options.contains(DEV), "{options}");
    // What the merge request's pipeline says, then what CI does after the merge.
    lab.git(["fetch", "-q"]);
    lab.git(["merge", "-q", "origin/provision/access-eva"]);
    lab.provision(["check", "--allow-missing-readers"]).ok();
    assert_eq!(lab.provision(["rekey", "--check"]).status, 3);
    lab.provision(["rekey", "--yes"]).ok();
    assert!(eva.reads(&lab, QA).is_some() && eva.reads(&lab, DEV).is_none());
    lab.provision(["check"]).ok();
}

#[test]
fn a_name_that_is_no_file_name_becomes_a_branch_and_touches_no_folder_of_the_users() {
    for (name, branch) in
        [("x/../../../apps", "keys-x-apps-"), ("Bob M\u{fc}ller / ops", "keys-Bob-M-ller-ops-")]
    {
        let ben = Person::new("ben");
        let lab = furnished(Lab::today(), &ben);
        let text = lab.read(".sops.yaml");
        let (_, rules) = text.split_once("creation_rules:").unwrap();
        let rules = rules
            .replace("*ana", &format!("{} # ana", lab.recipient))
            .replace("*ben", &format!("{} # {name}", ben.recipient));
        lab.write(".sops.yaml", &format!("creation_rules:{rules}"));
        lab.commit_all("names");
        let team = Team::of(&lab);
        lab.write("apps/mine", "mine\n");
        let said = lab.provision(["keys", "remove", name, "--yes", "--mr"]);
        assert_eq!(said.status, 3, "{}{}", said.out, said.err);
        assert_eq!(lab.read("apps/mine"), "mine\n");
        let again = shlex::try_quote(name).unwrap();
        assert!(said.err.contains(&format!("provision keys remove {again} --rotate-tokens")), "{}", said.err);
        let branches = team.git(["branch", "--list", "provision/*", "--format=%(refname:short)"]);
        assert!(branches.starts_with(&format!("provision/{branch}")), "{branches}");
        let left = std::fs::read_dir(lab.repo().join(".git/provision")).unwrap();
        let left = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert_eq!(left.filter(|name| name.starts_with("provision-")).count(), 0);
    }
}

#[test]
fn what_waits_for_its_review_is_not_called_done_and_no_tokens_are_spoken_of() {
    let (lab, eva) = (Lab::today(), Person::new("eva"));
    let team = Team::of(&lab);
    let add = |way| lab.provision(["keys", "add", "eva", &eva.recipient, "--yes", way]);
    add("--mr").ok();
    let said = add("--mr").ok();
    assert!(said.err.contains("provision/keys-eva at origin, which is not merged into main yet"), "{said:?}");
    let said = add("--push").refused(5, "provision/keys-eva of origin has changes that are not in main yet");
    assert!(said.err.contains("git push origin --delete provision/keys-eva"), "{said:?}");
    assert!(!said.err.contains("tokens"), "{said:?}");
    assert!(!team.show("main", ".sops.yaml").contains(&eva.recipient));
    let said = lab.provision(["keys", "remove", "eva", "--yes", "--push"]);
    assert!(said.status == 5 && !said.err.contains("tokens"), "{said:?}");
}
