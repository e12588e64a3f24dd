//! The main job, as a maintainer runs it: the built program, real git, the stock sops, and the embedded GitLab.

use crate::support::lab::Lab;

/// Asks GitLab with the value itself.
fn works(lab: &Lab, value: &str) -> bool {
    let url = format!("{}/api/v4/personal_access_tokens/self", lab.gitlab.url());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.get(url).header("PRIVATE-TOKEN", value).send().await.unwrap().status().is_success()
    })
}

#[test]
fn qa_is_minted_encrypted_and_committed_and_a_second_run_changes_nothing() {
    let lab = Lab::new();
    lab.provision(["--env", "qa", "--yes"]).ok();

    assert_eq!(lab.git(["rev-list", "--count", "HEAD"]), "2");
    assert_eq!(
        lab.git(["log", "-1", "--format=", "--name-status"]),
        "A\tenvironments/locks/qa.yaml\nA\tsecrets/qa.sops.yaml"
    );
    let minted = lab.minted();
    assert_eq!(minted.len(), 1);
    assert_eq!(
        lab.git(["log", "-1", "--format=%s"]),
        format!(
            "provision(qa): mint Backstage (qa.alithya-mws.com) as group token {}, expires 2027-11-21",
            minted[0]["id"]
        )
    );
    assert_eq!(
        lab.git(["log", "-1", "--format=%(trailers:only)"]),
        format!("Provision-Environment: qa\nProvision-Token: backstage {}", minted[0]["id"])
    );
    let value = lab.value("secrets/qa.sops.yaml", "GITLAB_TOKEN");
    assert!(value.starts_with("glpat-"), "{value}");
    assert!(works(&lab, &value));
    assert_eq!(lab.git(["fsck", "--strict"]), "");
    assert_eq!(lab.git(["status", "--porcelain"]), "");

    let head = lab.head();
    let before = lab.requests().len();
    let again = lab.provision(["--env", "qa", "--yes"]).ok();
    assert!(again.out.contains("qa: backstage is healthy"), "{}", again.out);
    assert_eq!(lab.head(), head);
    assert!(lab.requests().len() - before <= 2, "{:?}", &lab.requests()[before..]);
    lab.gitlab.advance(jiff::SignedDuration::from_hours(240));
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert_eq!(lab.head(), head);
    assert_eq!(lab.minted().len(), 1);
}

#[test]
fn the_three_shipped_environments_each_get_a_commit() {
    let lab = Lab::new();
    lab.provision_as_admin(["--env", "devmode", "--yes"]).ok();
    lab.provision(["--env", "dev,qa", "--yes"]).ok();
    assert_eq!(lab.git(["rev-list", "--count", "HEAD"]), "4");
    for file in ["secrets/devmode/root.sops.yaml", "secrets/dev.sops.yaml", "secrets/qa.sops.yaml"] {
        assert!(works(&lab, &lab.value(file, "GITLAB_TOKEN")), "{file}");
    }
    lab.provision(["status", "--json"]).ok();
    lab.provision(["--env", "dev,qa", "--yes"]).ok();
    assert_eq!(lab.git(["rev-list", "--count", "HEAD"]), "4");
}
