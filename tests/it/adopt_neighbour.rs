//! Two repositories that care for tokens of one group: neither takes over what the other one minted, and neither ends it.

use std::fs;
use std::path::PathBuf;

use jiff::SignedDuration;

use crate::support::lab::{Lab, Said};

const SECRETS: &str = "secrets/qa.sops.yaml";

/// A second repository beside the lab's, for the same GitLab and the same person.
struct Neighbour<'l> {
    lab: &'l Lab,
    root: PathBuf,
}

impl<'l> Neighbour<'l> {
    fn of(lab: &'l Lab) -> Self {
        let root = lab.everything().join("neighbour");
        fs::create_dir(&root).unwrap();
        let neighbour = Self { lab, root };
        neighbour.git(&["init", "-q"]);
        neighbour.write(".sops.yaml", &format!("creation_rules:\n  - age: {}\n", lab.recipient));
        neighbour.commit("policy");
        neighbour
    }

    fn git(&self, args: &[&str]) -> String {
        let root = self.root.to_str().unwrap();
        self.lab.git(["-C", root].iter().chain(args))
    }

    fn provision(&self, args: &[&str]) -> Said {
        let root = self.root.to_str().unwrap();
        self.lab.provision(["-C", root].iter().chain(args))
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes a secrets file as stock sops encrypts it.
    fn encrypt(&self, path: &str, text: &str) {
        self.write(path, text);
        let [policy, file] = [".sops.yaml", path].map(|path| self.root.join(path));
        let args = ["--config", policy.to_str().unwrap(), "encrypt", "--in-place", file.to_str().unwrap()];
        self.lab.sops(args).ok();
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
    }

    fn has(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }
}

/// Of the tokens of this name that the neighbour has minted, the last one alone lives: it does revoke what is its own.
#[track_caller]
fn its_own_are_retired(lab: &Lab, name: &str) {
    let minted = lab.minted();
    let active: Vec<bool> =
        minted.iter().filter(|token| token["name"] == name).map(|token| token["active"] == true).collect();
    assert_eq!(active, [false, true], "{minted:?}");
}

/// What the lab's repository has minted lives, and is what its lock says.
#[track_caller]
fn all_live(lab: &Lab) {
    for token in lab.minted().iter().filter(|token| token["name"].as_str().unwrap().starts_with("Backstage"))
    {
        assert_eq!(token["active"], true, "{token}");
    }
    lab.provision(["status", "--live", "--env", "qa"]).ok();
}

#[test]
fn what_another_repository_minted_is_not_taken_over_from_a_list() {
    let lab = Lab::today();
    lab.provision(["--env", "qa,dev", "--yes"]).ok();
    let by_hand = serde_json::json!({
        "name": "Made by hand", "access_level": 30, "expires_at": lab.in_days(300), "scopes": ["read_api"],
    });
    lab.api("POST", "/groups/alithya-csna/access_tokens", &by_hand);
    let neighbour = Neighbour::of(&lab);
    let adopt = ["adopt", "--yes", "--gitlab", lab.gitlab.url(), "--from-group", "alithya-csna"];
    let said = neighbour.provision(&adopt);
    assert_eq!(said.status, 3, "{said:?}");
    assert!(
        said.err.contains(
            "left: alithya-csna: 2 tokens were minted by provision elsewhere: \
             \"Backstage (dev.alithya-mws.com)\", \"Backstage (qa.alithya-mws.com)\""
        ),
        "{said:?}"
    );
    assert!(said.out.contains("made_by_hand is group token"), "{said:?}");
    let lock = fs::read_to_string(neighbour.root.join("environments/locks/alithya-csna.yaml")).unwrap();
    assert_eq!(lock.matches("mark:").count(), 0, "{lock}");
    assert_eq!(lock.matches("name: Backstage").count(), 0, "{lock}");
    for _ in 0..2 {
        neighbour.provision(&["rotate", "--env", "alithya-csna", "--yes"]);
    }
    lab.gitlab.advance(SignedDuration::from_hours(48));
    neighbour.provision(&["--all", "--yes"]);
    its_own_are_retired(&lab, "Made by hand");
    all_live(&lab);
}

#[test]
fn a_value_that_was_copied_from_another_repository_is_not_taken_over_with_its_file() {
    let lab = Lab::today();
    lab.provision(["--env", "qa", "--yes"]).ok();
    let neighbour = Neighbour::of(&lab);
    neighbour.encrypt("secrets/prod.yaml", &format!("TOKEN: {}\n", lab.value(SECRETS, "GITLAB_TOKEN")));
    neighbour.commit("copied");
    let said = neighbour.provision(&["adopt", "--yes", "--gitlab", lab.gitlab.url()]);
    assert_eq!(said.status, 3, "{said:?}");
    assert!(said.err.contains("left: secrets/prod.yaml [\"TOKEN\"]: token "), "{said:?}");
    assert!(said.err.contains("was minted by provision for qa/backstage, and is replaced and revoked there"));
    assert!(!neighbour.has("environments"));
    all_live(&lab);
}

#[test]
fn a_value_that_was_copied_into_a_slot_is_replaced_and_never_revoked() {
    let lab = Lab::today();
    lab.provision(["--env", "qa", "--yes"]).ok();
    let neighbour = Neighbour::of(&lab);
    let profile =
        lab.read("environments/qa.yaml").replace("Backstage (qa.alithya-mws.com)", "Of the neighbour");
    neighbour.write("environments/qa.yaml", &profile);
    neighbour.write("templates/backstage.yaml", &lab.read("templates/backstage.yaml"));
    neighbour.commit("profile");
    neighbour.provision(&["--env", "qa", "--yes"]).ok();
    let copied = format!("\"{}\"", lab.value(SECRETS, "GITLAB_TOKEN"));
    let file = neighbour.root.join(SECRETS);
    lab.sops(["set", file.to_str().unwrap(), "[\"GITLAB_TOKEN\"]", &copied]).ok();
    neighbour.commit("copied");
    let said = neighbour.provision(&["adopt", "--yes"]);
    assert_eq!(said.status, 3, "{said:?}");
    assert!(said.err.contains("was minted by provision for qa/backstage"), "{said:?}");
    neighbour.provision(&["--env", "qa", "--yes"]).ok();
    lab.gitlab.advance(SignedDuration::from_hours(48));
    neighbour.provision(&["--env", "qa", "--yes"]);
    its_own_are_retired(&lab, "Of the neighbour");
    all_live(&lab);
}
