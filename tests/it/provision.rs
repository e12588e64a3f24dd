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
fn the_commands_in_hints_are_for_a_shell_whatever_a_file_is_called() {
    let file = "secrets/it's qa.sops.yaml";
    let lab = Lab::new();
    let profile = lab.read("environments/qa.yaml").replace("secrets/qa.sops.yaml", &format!("\"{file}\""));
    lab.write("environments/qa.yaml", &profile);
    lab.commit_all("another name");
    let said = lab.provision(["--env", "qa", "--yes"]).ok();
    let read =
        said.err.lines().find_map(|line| line.trim().strip_prefix("read it: sops ")).unwrap().to_owned();
    let words = shlex::split(&read).unwrap();
    assert_eq!(lab.sops(&words).ok().out.len(), lab.gitlab.operator_token().expose().len());
    lab.write(file, "edited\n");
    let refused = lab.provision(["--env", "qa", "--yes"]).refused(5, "has changes that are not committed");
    let hint = refused.err.lines().find_map(|line| line.split_once("to the committed state: ")).unwrap().1;
    let mut restore = std::process::Command::new("sh");
    assert!(restore.args(["-c", hint]).current_dir(lab.repo()).status().unwrap().success(), "{hint}");
    lab.provision(["--env", "qa", "--yes"]).ok();
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
    let lab = Lab::today();
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

fn change(lab: &Lab, path: &str, from: &str, to: &str) {
    let text = lab.read(path);
    assert!(text.contains(from), "{path} has no {from}");
    lab.write(path, &text.replace(from, to));
    lab.commit_all("change");
}

#[test]
fn a_changed_profile_is_a_replacement_and_the_old_token_dies_a_day_after_its_successor_is_committed() {
    let lab = Lab::today();
    lab.provision(["--env", "qa", "--yes"]).ok();
    let old = lab.value("secrets/qa.sops.yaml", "GITLAB_TOKEN");
    change(&lab, "environments/qa.yaml", "role: developer", "role: reporter");

    let said = lab.provision(["--env", "qa", "--yes"]).ok();
    assert!(said.err.contains("because role changes from developer to reporter"), "{}", said.err);
    let new = lab.value("secrets/qa.sops.yaml", "GITLAB_TOKEN");
    assert_ne!(old, new);
    assert!(works(&lab, &old) && works(&lab, &new));

    let said = lab.provision(["--env", "qa", "--yes"]).ok();
    assert!(said.err.contains("lives until"), "{}", said.err);
    assert!(works(&lab, &old));

    lab.gitlab.advance(jiff::SignedDuration::from_hours(25));
    let said = lab.provision(["--env", "qa", "--yes"]).ok();
    assert!(said.out.contains("is revoked"), "{}", said.out);
    assert!(!works(&lab, &old) && works(&lab, &new));
    assert!(lab.git(["log", "-1", "--format=%s"]).starts_with("provision(qa): retire token"));
    let head = lab.head();
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert_eq!(lab.head(), head);
}

#[test]
fn a_remote_that_has_not_seen_the_successor_keeps_the_old_token_alive() {
    let lab = Lab::today();
    let remote = lab.everything().join("remote.git");
    lab.git(["init", "-q", "--bare", remote.to_str().unwrap()]);
    lab.git(["remote", "add", "origin", remote.to_str().unwrap()]);
    lab.provision(["--env", "qa", "--yes"]).ok();
    lab.git(["push", "-q", "-u", "origin", "main"]);
    let old = lab.value("secrets/qa.sops.yaml", "GITLAB_TOKEN");
    change(&lab, "environments/qa.yaml", "role: developer", "role: reporter");
    lab.provision(["--env", "qa", "--yes"]).ok();

    lab.gitlab.advance(jiff::SignedDuration::from_hours(200));
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert_eq!(lab.minted()[0]["active"], true);
    lab.git(["push", "-q"]);
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert_eq!(lab.minted()[0]["active"], false);
    assert!(!works(&lab, &old));
}

#[test]
fn an_expired_token_is_replaced_and_needs_no_retirement() {
    let lab = Lab::new();
    change(&lab, "environments/qa.yaml", "    name:", "    expires: 30d\n    name:");
    lab.provision(["--env", "qa", "--yes"]).ok();
    lab.gitlab.advance(jiff::SignedDuration::from_hours(24 * 15));
    lab.provision(["status", "--env", "qa", "--live"]).ok();
    lab.gitlab.advance(jiff::SignedDuration::from_hours(24 * 6));
    lab.provision(["status", "--env", "qa", "--live"]).refused(3, "");
    lab.gitlab.advance(jiff::SignedDuration::from_hours(24 * 20));
    let said = lab.provision(["--env", "qa", "--yes"]).ok();
    assert!(said.err.contains("because the current one expired on 2026-12-21"), "{}", said.err);
    assert!(!lab.read("environments/locks/qa.yaml").contains("superseded"));
}

const BY_HAND: &str = "\
# The team's own file.
database:
  password: \"s3cret\"   # rotated by hand

  port: 5432
# what Backstage reads
'flags': [a, b]
note_unencrypted: 'kept: as it is'
";

#[test]
fn a_file_of_stock_sops_changes_in_the_lines_of_its_slot_lastmodified_and_mac_only() {
    let lab = Lab::new();
    lab.write("plain.yaml", BY_HAND);
    lab.write(
        ".sops.yaml",
        &lab.read(".sops.yaml")
            .replace("creation_rules:", "stores: { yaml: { indent: 2 } }\ncreation_rules:"),
    );
    let sealed = lab.sops(["encrypt", "--filename-override", "secrets/qa.sops.yaml", "plain.yaml"]).ok().out;
    std::fs::remove_file(lab.repo().join("plain.yaml")).unwrap();
    lab.write("secrets/qa.sops.yaml", &sealed);
    lab.commit_all("by hand");
    lab.provision(["--env", "qa", "--yes"]).ok();
    let first = lab.git(["diff", "--numstat", "HEAD~1", "--", "secrets/qa.sops.yaml"]);
    // GITLAB_TOKEN is inserted, lastmodified and mac are replaced. GITLAB_HOST is no slot, and the file was there.
    assert_eq!(first, "3\t2\tsecrets/qa.sops.yaml");

    change(&lab, "environments/qa.yaml", "role: developer", "role: reporter");
    lab.gitlab.advance(jiff::SignedDuration::from_mins(1));
    lab.provision(["--env", "qa", "--yes"]).ok();
    let second = lab.git(["diff", "--numstat", "HEAD~1", "--", "secrets/qa.sops.yaml"]);
    assert_eq!(second, "3\t3\tsecrets/qa.sops.yaml");
    let clear = lab.sops(["decrypt", "secrets/qa.sops.yaml"]).ok().out;
    for kept in
        ["password: s3cret", "port: 5432", "The team's own file.", "note_unencrypted: 'kept: as it is'"]
    {
        assert!(clear.contains(kept), "{kept} is not in {clear}");
    }
}

#[test]
fn a_kubernetes_secret_has_its_data_encrypted_and_its_names_in_the_clear() {
    let lab = Lab::new();
    change(&lab, ".sops.yaml", "    age:", "    encrypted_regex: ^(data|stringData)$\n    age:");
    change(&lab, "environments/qa.yaml", "backstage.yaml", "kubernetes-secret.yaml");
    lab.provision(["--env", "qa", "--yes"]).ok();
    let file = lab.read("secrets/qa.sops.yaml");
    assert!(file.contains("kind: Secret") && !file.contains("gitlab_host"), "{file}");
    let value = lab
        .sops(["decrypt", "--extract", "[\"stringData\"][\"GITLAB_TOKEN\"]", "secrets/qa.sops.yaml"])
        .ok()
        .out;
    assert!(works(&lab, &value));
}

#[test]
fn two_environments_share_a_file_when_their_slots_are_disjoint() {
    let lab = Lab::new();
    for name in ["dev", "qa"] {
        lab.write(
            &format!("templates/{name}.yaml"),
            &format!("{name}:\n  TOKEN: \"{{{{ tokens.backstage }}}}\"\n"),
        );
        let profile = lab.read(&format!("environments/{name}.yaml"));
        let file = format!("file: secrets/{name}.sops.yaml");
        assert!(profile.contains(&file), "{profile}");
        let profile = profile
            .replace(&file, "file: secrets/shared.sops.yaml")
            .replace("backstage.yaml", &format!("{name}.yaml"));
        lab.write(&format!("environments/{name}.yaml"), &profile);
    }
    lab.commit_all("share");
    lab.provision(["--env", "dev,qa", "--yes"]).ok();
    let tokens = lab.sops(["decrypt", "--output-type", "json", "secrets/shared.sops.yaml"]).ok().out;
    let tokens: serde_json::Value = serde_json::from_str(&tokens).unwrap();
    assert!(works(&lab, tokens["dev"]["TOKEN"].as_str().unwrap()));
    assert!(works(&lab, tokens["qa"]["TOKEN"].as_str().unwrap()));
    let head = lab.head();
    lab.provision(["--all", "--dry-run"]);
    lab.provision(["--env", "dev,qa", "--yes"]).ok();
    assert_eq!(lab.head(), head);
}

#[test]
fn one_environment_writes_several_files() {
    let lab = Lab::new();
    let profile = lab.read("environments/qa.yaml");
    let (before, rest) = profile.split_once("secrets:").unwrap();
    let (_, after) = rest.split_once("tokens:").unwrap();
    let several = "secrets:\n  - { file: secrets/qa.sops.yaml, template: backstage.yaml }\n  - { file: secrets/k8s.sops.yaml, template: kubernetes-secret.yaml }\n";
    lab.write("environments/qa.yaml", &format!("{before}{several}tokens:{after}"));
    lab.commit_all("several");
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert_eq!(lab.minted().len(), 1);
    // The slot of one is lost and is rendered again from the other, without a new token.
    lab.sops(["unset", "secrets/qa.sops.yaml", "[\"GITLAB_TOKEN\"]"]).ok();
    lab.commit_all("unset");
    let said = lab.provision(["--env", "qa", "--yes"]).ok();
    assert!(said.err.contains("render"), "{}", said.err);
    assert_eq!(lab.minted().len(), 1);
    assert!(works(&lab, &lab.value("secrets/qa.sops.yaml", "GITLAB_TOKEN")));
}

#[test]
fn a_rotated_data_key_is_noticed_and_costs_no_token() {
    let lab = Lab::new();
    lab.provision(["--env", "qa", "--yes"]).ok();
    lab.sops(["rotate", "-i", "secrets/qa.sops.yaml"]).ok();
    lab.commit_all("rotate");
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert_eq!(lab.minted().len(), 1);
    let head = lab.head();
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert_eq!(lab.head(), head);
}

#[test]
fn without_a_commit_the_files_are_left_for_the_user() {
    let lab = Lab::new();
    let head = lab.head();
    lab.provision(["--env", "qa", "--yes", "--no-commit"]).ok();
    assert_eq!(lab.head(), head);
    assert_eq!(
        lab.git(["status", "--porcelain", "-uall"]),
        "?? environments/locks/qa.yaml\n?? secrets/qa.sops.yaml"
    );
    lab.commit_all("by hand");
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert_eq!(lab.minted().len(), 1);
}

#[test]
fn a_dry_run_changes_nothing_and_can_say_so_by_its_exit_code() {
    let lab = Lab::new();
    let head = lab.head();
    let said = lab.provision(["--env", "qa", "--dry-run"]).ok();
    assert!(said.out.contains("mint"), "{}", said.out);
    lab.provision(["--env", "qa", "--dry-run", "--exit-code"]).refused(3, "");
    let json = lab.provision(["--env", "qa", "--dry-run", "--json"]).ok().out;
    let plan: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(plan["plans"][0]["steps"][0]["step"], "mint");
    assert_eq!(lab.head(), head);
    assert!(lab.minted().is_empty() && lab.git(["status", "--porcelain"]).is_empty());
}

#[test]
fn the_templates_other_leaves_are_written_again_on_request_only() {
    let lab = Lab::new();
    lab.provision(["--env", "qa", "--yes"]).ok();
    lab.sops(["set", "secrets/qa.sops.yaml", "[\"GITLAB_HOST\"]", "\"edited\""]).ok();
    lab.commit_all("edit");
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert_eq!(lab.value("secrets/qa.sops.yaml", "GITLAB_HOST"), "edited");
    lab.provision(["--env", "qa", "--yes", "--sync-template"]).ok();
    assert_ne!(lab.value("secrets/qa.sops.yaml", "GITLAB_HOST"), "edited");
    assert_eq!(lab.minted().len(), 1);
}

#[test]
fn a_value_that_somebody_else_put_into_the_slot_is_replaced_by_a_token_of_the_profile() {
    let lab = Lab::new();
    lab.provision(["--env", "qa", "--yes"]).ok();
    lab.sops(["set", "secrets/qa.sops.yaml", "[\"GITLAB_TOKEN\"]", "\"not-a-token\""]).ok();
    lab.commit_all("edit");
    let said = lab.provision(["--env", "qa", "--yes"]).ok();
    assert!(said.err.contains("its value is no longer in secrets/qa.sops.yaml"), "{}", said.err);
    assert!(works(&lab, &lab.value("secrets/qa.sops.yaml", "GITLAB_TOKEN")));
}

#[test]
fn what_else_is_staged_or_edited_stays_as_it_is() {
    let lab = Lab::new();
    lab.write("notes.md", "one\n");
    lab.commit_all("notes");
    lab.write("notes.md", "two\n");
    lab.git(["add", "notes.md"]);
    lab.write("notes.md", "three\n");
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert_eq!(lab.git(["status", "--porcelain"]), "MM notes.md");
    assert_eq!(lab.git(["show", ":notes.md"]), "two");
}

#[test]
fn a_file_that_is_kept_out_of_git_is_written_and_its_lock_committed() {
    let lab = Lab::new();
    lab.write(".gitignore", "/secrets/qa.sops.yaml\n");
    change(
        &lab,
        "environments/qa.yaml",
        "template: backstage.yaml",
        "template: backstage.yaml\n  commit: false",
    );
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert_eq!(lab.git(["log", "-1", "--format=", "--name-only"]), "environments/locks/qa.yaml");
    assert!(works(&lab, &lab.value("secrets/qa.sops.yaml", "GITLAB_TOKEN")));
    let head = lab.head();
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert_eq!(lab.head(), head);
}

#[test]
fn the_demo_tells_its_story_and_needs_nothing_of_the_readers() {
    let lab = Lab::bare(None);
    let said = {
        let mut command = lab.command(["demo"]);
        command.env_remove("GITLAB_TOKEN").env_remove("GITLAB_HOST").env("HOME", "/nonexistent");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    for story in ["provision(qa): mint Backstage (qa.alithya-mws.com)", "ENC[AES256_GCM", "nothing happens"] {
        assert!(said.contains(story), "{story} is not in {said}");
    }
}

#[test]
fn a_dotenv_file_is_made_from_a_dotenv_template_and_no_other() {
    let lab = Lab::new();
    change(&lab, ".sops.yaml", "yaml$", "(yaml|env)$");
    change(&lab, "environments/qa.yaml", "secrets/qa.sops.yaml", "secrets/qa.sops.env");
    let mixed = "templates/backstage.yaml is YAML, and secrets/qa.sops.env is dotenv";
    lab.provision(["--env", "qa", "--yes"]).refused(2, mixed);
    assert_eq!(lab.minted().len(), 0);

    change(&lab, "environments/qa.yaml", "backstage.yaml", "backstage.env");
    lab.write(
        "templates/backstage.env",
        "# Backstage\nGITLAB_TOKEN={{ tokens.backstage }}\nNAME={{ environment }}\n",
    );
    lab.commit_all("dotenv");
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert!(works(&lab, &lab.value("secrets/qa.sops.env", "GITLAB_TOKEN")));
    assert_eq!(lab.value("secrets/qa.sops.env", "NAME"), "qa");
    let head = lab.head();
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert_eq!(lab.head(), head);
}
