//! The jobs for GitLab CI.

use crate::error::Result;
use crate::repo::{RelPath, Repository};
use crate::ui::Ui;

/// Where the jobs are.
const JOBS: &str = ".gitlab/ci/provision.gitlab-ci.yml";

/// What GitLab reads.
const PIPELINE: &str = ".gitlab-ci.yml";

/// The jobs, and a pipeline that has them where there is none yet.
pub(super) fn files() -> Vec<(String, String)> {
    vec![
        (JOBS.to_owned(), include_str!("provision.gitlab-ci.yml").to_owned()),
        (PIPELINE.to_owned(), format!("include:\n  - local: {JOBS}\n")),
    ]
}

/// What is left to do by hand.
///
/// # Errors
/// When the pipeline cannot be read.
pub(super) fn next(repo: &Repository, ui: Ui) -> Result<()> {
    let pipeline = repo.work_tree_content(&RelPath::new(PIPELINE)?)?.unwrap_or_default();
    ui.say("");
    ui.say("next:");
    if !String::from_utf8_lossy(&pipeline).contains(JOBS) {
        ui.say(&format!("  add to the list `include` of {PIPELINE}:  - local: {JOBS}"));
    }
    ui.say("  make an age key for CI alone, and let it read: provision keys add ci age1…");
    ui.say("  set PROVISION_IMAGE, SOPS_AGE_KEY and PROVISION_PUSH_TOKEN in the project's CI/CD variables;");
    ui.say("  the last two protected and masked, and the default branch protected");
    ui.say("  to renew tokens: a pipeline schedule for every night, and GITLAB_TOKEN, protected and masked (docs/ci.md)");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_job_with_a_key_runs_in_a_merge_request_or_beside_another() {
        let files = files();
        let jobs: serde_yaml::Value = serde_yaml::from_str(&files[0].1).unwrap();
        let with_key = &jobs[".provision-with-key"];
        assert_eq!(with_key["resource_group"].as_str(), Some("provision"));
        let mut seen = 0;
        for (name, job) in jobs.as_mapping().unwrap() {
            let rules = serde_yaml::to_string(&job["rules"]).unwrap();
            let is_with_key = job["extends"].as_str() == Some(".provision-with-key");
            assert!(!(is_with_key && rules.contains("merge_request")), "{name:?}");
            if is_with_key {
                assert!(rules.contains("$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"), "{name:?}");
                seen += 1;
            }
        }
        assert_eq!(seen, 2);
        assert!(files[1].1.contains(&files[0].0));
    }

    #[test]
    fn the_jobs_call_commands_that_exist() {
        use clap::Parser as _;
        let jobs: serde_yaml::Value = serde_yaml::from_str(&files()[0].1).unwrap();
        let scripts = jobs.as_mapping().unwrap().values().filter_map(|job| job["script"].as_sequence());
        let lines: Vec<&str> = scripts.flatten().filter_map(|line| line.as_str()).collect();
        assert_eq!(lines.len(), 5);
        for line in lines {
            let parsed = crate::cli::Cli::try_parse_from(line.split_whitespace());
            assert!(parsed.is_ok(), "{line}: {parsed:?}");
        }
    }
}
