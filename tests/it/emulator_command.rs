//! `provision emulator` as a process.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::emulator::Http;

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_provision"));
    command.env_clear().arg("emulator").args(args).stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command(args).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

/// Starts it and reads its one line.
fn start(args: &[&str]) -> (Child, Value, BufReader<std::process::ChildStdout>) {
    let mut child = command(args).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    (child, serde_json::from_str(&line).unwrap(), stdout)
}

fn stop(mut child: Child, signal: Signal, mut stdout: BufReader<std::process::ChildStdout>) {
    kill_process(Pid::from_child(&child), signal).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut rest = String::new();
    stdout.read_line(&mut rest).unwrap();
    assert_eq!(rest, "", "one line and no more");
}

#[test]
fn it_prints_one_line_and_serves_until_a_signal() {
    for signal in [Signal::TERM, Signal::INT] {
        let rule = "GET /metadata 500";
        let (child, line, stdout) =
            start(&["--now", "2026-11-21T08:00:00Z", "--latency", "1ms", "--fault", rule]);
        let url = line["url"].as_str().unwrap();
        assert!(url.starts_with("http://127.0.0.1:"));
        let http = Http::new();
        for (key, user) in [("token", "maude"), ("admin_token", "root")] {
            let header = [("private-token", line[key].as_str().unwrap())];
            let answer = http.send("GET", &format!("{url}/api/v4/user"), &header, None).unwrap();
            assert_eq!(answer.json()["username"], user);
            assert!(answer.headers["date"].starts_with("Sat, 21 Nov 2026 08:"), "{}", answer.headers["date"]);
        }
        assert_eq!(line["tokens"]["operator"], line["token"]);
        assert_eq!(http.send("GET", &format!("{url}/api/v4/metadata"), &[], None).unwrap().status, 500);
        stop(child, signal, stdout);
    }
}

#[test]
fn a_seed_file_says_what_it_holds() {
    let directory = tempfile::tempdir().unwrap();
    let seed = directory.path().join("seed.yaml");
    let yaml = "users: [{username: ana, admin: true}]\ngroups: [{path: team, members: {ana: owner}}]\n\
                tokens: [{label: operator, user: ana, name: o, scopes: [api]}, {label: admin, user: ana, name: a, scopes: [api]}]\n";
    std::fs::write(&seed, yaml).unwrap();
    let (child, line, stdout) = start(&["--seed", seed.to_str().unwrap()]);
    let header = [("private-token", line["token"].as_str().unwrap())];
    let url = format!("{}/api/v4/groups/team", line["url"].as_str().unwrap());
    assert_eq!(Http::new().send("GET", &url, &header, None).unwrap().json()["full_path"], json!("team"));
    stop(child, Signal::TERM, stdout);

    std::fs::write(&seed, "users: []\nteams: []\n").unwrap();
    let (code, error) = run(&["--seed", seed.to_str().unwrap()]);
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("seed.yaml") && error.contains("teams"), "{error}");
}

#[test]
fn it_listens_on_loopback_only() {
    let (code, error) = run(&["--listen", "0.0.0.0:0"]);
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("the embedded GitLab listens on loopback only, not on 0.0.0.0:0"), "{error}");
}

#[test]
fn a_bad_rule_is_a_usage_error_and_the_help_shows_the_grammar() {
    let (code, error) = run(&["--fault", "GET /x 418"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("`418` is not an effect"), "{error}");
    let help = command(&["--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(help.contains("METHOD PATH [after N] [xN] EFFECT"), "{help}");
}
