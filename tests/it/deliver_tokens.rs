//! `--push` and `--mr` of the built program, for runs that mint.

use crate::support::lab::{Lab, Said};
use crate::support::team::Team;

const SECRETS: &str = "secrets/qa.sops.yaml";
const LOCK: &str = "environments/locks/qa.yaml";

fn lab_and_team() -> (Lab, Team) {
    let lab = Lab::new();
    let team = Team::of(&lab);
    (lab, team)
}

#[track_caller]
fn live(lab: &Lab) -> Vec<u64> {
    let minted = lab.minted();
    let live = minted.iter().filter(|token| token["active"] == true);
    live.map(|token| token["id"].as_u64().unwrap()).collect()
}

#[test]
fn a_push_brings_token_file_and_lock_to_the_remote_and_the_clone_follows() {
    let (lab, team) = lab_and_team();
    let said = lab.provision(["--env", "qa", "--push", "--yes"]).ok();
    assert!(said.out.contains("qa: pushed to main at origin"), "{}", said.out);
    assert_eq!(lab.head(), team.git(["rev-parse", "main"]));
    assert!(team.show("main", LOCK).contains(&format!("id: {}", live(&lab)[0])));
    assert!(lab.value(SECRETS, "GITLAB_TOKEN").starts_with("glpat-"));
    assert_eq!(lab.git(["status", "--porcelain"]), "");
    assert!(!lab.repo().join(".git/provision/qa.journal").exists());
    let said = lab.provision(["--env", "qa", "--push", "--yes"]).ok();
    assert!(said.out.contains("backstage is healthy"), "{}", said.out);
    assert_eq!(live(&lab).len(), 1);
}

#[test]
fn a_merge_request_tells_the_reviewer_and_waits_without_a_second_mint() {
    let (lab, team) = lab_and_team();
    let before = (lab.head(), lab.git(["status", "--porcelain"]));
    lab.provision(["--env", "qa", "--mr", "--yes"]).ok();
    assert_eq!((lab.head(), lab.git(["status", "--porcelain"])), before);
    let options = team.options();
    assert!(options.contains(&"merge_request.title=provision(qa): mint backstage".to_owned()), "{options:?}");
    let description = options.iter().find(|option| option.starts_with("merge_request.description=")).unwrap();
    assert!(
        description.contains("role: developer<br>scopes: `read_api`, `read_repository`"),
        "{description}"
    );

    let said = lab.provision(["--env", "qa", "--mr", "--yes"]).ok();
    assert!(said.out.contains("backstage is healthy"), "{}", said.out);
    assert!(said.err.contains("provision/qa"), "{}", said.err);
    assert_eq!(live(&lab).len(), 1);
    lab.provision(["--env", "qa", "--push", "--yes"])
        .refused(5, "provision/qa of origin has changes that are not in main yet");

    team.merge("provision/qa");
    let said = lab.provision(["--env", "qa", "--mr", "--yes"]).ok();
    assert!(said.out.contains("backstage is healthy"), "{}", said.out);
    assert_eq!(live(&lab).len(), 1);
}

#[test]
fn two_clones_that_mint_the_same_end_with_one_token() {
    let (lab, team) = lab_and_team();
    let ben = team.another_clone("ben");
    let mut held = ben.hold_next_push(&lab);
    let late = ben.command(&lab, &["--env", "qa", "--push", "--yes"]).spawn().unwrap();
    held.wait();
    lab.provision(["--env", "qa", "--push", "--yes"]).ok();
    assert_eq!(live(&lab).len(), 2);
    held.let_go();
    let said = Said::of(&late.wait_with_output().unwrap()).ok();
    assert_eq!(live(&lab).len(), 1, "{}", said.err);
    assert_eq!(ben.git(&lab, &["rev-parse", "HEAD"]), team.git(["rev-parse", "main"]));
    assert_eq!(lab.head(), team.git(["rev-parse", "main"]));
}

#[test]
fn a_push_that_took_the_next_environment_along_is_done() {
    let (lab, team) = lab_and_team();
    lab.provision(["--env", "qa", "--yes"]).ok();
    let said = lab.provision(["--env", "dev,qa", "--push", "--yes"]).ok();
    assert_eq!(live(&lab).len(), 2, "{}", said.err);
    assert_eq!(lab.head(), team.git(["rev-parse", "main"]));
    assert!(team.show("main", LOCK).contains(&format!("id: {}", live(&lab)[0])));
}
