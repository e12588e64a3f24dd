//! The built program, killed by SIGKILL at a place that it always comes to, and run again.

use std::io::{BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};

use crate::support::lab::{Lab, Said};
use crate::support::program;

/// SIGKILL.
const KILLED: Option<i32> = Some(9);

/// A hook that kills the run that git works for, once, and then lets git go on or not. Its number is in the note of the
/// repository lock.
fn killing_hook(lab: &Lab, name: &str, status: u8) {
    let script = format!(
        "#!/bin/sh\n[ -e .git/killed ] && exit 0\n: > .git/killed\nread -r pid < .git/provision/lock\nkill -9 \"$pid\"\nexit {status}\n"
    );
    let hook = lab.repo().join(".git/hooks").join(name);
    program::script(&hook, &script);
}

/// Ends when git has ended too: it has the same standard error.
fn killed(lab: &Lab) -> Output {
    let output = lab.command(["--env", "qa", "--yes"]).output().unwrap();
    assert_eq!(output.status.signal(), KILLED, "{:?}", Said::of(&output));
    output
}

#[track_caller]
fn ends_well(lab: &Lab, tokens: usize) {
    lab.provision(["--env", "qa", "--yes"]).ok();
    let minted = lab.minted();
    assert_eq!(minted.len(), tokens, "{minted:?}");
    let active: Vec<_> = minted.iter().filter(|token| token["active"] == true).collect();
    assert_eq!(active.len(), 1, "{minted:?}");
    assert!(lab.read("environments/locks/qa.yaml").contains(&format!("id: {}", active[0]["id"])));
    assert_eq!(
        lab.value("secrets/qa.sops.yaml", "GITLAB_TOKEN").len(),
        lab.gitlab.operator_token().expose().len()
    );
    assert_eq!(lab.git(["rev-list", "--count", "HEAD"]), "2");
    assert_eq!(lab.git(["status", "--porcelain"]), "");
    assert_eq!(lab.git(["fsck", "--strict", "--no-dangling"]), "");
    let again = lab.provision(["--env", "qa", "--yes"]).ok();
    assert!(again.out.contains("backstage is healthy"), "{}", again.out);
}

#[test]
fn killed_while_git_commits_and_git_gives_up() {
    let lab = Lab::new();
    killing_hook(&lab, "pre-commit", 1);
    killed(&lab);
    assert_eq!(lab.git(["rev-list", "--count", "HEAD"]), "1");
    ends_well(&lab, 1);
}

#[test]
fn killed_while_git_commits_and_git_goes_on_alone() {
    let lab = Lab::new();
    killing_hook(&lab, "pre-commit", 0);
    killed(&lab);
    assert_eq!(lab.git(["rev-list", "--count", "HEAD"]), "2");
    ends_well(&lab, 1);
}

#[test]
fn killed_after_the_commit_and_before_the_journal_is_closed() {
    let lab = Lab::new();
    killing_hook(&lab, "post-commit", 0);
    killed(&lab);
    assert_eq!(lab.git(["rev-list", "--count", "HEAD"]), "2");
    ends_well(&lab, 1);
}

#[test]
fn killed_while_the_new_token_is_on_its_way() {
    let lab = Lab::new();
    let proxy = Proxy::before(&lab);
    let profile = lab.read("environments/qa.yaml").replace(lab.gitlab.url(), &proxy.url);
    lab.write("environments/qa.yaml", &profile);
    lab.git(["commit", "-q", "--amend", "-a", "-m", "base"]);
    let child = proxy.command(&lab).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let mut child = proxy.kills(child);
    assert_eq!(child.wait().unwrap().signal(), KILLED);
    assert_eq!(lab.minted().len(), 1);

    Said::of(&proxy.command(&lab).output().unwrap()).ok();
    let minted = lab.minted();
    let active: Vec<bool> = minted.iter().map(|token| token["active"] == true).collect();
    assert_eq!(active, [false, true]);
    assert_eq!(lab.git(["rev-list", "--count", "HEAD"]), "2");
    assert_eq!(lab.git(["status", "--porcelain"]), "");
}

#[test]
fn killed_while_the_index_is_locked() {
    let lab = Lab::new();
    let script = "[ -e .git/killed ] && exec cat\n[ -e .git/index.lock ] || exec cat\n: > .git/killed\nread -r pid < .git/provision/lock\nkill -9 \"$pid\"\n";
    std::fs::write(lab.repo().join(".git/filter"), script).unwrap();
    lab.git(["config", "filter.kill.clean", "sh .git/filter"]);
    lab.write(".gitattributes", "secrets/* filter=kill\n");
    lab.git(["add", "-A"]);
    lab.git(["commit", "-q", "--amend", "-m", "base"]);
    killed(&lab);
    assert!(lab.repo().join(".git/index.lock").exists());
    ends_well(&lab, 1);
}

/// Stands before the embedded GitLab. The reply to the first POST stops here, and the test is told of it.
struct Proxy {
    url: String,
    held: Receiver<()>,
}

impl Proxy {
    fn before(lab: &Lab) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let gitlab = lab.gitlab.url().trim_start_matches("http://").to_owned();
        let (hold, held) = channel();
        std::thread::spawn(move || {
            let mut posted = false;
            for client in listener.incoming() {
                // One after the other: a client that is done closes, or is dead.
                let _ = relay(client.unwrap(), &gitlab, &mut posted, &|| hold.send(()).unwrap());
            }
        });
        Self { url, held }
    }

    fn command(&self, lab: &Lab) -> Command {
        let mut command = lab.command(["--env", "qa", "--yes"]);
        command.env("GITLAB_HOST", &self.url);
        command
    }

    /// Kills the child once GitLab has answered its POST.
    fn kills(&self, mut child: Child) -> Child {
        self.held.recv().unwrap();
        child.kill().unwrap();
        child
    }
}

fn relay(client: TcpStream, gitlab: &str, posted: &mut bool, hold: &dyn Fn()) -> std::io::Result<()> {
    let mut from_client = BufReader::new(client.try_clone()?);
    let mut to_client = client;
    let mut to_gitlab = TcpStream::connect(gitlab)?;
    let mut from_gitlab = BufReader::new(to_gitlab.try_clone()?);
    loop {
        let request = message(&mut from_client)?;
        if request.is_empty() {
            return Ok(());
        }
        to_gitlab.write_all(&request)?;
        let reply = message(&mut from_gitlab)?;
        if request.starts_with(b"POST") && !std::mem::replace(posted, true) {
            hold();
            // The connection stays open until the child is dead: a closed one would let it end by itself.
            return std::io::copy(&mut from_client, &mut std::io::sink()).map(drop);
        }
        to_client.write_all(&reply)?;
    }
}

/// One message of HTTP/1.1 with its body; empty where the other end has closed.
fn message(from: &mut impl std::io::BufRead) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Ok(bytes);
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        bytes.extend_from_slice(line.as_bytes());
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    bytes.extend_from_slice(&body);
    Ok(bytes)
}
