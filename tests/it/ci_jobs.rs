//! The jobs that `init --ci` writes: what GitLab takes, and what they do against a GitLab and a bare remote.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::process::Command;

use crate::support::lab::{Lab, Said};
use crate::support::people::{Person, policy};
use crate::support::team::Team;

const JOBS: &str = ".gitlab/ci/provision.gitlab-ci.yml";
const QA: &str = "secrets/qa.sops.yaml";

type Yaml = serde_yaml::Value;

/// Keywords of jobs and rules, by docs.gitlab.com/ci/yaml, as far as the jobs may need them.
const OF_JOBS: [&str; 11] = [
    "extends",
    "image",
    "variables",
    "stage",
    "rules",
    "script",
    "before_script",
    "artifacts",
    "allow_failure",
    "resource_group",
    "needs",
];
const OF_RULES: [&str; 5] = ["if", "changes", "exists", "when", "allow_failure"];

fn jobs(lab: &Lab) -> BTreeMap<String, Yaml> {
    let pipeline: Yaml = serde_yaml::from_str(&lab.read(".gitlab-ci.yml")).unwrap();
    assert_eq!(pipeline["include"][0]["local"].as_str(), Some(JOBS));
    serde_yaml::from_str(&lab.read(JOBS)).unwrap()
}

fn lines(value: &Yaml) -> Vec<String> {
    let list = value.as_sequence().into_iter().flatten();
    list.map(|line| line.as_str().unwrap().to_owned()).collect()
}

/// A job's lines as GitLab would run them: those of what it extends first.
fn script(jobs: &BTreeMap<String, Yaml>, name: &str) -> String {
    let job = &jobs[name];
    let above = job["extends"].as_str().map(|parent| &jobs[parent]);
    let before = above.map(|parent| lines(&parent["before_script"])).unwrap_or_default();
    before.into_iter().chain(lines(&job["script"])).map(|line| format!("{line}\n")).collect()
}

#[test]
fn every_job_is_made_of_what_gitlab_knows() {
    let lab = Lab::new();
    lab.provision(["init", "--ci", "--yes"]).ok();
    let jobs = jobs(&lab);
    let names: Vec<&str> = jobs.keys().map(String::as_str).filter(|name| !name.starts_with('.')).collect();
    let wanted =
        ["check", "rekey", "rekey-check", "rotate", "status"].map(|name| format!("provision-{name}"));
    assert_eq!(names, wanted);
    for (name, job) in &jobs {
        for key in job.as_mapping().unwrap().keys() {
            assert!(OF_JOBS.contains(&key.as_str().unwrap()), "{name}: {key:?}");
        }
        if let Some(parent) = job["extends"].as_str() {
            assert!(jobs.contains_key(parent), "{name} extends {parent}");
        }
        if name.starts_with('.') {
            continue;
        }
        assert!(["build", "test", "deploy"].contains(&job["stage"].as_str().unwrap()), "{name}");
        assert!(!lines(&job["script"]).is_empty(), "{name}");
        let rules = job["rules"].as_sequence().unwrap();
        for key in rules.iter().flat_map(|rule| rule.as_mapping().unwrap().keys()) {
            assert!(OF_RULES.contains(&key.as_str().unwrap()), "{name}: {key:?}");
        }
    }
}

struct Ci {
    lab: Lab,
    team: Team,
    jobs: BTreeMap<String, Yaml>,
    runs: Cell<u32>,
}

impl Ci {
    /// A job in a clone of its own, as a runner makes one; with protected variables only where GitLab gives them.
    fn run(&self, job: &str, on_default_branch: bool) -> Said {
        self.runs.set(self.runs.get() + 1);
        let clone = self.team.another_clone(&format!("job-{}", self.runs.get()));
        let program = env!("CARGO_BIN_EXE_provision");
        let script = format!("provision() {{ '{program}' \"$@\"; }}\nset -e\n{}", script(&self.jobs, job));
        let mut command = Command::new("sh");
        let remote = self.team.remote();
        let project = remote.to_str().unwrap().strip_suffix(".git").unwrap();
        command
            .args(["-c", &script])
            .current_dir(clone.folder())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", clone.folder().parent().unwrap())
            .env("CI_SERVER_URL", self.lab.gitlab.url())
            .env("CI_SERVER_HOST", "127.0.0.1")
            .env("CI_PROJECT_URL", project);
        if on_default_branch {
            command
                .env("CI_COMMIT_REF_PROTECTED", "true")
                .env("SOPS_AGE_KEY", self.lab.identity())
                .env("PROVISION_PUSH_TOKEN", "of no use to a folder")
                .env("GITLAB_TOKEN", self.lab.gitlab.operator_token().expose());
        }
        crate::support::lab::said(&mut command)
    }
}

