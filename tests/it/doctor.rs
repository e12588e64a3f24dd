//! `provision doctor` and `provision trust`, as a person meets them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use provision::gitlab::emulator::{Config, Emulator};
use serde_json::Value;

use crate::support::form::{DEV, Form};
use crate::support::lab::{Lab, Said};
use crate::support::newcomer::{FILE, Newcomer};
use crate::support::program;

fn findings(said: &Said) -> Vec<Value> {
    let report: Value = serde_json::from_str(&said.out).unwrap();
    report["findings"].as_array().unwrap().clone()
}

/// What a check says, as `grade: text`.
fn of(said: &Said, check: &str) -> Vec<String> {
    let named = findings(said).into_iter().filter(|finding| finding["check"] == check);
    named
        .map(|finding| {
            format!("{}: {}", finding["grade"].as_str().unwrap(), finding["says"].as_str().unwrap())
        })
        .collect()
}

/// A key file for the owner alone, and a clock at GitLab that is this machine's.
fn tidy() -> Lab {
    let lab = Lab::today();
    let keys = lab.home().join(".config/sops/age/keys.txt");
    fs::set_permissions(keys, fs::Permissions::from_mode(0o600)).unwrap();
    lab
}

#[test]
fn a_tidy_desk_is_well_and_everything_that_was_looked_at_is_named() {
    let lab = tidy();
    let said = lab.provision(["doctor"]).ok();
    for text in [
        "git\n",
        "policy\n",
        "keys\n",
        "gitlab\n",
        "machine\n",
        "GITLAB_TOKEN, bound by GITLAB_HOST",
        "all is well",
    ] {
        assert!(said.out.contains(text), "{text}: {}", said.out);
    }
    assert!(!said.out.contains(lab.gitlab.operator_token().expose()));
    assert!(!said.out.contains(lab.identity()));
}

#[test]
fn it_works_outside_a_repository_without_keys_and_without_network() {
    let lab = Lab::bare(None);
    fs::remove_dir_all(lab.repo().join(".git")).unwrap();
    fs::remove_dir_all(lab.home().join(".config")).unwrap();
    let said = lab.provision(["doctor", "--json"]);
    assert_eq!(said.status, 3, "{}", said.err);
    assert!(of(&said, "repository")[0].starts_with("wrong: "));
    assert!(of(&said, "identities")[0].starts_with("warning: there is no age key"));

    let lab = tidy();
    fs::remove_dir_all(lab.home().join(".config")).unwrap();
    let mut command = lab.command(["doctor", "--json"]);
    lab.gitlab.add_fault("* * refuse".parse().unwrap());
    let said = Said::of(&command.output().unwrap());
    assert_eq!(said.status, 3);
    assert!(of(&said, "token")[0].starts_with("wrong: "), "{}", said.out);
    let offline = lab.provision(["doctor", "--json", "--offline"]);
    assert!(of(&offline, "token")[0].starts_with("skipped: "), "{}", offline.out);
}

#[test]
fn expired_revoked_and_too_weak_tokens_are_told_apart() {
    let lab = tidy();
    let as_token = |token: &str| {
        let said = Said::of(&lab.command(["doctor", "--json"]).env("GITLAB_TOKEN", token).output().unwrap());
        (said.status, of(&said, "token").join("\n"))
    };
    let (status, says) = as_token("glpat-nobody0123456789ab");
    assert_eq!(status, 3);
    assert!(says.starts_with("wrong"), "{says}");
    let reader = lab.gitlab.token("read_api");
    if let Some(reader) = reader {
        let (_, says) = as_token(reader.expose());
        assert!(says.contains("minting takes api"), "{says}");
    }
}

#[test]
fn what_needs_care_comes_with_the_command_that_mends_it() {
    let lab = tidy();
    let keys = lab.home().join(".config/sops/age/keys.txt");
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o644)).unwrap();
    lab.write("environments/qa.yaml", &(lab.read("environments/qa.yaml") + "# mine\n"));
    let said = lab.provision(["doctor"]);
    assert_eq!(said.status, 3);
    assert!(said.out.contains(&format!("-> chmod 600 {}", keys.display())), "{}", said.out);
    assert!(said.out.contains("environments/qa.yaml has changes that are not committed"));
    assert!(said.out.contains("2 things need care"), "{}", said.out);
}

#[test]
fn a_repository_uses_a_gitlab_that_nothing_binds_once_it_is_approved() {
    let lab = Lab::new();
    let unbound = |args: &[&str]| Said::of(&lab.command(args).env_remove("GITLAB_HOST").output().unwrap());
    unbound(&["--env", "qa", "--dry-run"]).refused(5, "provision trust");
    assert_eq!(lab.requests().len(), 0);
    unbound(&["trust"]).refused(2, "--yes");
    unbound(&["trust", "--yes"]).ok();
    let file = lab.home().join(".local/state/provision/approvals");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    unbound(&["--env", "qa", "--dry-run"]).ok();
    let said = unbound(&["doctor", "--json"]);
    assert!(of(&said, "credential")[0].contains("bound by provision trust"), "{}", said.out);
    assert_eq!(unbound(&["trust", "--list"]).ok().out, format!("{}\n", lab.gitlab.url()));
    unbound(&["trust", "--forget"]).ok();
    unbound(&["--env", "qa", "--dry-run"]).refused(5, "was not sent there");
}

