//! The repository module driven in a process of its own, so that HOME, the git configuration, PATH and the
//! current directory are the test's and not the caller's.

use std::path::Path;
use std::time::Duration;

use provision::repo::lock::{Holder, RepoLock};
use provision::repo::{
    CommitRequest, FileChange, Fingerprint, Head, ObjectId, RelPath, Repository, Upstream,
};
use serde_json::{Value, json};

pub(crate) const REQUEST: &str = "PROVISION_TEST_REQUEST";
pub(crate) const ANSWER: &str = "PROVISION_TEST_ANSWER";

/// Started by [`super::repo_sandbox::Repo::ask`] in a child process, never by itself.
#[test]
#[ignore = "the child process of the repository tests"]
fn driver() {
    let request: Value = serde_json::from_str(&std::env::var(REQUEST).unwrap()).unwrap();
    let answer = act(&request);
    std::fs::write(std::env::var(ANSWER).unwrap(), answer.to_string()).unwrap();
}

#[expect(clippy::exit, reason = "the end that a program may choose after a signal")]
fn act(request: &Value) -> Value {
    if request["farewell"] == true {
        provision::repo::signals::on_signal(Box::new(|signal| std::process::exit(100 + signal)));
    }
    let dir = request["dir"].as_str().unwrap();
    let repo = match Repository::discover(Path::new(dir)) {
        Ok(repo) => repo,
        Err(error) => return json!({ "error": error.to_string(), "hint": error.hint() }),
    };
    match request["op"].as_str().unwrap() {
        "commit" => commit(&repo, request),
        "preflight" => match repo.preflight(&paths(&repo, request)) {
            Ok(()) => json!({}),
            Err(error) => json!({ "error": error.to_string(), "hint": error.hint() }),
        },
        "look" => look(&repo, request),
        "hold" => hold(&repo, request),
        "time" => time(&repo, request),
        other => panic!("no such request: {other}"),
    }
}

/// Paths as a person gives them: relative to the current directory when they start with `./` or `/`.
fn paths(repo: &Repository, request: &Value) -> Vec<RelPath> {
    let names = request["paths"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
    names.map(|name| path(repo, name)).collect()
}

fn path(repo: &Repository, name: &str) -> RelPath {
    match name.starts_with("./") || name.starts_with('/') {
        true => repo.relative(Path::new(name)).unwrap(),
        false => RelPath::new(name).unwrap(),
    }
}

fn commit(repo: &Repository, request: &Value) -> Value {
    let files = paths(repo, request).into_iter().map(|path| {
        let on_disk = std::fs::read(path.below(repo.root())).ok();
        let content = match &request["content"] {
            Value::String(text) => Some(text.clone().into_bytes()),
            _ => on_disk,
        };
        FileChange { path, content: content.as_deref().map(Fingerprint::of) }
    });
    let mut expected_head = repo.head().unwrap();
    if let Some(id) = request["head"].as_str() {
        expected_head = Head { commit: Some(ObjectId::from_hex(id.as_bytes()).unwrap()), ..expected_head };
    }
    let message = request["message"].as_str().unwrap().to_owned();
    let request = CommitRequest { message, files: files.collect(), expected_head };
    match repo.commit(&request) {
        Ok(Some(made)) => {
            json!({ "id": made.id.to_string(), "by": format!("{:?}", made.by), "notes": made.notes })
        }
        Ok(None) => json!({ "unchanged": true }),
        Err(error) => json!({
            "error": error.to_string(),
            "hint": error.hint(),
            "made": error.commit().map(|id| id.to_string()),
        }),
    }
}

fn look(repo: &Repository, request: &Value) -> Value {
    let head = repo.head().unwrap();
    let upstream = match repo.upstream().unwrap() {
        Upstream::Head => "head".to_owned(),
        Upstream::RemoteBranch { reference, commit, .. } => format!("{reference} {commit}"),
        Upstream::Unknown { why, mend } => format!("unknown: {why}; {mend}"),
    };
    let files: Vec<Value> = paths(repo, request).iter().map(|path| file(repo, path, &head)).collect();
    json!({
        "root": repo.root(),
        "git_dir": repo.git_dir(),
        "common_dir": repo.common_dir(),
        "worktree": repo.worktree_id(),
        "state": repo.state(),
        "commit": head.commit.map(|id| id.to_string()),
        "branch": head.branch,
        "upstream": upstream,
        "files": files,
    })
}

fn file(repo: &Repository, path: &RelPath, head: &Head) -> Value {
    let text = |bytes: Option<Vec<u8>>| bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let resolved = match repo.resolve(path) {
        Ok(resolved) => resolved,
        Err(error) => return json!({ "error": error.to_string() }),
    };
    let mut history = Vec::new();
    let mut cut_off = false;
    if let Some(from) = head.commit {
        let mut revisions = repo.first_parent_content(from, path).unwrap();
        for revision in revisions.by_ref() {
            let revision = revision.unwrap();
            history.push(json!([revision.commit.to_string(), revision.committed, text(revision.content)]));
        }
        cut_off = revisions.is_cut_off();
    }
    json!({
        "resolved": resolved.as_str(),
        "at_head": text(repo.content_at_head(path).unwrap()),
        "difference": repo.differs_from_head(path).unwrap().map(|found| format!("{found:?}")),
        "ignored": repo.is_ignored(path).unwrap(),
        "history": history,
        "cut_off": cut_off,
    })
}

/// Commits one file again and again, and tells how long each took, in microseconds.
fn time(repo: &Repository, request: &Value) -> Value {
    let path = &paths(repo, request)[0];
    let mut taken = Vec::new();
    for round in 0..request["rounds"].as_u64().unwrap() {
        let content = format!("round: {round}\n").into_bytes();
        repo.write(path, &content).unwrap();
        let files = vec![FileChange::of(path.clone(), &content)];
        let request =
            CommitRequest { message: "round".to_owned(), files, expected_head: repo.head().unwrap() };
        let start = std::time::Instant::now();
        repo.commit(&request).unwrap().unwrap();
        taken.push(start.elapsed().as_micros() as u64);
    }
    json!({ "micros": taken })
}

/// Takes the repository lock, says so, and keeps it until it is killed or its input ends.
fn hold(repo: &Repository, request: &Value) -> Value {
    let me = Holder::this_process("the holder");
    let _lock = RepoLock::acquire(repo.common_dir(), &me, Duration::ZERO, |_| {}).unwrap();
    std::fs::write(request["begun"].as_str().unwrap(), "held").unwrap();
    std::io::read_to_string(std::io::stdin()).unwrap();
    json!({})
}
