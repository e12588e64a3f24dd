//! Somebody who reads an environment while it changes: what is there must be whole, and its token must live.

use std::sync::atomic::{AtomicBool, Ordering};

use provision::lock::Lock;
use provision::repo::{RelPath, Repository};
use provision::secret::Secret;
use provision::sops::{Encrypted, Format, Identities};

use super::desk::sha256;
use super::lab::Lab;
use super::team::Team;

pub(crate) const SECRETS: &str = "secrets/qa.sops.yaml";
pub(crate) const LOCK: &str = "environments/locks/qa.yaml";

/// What somebody reads of the environment: the secrets file and the lock.
pub(crate) type State = (Vec<u8>, Vec<u8>);

/// Looks before `runs`, again and again while it goes on, and once more after it. Returns how many different states were seen.
///
/// A state that does not pass is a failure while it is still what is there: what was read a while ago may have been
/// succeeded, and retired, since.
pub(crate) fn watched(
    look: impl Fn() -> Option<State> + Send + Sync,
    check: impl Fn(&State) -> bool + Send + Sync,
    runs: impl FnOnce(),
) -> usize {
    let over = AtomicBool::new(false);
    let first = look();
    assert!(first.as_ref().is_none_or(&check), "what is read has no live token before anything is done");
    let watch = || {
        let mut seen: Vec<State> = first.iter().cloned().collect();
        let mut before = first;
        loop {
            let last = over.load(Ordering::SeqCst);
            if let Some(state) = look().filter(|state| last || before.as_ref() != Some(state)) {
                assert!(check(&state) || look().as_ref() != Some(&state), "what is read has no live token");
                if !seen.contains(&state) {
                    seen.push(state.clone());
                }
                before = Some(state);
            }
            if last {
                return seen.len();
            }
        }
    };
    std::thread::scope(|threads| {
        let watcher = threads.spawn(watch);
        {
            let _over = Over(&over);
            runs();
        }
        watcher.join().unwrap()
    })
}

/// Tells the watcher that it is over, also where a run has failed: the failure is to be seen, and not waited for.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// The number of the token in the file, which opens with a good MAC; `None` where it does not live.
#[track_caller]
pub(crate) fn live_one_in(lab: &Lab, file: &[u8]) -> Option<u64> {
    let identity = Secret::new(lab.identity().to_owned());
    let identities = Identities::parse([("lab".to_owned(), identity)]).unwrap();
    let opened = Encrypted::parse(Format::Yaml, file).unwrap().open(&identities).unwrap();
    let value = opened.get(&r#"["GITLAB_TOKEN"]"#.parse().unwrap()).unwrap().unwrap();
    let state = lab.gitlab.state();
    let hash = sha256(value.expose().as_bytes());
    let found = state["tokens"].as_array().unwrap().iter().find(|token| token["sha256"] == *hash).unwrap();
    (found["active"] == true).then(|| found["id"].as_u64().unwrap())
}

/// The number of the token that the lock names.
pub(crate) fn current(lock: &str) -> u64 {
    Lock::read(LOCK, lock).unwrap().tokens["backstage"].id.0
}

/// In one commit the two belong together, and the token lives.
pub(crate) fn agreeing(lab: &Lab) -> impl Fn(&State) -> bool {
    |(file, lock): &State| live_one_in(lab, file) == Some(current(std::str::from_utf8(lock).unwrap()))
}

/// What HEAD has.
pub(crate) fn at_head(lab: &Lab) -> Option<State> {
    let repo = Repository::discover(&lab.repo()).unwrap();
    let commit = repo.head().unwrap().commit.unwrap();
    let content = |path| repo.content_at(commit, &RelPath::new(path).unwrap()).unwrap();
    Some((content(SECRETS)?, content(LOCK)?))
}

/// What the remote's default branch has, of one commit.
pub(crate) fn at_remote(team: &Team) -> Option<State> {
    let commit = team.git(["rev-parse", "main"]);
    Some((team.content(&commit, SECRETS)?, team.content(&commit, LOCK)?))
}
