//! Many tokens in one environment, against the embedded GitLab behind a slow line.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use provision::gitlab::emulator::{Config, Emulator, Running};
use provision::sops::generate_identity;

use crate::measure::missed;

const LATENCY: Duration = Duration::from_millis(50);

/// Requests that the client has under way at most.
const CONCURRENCY: f64 = provision::observe::live::CONCURRENCY as f64;

/// Provisions `count` tokens twice and prints requests and wall time of both runs.
pub(crate) fn report(count: usize) {
    let gitlab = Emulator::start(Config { latency: LATENCY, ..Config::default() }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let key = repository(folder.path(), gitlab.url(), count);
    let (first, took) = run(folder.path(), &gitlab, &key);
    let bound = 1.5 * first as f64 * LATENCY.as_secs_f64() / CONCURRENCY;
    let each = first as f64 / count as f64;
    println!(
        "{count} tokens, {} ms a request: {first} requests, {each:.2} a token (≤ 4){}; {:.2} s (≤ {bound:.2} s){}",
        LATENCY.as_millis(),
        missed(each > 4.0),
        took.as_secs_f64(),
        missed(took.as_secs_f64() > bound),
    );
    let (again, took) = run(folder.path(), &gitlab, &key);
    println!("  again, healthy: {again} requests (≤ 2){}; {:.2} s", missed(again > 2), took.as_secs_f64());
}

/// A repository with an environment of `count` tokens, committed; the age key.
fn repository(folder: &Path, url: &str, count: usize) -> String {
    let (identity, recipient) = generate_identity();
    let mut profile =
        format!("gitlab: {url}\nsecrets: {{ file: secrets/many.sops.yaml, template: many.yaml }}\ntokens:\n");
    let mut template = String::new();
    for n in 0..count {
        let _ = writeln!(
            profile,
            "  t{n}: {{ kind: group, group: alithya-csna, name: Token {n}, role: developer, scopes: [read_api] }}"
        );
        let _ = writeln!(template, "TOKEN_{n}: \"{{{{ tokens.t{n} }}}}\"");
    }
    for (path, text) in [
        (".sops.yaml", format!("creation_rules:\n  - age: {recipient}\n")),
        ("environments/many.yaml", profile),
        ("templates/many.yaml", template),
    ] {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    for arguments in [&["init", "-q"][..], &["add", "-A"], &["commit", "-q", "-m", "base"]] {
        assert!(program("git", folder).args(arguments).status().unwrap().success());
    }
    identity.expose().to_owned()
}

/// A command that has nothing of our environment but the path, and an author for commits.
pub(crate) fn program(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(name);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", folder);
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "Ana").env(format!("GIT_{who}_EMAIL"), "ana@example.com");
    }
    command.current_dir(folder);
    command
}

/// Requests and wall time of one run.
fn run(folder: &Path, gitlab: &Running, key: &str) -> (usize, Duration) {
    let before = requests(gitlab);
    let start = Instant::now();
    let output = program(env!("CARGO_BIN_EXE_provision"), folder)
        .env("GITLAB_TOKEN", gitlab.operator_token().expose())
        .env("GITLAB_HOST", gitlab.url())
        .env("SOPS_AGE_KEY", key)
        .args(["--env", "many", "--yes"])
        .output()
        .unwrap();
    let took = start.elapsed();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (requests(gitlab) - before, took)
}

fn requests(gitlab: &Running) -> usize {
    gitlab.state()["requests"].as_array().map_or(0, Vec::len)
}
