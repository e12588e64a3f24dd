//! Tokens that were made by hand and taken over, and whose entry or environment has another name since.

use jiff::SignedDuration;

use crate::adopt::by_hand;
use crate::support::lab::Lab;
use crate::support::team::Team;

const SECRETS: &str = "secrets/qa.sops.yaml";

/// An environment `qa` with one token that somebody has made by hand.
fn taken_over() -> Lab {
    let lab = Lab::bare(None);
    lab.write(".sops.yaml", &format!("creation_rules:\n  - age: {}\n", lab.recipient));
    lab.write(SECRETS, &format!("GITLAB_TOKEN: {}\n", by_hand(&lab, "Deploy", 300)));
    lab.sops(["encrypt", "--in-place", SECRETS]).ok();
    lab.commit_all("by hand");
    lab.provision(["adopt", "--yes"]).ok();
    lab
}

/// The same whose entry is called otherwise now.
fn renamed() -> Lab {
    let lab = taken_over();
    let rename = "  deploy:\n    moved_from: gitlab_token\n";
    let profile = lab.read("environments/qa.yaml");
    assert!(profile.contains("  gitlab_token:\n"), "{profile}");
    lab.write("environments/qa.yaml", &profile.replace("  gitlab_token:\n", rename));
    let template = lab.read("templates/qa.yaml");
    lab.write("templates/qa.yaml", &template.replace("gitlab_token", "deploy"));
    lab.commit_all("rename");
    lab
}

fn lives(lab: &Lab) -> bool {
    let state = lab.gitlab.state();
    let mut tokens = state["tokens"].as_array().unwrap().iter();
    tokens.any(|token| {
        token["name"] == "Deploy"
            && token["active"] == true
            && !token["description"].as_str().is_some_and(|text| text.starts_with("provision "))
    })
}

#[test]
fn a_token_made_by_hand_is_retired_under_its_new_key() {
    let rotates: [&[&str]; 2] = [&["rotate", "--env", "qa", "--yes"], &["revoke", "--env", "qa", "--yes"]];
    for args in rotates {
        let lab = renamed();
        lab.provision(args).ok();
        if lives(&lab) {
            // Commits have this machine's time.
            lab.gitlab.advance(SignedDuration::from_hours(24 * 100));
            lab.provision(["--env", "qa", "--yes"]).ok();
        }
        assert!(!lives(&lab), "{args:?}");
    }
    let lab = renamed();
    lab.provision(["rotate", "--env", "qa", "--overlap", "0s", "--force", "--yes"]).ok();
    assert!(!lives(&lab));
}

#[test]
fn an_environment_that_was_renamed_and_is_not_pushed_is_named_with_the_push() {
    let lab = taken_over();
    let _team = Team::of(&lab);
    lab.git(["mv", "environments/qa.yaml", "environments/st.yaml"]);
    lab.git(["mv", "environments/locks/qa.yaml", "environments/locks/st.yaml"]);
    lab.commit_all("rename");
    let revoke = ["revoke", "--env", "st", "--yes"];
    let said = lab.provision(revoke).refused(5, "environments/locks/qa.yaml upstream names it");
    assert!(said.err.contains("git push"), "{}", said.err);
    assert!(!said.err.contains("take gitlab_token out of the lock"), "{}", said.err);
    lab.git(["push", "-q"]);
    lab.provision(revoke).ok();
    assert!(!lives(&lab));
}