fn ci() -> Ci {
    let lab = Lab::today();
    let (ana, ben) = (Person::owner_of(&lab), Person::new("ben"));
    lab.write(".sops.yaml", &policy(&[&ana, &ben], &[("^secrets/", &["ana", "ben"])]));
    lab.provision(["init", "--ci", "--yes"]).ok();
    lab.commit_all("jobs");
    lab.provision(["--env", "qa,dev", "--yes"]).ok();
    let jobs = jobs(&lab);
    let team = Team::of(&lab);
    Ci { lab, team, jobs, runs: Cell::default() }
}

#[test]
fn the_jobs_without_a_key_find_what_they_are_for_and_those_with_one_mend_it() {
    let ci = ci();
    ci.run("provision-check", false).ok();
    ci.run("provision-rekey-check", false).ok();
    ci.run("provision-status", false).ok();
    assert_ne!(ci.run("provision-rekey", false).status, 0, "a key is not for a branch that is not protected");
    // A policy that was merged.
    let (ana, eva) = (Person::owner_of(&ci.lab), Person::new("eva"));
    ci.lab.write(".sops.yaml", &policy(&[&ana, &eva], &[("^secrets/", &["ana", "eva"])]));
    ci.lab.commit_all("eva for ben");
    ci.lab.git(["push", "-q"]);
    assert_eq!(ci.run("provision-rekey-check", false).status, 3);
    ci.run("provision-rekey", true).ok();
    ci.lab.git(["pull", "-q"]);
    assert!(eva.reads(&ci.lab, QA).is_some());
    ci.run("provision-rekey-check", false).ok();
}

#[test]
fn the_nightly_job_opens_a_request_for_what_is_due_and_does_not_do_so_twice() {
    let ci = ci();
    let said = ci.run("provision-rotate", true).ok();
    assert_eq!(ci.team.git(["branch", "--list", "provision/*"]), "", "{}", said.out);
    ci.lab.gitlab.advance(jiff::SignedDuration::from_hours(24 * 350));
    let minted = ci.lab.minted().len();
    let said = ci.run("provision-rotate", true);
    assert!([0, 3].contains(&said.status), "{}{}", said.out, said.err);
    let branches = ci.team.git(["branch", "--list", "provision/*", "--format=%(refname:short)"]);
    assert_eq!(branches, "provision/dev\nprovision/qa", "{}{}", said.out, said.err);
    assert_eq!(ci.lab.minted().len(), minted + 2);
    let said = ci.run("provision-rotate", true);
    assert!([0, 3].contains(&said.status), "{}{}", said.out, said.err);
    assert_eq!(ci.lab.minted().len(), minted + 2, "{}{}", said.out, said.err);
}

#[test]
fn an_environment_that_git_does_not_keep_is_left_out_of_all() {
    let ci = ci();
    let keep_out = |name: &str| {
        let path = format!("environments/{name}.yaml");
        let profile = ci.lab.read(&path);
        let kept = "template: backstage.yaml\n  commit: false";
        ci.lab.write(&path, &profile.replace("template: backstage.yaml", kept));
        let ignored = std::fs::read_to_string(ci.lab.repo().join(".gitignore")).unwrap_or_default();
        ci.lab.write(".gitignore", &format!("{ignored}/secrets/{name}.sops.yaml\n"));
        ci.lab.git(["rm", "-q", "--cached", &format!("secrets/{name}.sops.yaml")]);
        ci.lab.commit_all("kept out of git");
        ci.lab.git(["push", "-q"]);
    };
    let rotate = ["rotate", "--all", "--due", "--yes", "--push"];
    let minted = ci.lab.minted().len();
    for name in ["qa", "dev"] {
        keep_out(name);
        let left_out = format!("{name} is left out: git does not keep secrets/{name}.sops.yaml");
        for said in [ci.run("provision-rotate", true).ok(), ci.lab.provision(rotate).ok()] {
            assert!(said.err.contains(&left_out), "{}", said.err);
        }
    }
    assert_eq!(ci.lab.minted().len(), minted);
    ci.lab.provision(["--env", "qa", "--push", "--yes"]).refused(2, "kept out of git");

    let at_once = ["rotate", "--env", "qa", "--overlap", "0s", "--yes"];
    let said = ci.lab.provision(at_once).refused(2, "--force as well");
    assert!(!said.err.contains("--push"), "{}", said.err);
    ci.lab.provision([&at_once[..], &["--force"]].concat()).ok();
}

#[test]
fn a_run_that_revokes_at_once_is_told_to_push_only_where_it_can() {
    let lab = Lab::today();
    lab.provision(["--env", "qa", "--yes"]).ok();
    let at_once = |with: &str| {
        let args = ["rotate", "--env", "qa", "--overlap", "0s", "--yes"];
        lab.provision(args.into_iter().chain(Some(with).filter(|with| !with.is_empty()))).refused(2, "0s").err
    };
    assert!(at_once("").contains("--push as well"));
    assert!(at_once("--mr").contains("--push instead of --mr"));
}