#[test]
fn an_approval_is_of_one_clone_and_one_gitlab() {
    let lab = Lab::new();
    let other = Emulator::start(Config::default()).unwrap();
    let unbound = |args: &[&str]| Said::of(&lab.command(args).env_remove("GITLAB_HOST").output().unwrap());
    unbound(&["trust", "--yes"]).ok();
    // The profile moves to a host of somebody else's.
    let profile = lab.read("environments/qa.yaml").replace(lab.gitlab.url(), other.url());
    lab.write("environments/qa.yaml", &profile);
    lab.commit_all("elsewhere");
    unbound(&["--env", "qa", "--yes"]).refused(5, "was not sent there");
    assert_eq!(other.state()["requests"].as_array().unwrap().len(), 0);
    // Another repository takes the place of this one.
    lab.git(["remote", "add", "origin", "https://elsewhere.example/team.git"]);
    unbound(&["trust", "--list"]).ok();
    assert_eq!(unbound(&["trust", "--list"]).ok().out, "");
}

#[test]
fn approvals_that_others_may_write_are_refused() {
    let lab = Lab::new();
    lab.provision(["trust", "--yes"]).ok();
    let file = lab.home().join(".local/state/provision/approvals");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    lab.provision(["--env", "qa", "--dry-run"]).refused(5, "others may write");
}

/// A glab that keeps one token, for one host, and would give the variable's for any host as the real one does.
pub(crate) fn with_glab(lab: &Lab, host: &str, token: &str) -> String {
    let folder = lab.everything().join("glab");
    fs::create_dir(&folder).unwrap();
    let script = format!(
        "#!/bin/sh\n[ -n \"$GITLAB_TOKEN\" ] && {{ echo \"$GITLAB_TOKEN\"; exit; }}\n\
         [ \"$*\" = 'config get token --host {host}' ] && cat '{}/kept'\nexit 0\n",
        folder.display()
    );
    fs::write(folder.join("kept"), token).unwrap();
    program::script(&folder.join("glab"), &script);
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}

#[test]
fn the_token_that_glab_keeps_is_used_for_its_host_once_that_is_approved() {
    let lab = Lab::new();
    let host = lab.gitlab.url().trim_start_matches("http://").to_owned();
    let path = with_glab(&lab, &host, lab.gitlab.operator_token().expose());
    let run = |args: &[&str]| {
        let mut command = lab.command(args);
        command.env("PATH", &path).env_remove("GITLAB_TOKEN").env_remove("GITLAB_HOST");
        Said::of(&command.output().unwrap())
    };
    run(&["--env", "qa", "--yes"]).refused(5, "the token from glab");
    assert_eq!(lab.requests().len(), 0);
    run(&["trust", "--yes"]).ok();
    run(&["--env", "qa", "--yes"]).ok();
    assert_eq!(lab.minted().len(), 1);
    let said = run(&["doctor", "--json"]);
    assert!(
        of(&said, "credential")[0].contains("the token from glab, bound by provision trust"),
        "{}",
        said.out
    );
}

#[test]
fn glab_is_asked_for_the_wanted_host_alone_and_never_answers_with_a_variable() {
    let lab = Lab::new();
    let path = with_glab(&lab, "gitlab.example.com", "glpat-canary0123456789ab");
    let mut command = lab.command(["--env", "qa", "--yes"]);
    command.env("PATH", &path).env_remove("GITLAB_TOKEN").env("OAUTH_TOKEN", "glpat-other");
    Said::of(&command.output().unwrap()).refused(6, "no GitLab token was given");
    assert_eq!(lab.requests().len(), 0);
}

#[test]
fn without_a_token_it_asks_whether_gitlab_answers_and_only_where_that_is_settled() {
    let lab = tidy();
    let doctor = |variables: &[(&str, &str)], more: &[&str]| {
        let mut command = lab.command([&["doctor", "--json"], more].concat());
        command.env_remove("GITLAB_TOKEN").env_remove("GITLAB_HOST").envs(variables.iter().copied());
        Said::of(&command.output().unwrap())
    };
    let bound = [("GITLAB_HOST", lab.gitlab.url())];
    // A repository alone sends nothing to the GitLab that it names.
    assert!(of(&doctor(&[], &[]), "reached")[0].starts_with("skipped: "));
    assert!(of(&doctor(&bound, &["--offline"]), "reached")[0].starts_with("skipped: "));
    assert!(lab.requests().is_empty(), "{:?}", lab.requests());

    let said = doctor(&bound, &[]);
    assert_eq!(said.status, 3, "there is no token");
    assert_eq!(of(&said, "reached"), [format!("ok: {} answers", lab.gitlab.url())]);
    assert!(of(&said, "clock")[0].starts_with("ok: "), "{}", said.out);
    assert_eq!(lab.requests(), ["GET /metadata 401"]);
    lab.gitlab.advance(jiff::SignedDuration::from_hours(1));
    assert!(of(&doctor(&bound, &[]), "clock")[0].contains("behind that of"));
    lab.gitlab.add_fault("* * refuse".parse().unwrap());
    let said = doctor(&bound, &[]);
    assert!(of(&said, "reached")[0].starts_with("wrong: "), "{}", said.out);
}

