//! Tokens of a group that the operator's credential is no longer shown.

use jiff::SignedDuration;

use crate::support::lab::Lab;

const LOCK: &str = "environments/locks/qa.yaml";

fn between(text: &str, from: &str, to: &str) -> String {
    text.split_once(from).unwrap().1.split_once(to).unwrap().0.to_owned()
}

#[test]
fn a_token_of_a_group_that_is_gone_gets_its_successor_in_the_group_that_the_profile_names_now() {
    let lab = Lab::today();
    lab.provision(["--env", "qa", "--yes"]).ok();
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
