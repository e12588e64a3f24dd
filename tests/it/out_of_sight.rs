//! Tokens that the operator's credential is not shown: somebody else's, and those of a group that is gone.

use std::io::Write as _;
use std::process::Stdio;

use jiff::SignedDuration;

use crate::support::lab::{Lab, Said};

const SECRETS: &str = "secrets/qa.sops.yaml";
const LOCK: &str = "environments/locks/qa.yaml";

/// qa has its token, and a colleague has a personal one.
fn lab() -> Lab {
    let lab = Lab::today();
    lab.provision(["--env", "qa", "--yes"]).ok();
    let lock = lab.read(LOCK);
    let id = between(&lock, "    id: ", "\n");
    let owner = between(&lock, "    owner:", "    name:");
    let personal = lock
        .replace(&format!("id: {id}"), "id: 4999")
        .replace("kind: group", "kind: personal")
        .replace(&owner, "\n      id: 3\n      path: dev\n")
        .replace("    role: developer\n", "")
        .replace(SECRETS, "secrets/devmode/dev.sops.yaml");
    lab.write("environments/locks/devmode/dev.yaml", &personal);
    lab.commit_all("a colleague");
    lab
}

fn between(text: &str, from: &str, to: &str) -> String {
    text.split_once(from).unwrap().1.split_once(to).unwrap().0.to_owned()
}

fn piped(lab: &Lab, args: &[&str], input: &str) -> Said {
    let mut command = lab.command(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Said::of(&child.wait_with_output().unwrap())
}

#[test]
fn somebody_elses_personal_token_does_not_stop_the_end_of_one_that_leaked() {
    let lab = lab();
    let leaked = lab.value(SECRETS, "GITLAB_TOKEN");
    piped(&lab, &["rotate", "--leaked", "--yes"], &leaked).ok();
    assert_eq!(lab.minted()[0]["revoked"], true);
}

#[test]
fn status_tells_of_tokens_that_gitlab_does_not_show_what_their_lock_says() {
    let lab = lab();
    let said = lab.provision(["status", "--live"]);
    let row = |key: &str| said.out.lines().find(|line| line.starts_with(key)).unwrap().to_owned();
    assert!(row("devmode/dev").ends_with("unseen"), "{}", said.out);
    assert!(row("qa").ends_with("healthy"), "{}", said.out);
}

#[test]
fn a_token_of_a_group_that_is_gone_gets_its_successor_in_the_group_that_the_profile_names_now() {
    let lab = lab();
    let owner = between(&lab.read(LOCK), "    owner:", "    name:");
    lab.write(LOCK, &lab.read(LOCK).replace(&owner, "\n      id: 9999\n      path: alithya-csna/gone\n"));
    lab.commit_all("the group is gone");
    let said = lab.provision(["--env", "qa", "--yes"]).ok();
    assert!(said.err.contains("owner"), "{}", said.err);
    assert_eq!(lab.minted().len(), 2);
    lab.gitlab.advance(SignedDuration::from_hours(25));
    let said = lab.provision(["--env", "qa", "--yes"]).refused(3, "is shown no group alithya-csna/gone");
    assert!(said.err.contains("and ends by itself on 20"), "{}", said.err);
    assert!(lab.read(LOCK).contains("alithya-csna/gone"), "the note of a token that may live is lost");
    lab.provision(["revoke", "--env", "qa", "--yes"]).refused(3, "is not shown the tokens of its owner");
    assert_eq!(lab.minted()[1]["revoked"], true);
}