/// A developer who is all set: key, own file, own token.
fn set_up(lab: &Lab) -> Newcomer<'_> {
    let newcomer = Newcomer::at(lab);
    let token = newcomer.home.join("token");
    fs::write(&token, Form::by_heart().submit(lab, DEV)).unwrap();
    newcomer.trusts(&["bootstrap", "--yes", "--token-file", token.to_str().unwrap()]).ok();
    fs::remove_file(token).unwrap();
    newcomer
}

#[test]
fn offline_a_developer_who_is_set_up_needs_no_care() {
    let lab = tidy();
    let newcomer = set_up(&lab);
    let said = newcomer.trusts(&["doctor", "--offline", "--json"]);
    assert_eq!(of(&said, "credential")[0].split(": ").next(), Some("ok"), "{said:?}");
    assert_eq!(said.status, 0, "{said:?}");
    assert!(!said.out.contains("no GitLab token was given"), "{said:?}");
}

#[test]
fn the_own_token_is_for_the_own_environment() {
    let lab = tidy();
    let newcomer = set_up(&lab);
    let said = newcomer.trusts(&["doctor", "--json"]).ok();
    let credential = of(&said, "credential").join("\n");
    assert!(
        credential.contains(&format!("the token from {FILE}, bound by GITLAB_HOST (for devmode)")),
        "{credential}"
    );
    assert!(
        credential.contains("note: ") && credential.contains("no token to act with for dev, qa"),
        "{credential}"
    );
    newcomer.trusts(&["--env", "dev", "--yes"]).refused(6, "no GitLab token was given");
}

#[test]
fn several_remotes_without_an_origin_are_told_apart_by_the_branch() {
    let lab = tidy();
    for name in ["one", "two"] {
        let remote = lab.everything().join(name);
        lab.git(["clone", "-q", "--bare", ".", remote.to_str().unwrap()]);
        lab.git(["remote", "add", name, remote.to_str().unwrap()]);
    }
    let mend = "git branch --set-upstream-to=REMOTE/BRANCH";
    let said = lab.provision(["doctor", "--offline"]);
    assert!(said.out.contains(mend) && !said.out.contains("set-head"), "{}", said.out);
    let said = lab.provision(["--env", "qa", "--push", "--yes"]).refused(2, "cannot tell where to push to");
    assert!(said.err.contains(mend), "{}", said.err);
    let said = lab.provision(["revoke", "--env", "qa", "--orphans", "--yes"]);
    assert!(said.status != 0 && said.err.contains(mend), "{said:?}");

    lab.git(["remote", "remove", "two"]);
    lab.git(["remote", "set-head", "one", "--delete"]);
    lab.git(["branch", "-q", "-m", "trunk"]);
    lab.git(["push", "-q", "one", "trunk"]);
    let said = lab.provision(["doctor", "--offline"]);
    assert!(said.out.contains("git remote set-head one --auto"), "{}", said.out);
}

#[test]
fn who_cannot_make_a_token_for_somebody_else_is_not_told_to() {
    let lab = tidy();
    lab.provision_as_admin(["--env", "devmode", "--yes"]).ok();
    let folder = lab.repo().join("environments/locks/devmode");
    let lock = fs::read_dir(folder).unwrap().next().unwrap().unwrap().file_name().into_string().unwrap();
    let user = lock.trim_end_matches(".yaml");
    let path = format!("environments/locks/devmode/{lock}");
    let mut ended = provision::lock::Lock::read(&path, &lab.read(&path)).unwrap();
    ended.tokens.get_mut("backstage").unwrap().expires = Some(jiff::civil::date(2026, 1, 1));
    lab.write(&path, &ended.write());
    lab.commit_all("its end");
    let said = lab.provision(["doctor", "--offline"]);
    assert!(said.out.contains(&format!("{user} makes another")), "{}", said.out);
    assert!(said.out.contains("git rm secrets/devmode/"), "{}", said.out);
}

#[test]
fn keys_are_counted_in_english() {
    let lab = tidy();
    let keys = lab.home().join(".config/sops/age/keys.txt");
    let (other, _) = provision::sops::generate_identity();
    fs::write(&keys, format!("{}\n{}\n", lab.identity(), other.expose())).unwrap();
    assert!(lab.provision(["doctor", "--offline"]).out.contains("2 identities from"));
}
