//! A lab whose runs happen in this process, over effects that the test chooses, and everything that must be true of
//! it after a run that was broken off and the run after it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::rc::Rc;

use clap::Parser as _;
use jiff::SignedDuration;
use provision::cli::Cli;
use provision::commands::{self, Exit};
use provision::error::Error;
use provision::journal::{self, Replay};
use provision::lock::{self, Lock};
use provision::observe::interrupted;
use provision::plan::deliver::Way;
use provision::plan::options::{self, Options};
use provision::repo::{CommitRequest, FileChange, Head, RelPath, Repository};
use provision::secret::Secret;
use provision::sops::{Encrypted, Identities};
use provision::ui::{Ui, progress::Progress};
use provision::world::{System, World};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::fault::Fault;
use super::faulty::{Faulty, Gone};
use super::lab::Lab;
use super::team::Team;

pub(crate) const ENVIRONMENT: &str = "qa";
pub(crate) const SECRETS: &str = "secrets/qa.sops.yaml";
pub(crate) const LOCK: &str = "environments/locks/qa.yaml";

/// How a run ended.
#[derive(Debug)]
pub(crate) enum End {
    Gone,
    Done(Exit),
    Failed(Error),
}

pub(crate) struct Desk {
    pub(crate) lab: Lab,
    system: Rc<System>,
    runtime: tokio::runtime::Runtime,
    repo: Repository,
    pub(crate) commit: bool,
    /// What the next run is asked for. Whatever it is, plain runs recover from it.
    wanted: RefCell<Options>,
    /// Whether a run has revoked what HEAD holds, as it said it would.
    locked_out: Cell<bool>,
    /// How its runs deliver, and where to.
    pub(crate) delivers: Option<(Way, Team)>,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let lab = Lab::today();
        let system = Rc::new(System::new(None, &lab.variables(), &lab.repo()).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let repo = Repository::discover(&lab.repo()).unwrap();
        Self {
            lab,
            system,
            runtime,
            repo,
            commit: true,
            delivers: None,
            wanted: RefCell::default(),
            locked_out: Cell::new(false),
        }
    }

    /// A desk whose runs push, or open merge requests.
    pub(crate) fn that_delivers(way: Way) -> Self {
        let mut desk = Self::new();
        desk.delivers = Some((way, Team::of(&desk.lab)));
        desk
    }

    pub(crate) fn effects(&self, fault: Option<(usize, Fault)>) -> Rc<Faulty> {
        Faulty::new(&self.system, fault)
    }

    fn options(&self) -> Options {
        let way = self.delivers.as_ref().map(|(way, _)| *way);
        Options { commit: self.commit, way, ..self.wanted.borrow().clone() }
    }

    pub(crate) fn wants(&self, wanted: Options) {
        self.wanted.replace(wanted);
    }

    /// Whether the next run says that tokens of HEAD die before the commit is there.
    pub(crate) fn locks_out(&self) -> bool {
        self.locked_out.get() || self.wanted.borrow().end != options::End::Nothing
    }

    /// From now on runs are those of `provision --env`, with `--prune` where that was asked for.
    pub(crate) fn plain(&self) {
        let end = self.wanted.borrow().end.clone();
        self.locked_out.set(self.locked_out.get() || end != options::End::Nothing);
        let pruned = end == options::End::Pruned;
        let end = if pruned { options::End::Pruned } else { options::End::Nothing };
        self.wanted.replace(Options { end, ..Options::default() });
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// A command over these effects, as the program runs it.
    pub(crate) fn command<'a>(&self, effects: &Rc<Faulty>, args: impl IntoIterator<Item = &'a str>) -> End {
        let mut variables = self.lab.variables();
        variables.gitlab_token = Some(self.lab.gitlab.operator_token());
        variables.gitlab_host = Some(self.lab.gitlab.url().to_owned());
        let world = World::new(effects.clone(), variables, self.lab.repo());
        let cli = Cli::try_parse_from(["provision"].into_iter().chain(args)).unwrap();
        let run = || self.block_on(commands::run(cli, Ui::unseen(), &world));
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(exit)) => End::Done(exit),
            Ok(Err(error)) => End::Failed(error),
            Err(panic) if panic.is::<Gone>() => End::Gone,
            Err(panic) => resume_unwind(panic),
        }
    }

    fn wanted_with(&self, effects: &Rc<Faulty>, more: &[&str]) -> End {
        let command = self.options().command(ENVIRONMENT).to_string();
        self.command(effects, command.split(' ').skip(1).chain(more.iter().copied()))
    }

    /// What is wanted, over these effects.
    pub(crate) fn run(&self, effects: &Rc<Faulty>) -> End {
        self.wanted_with(effects, &["--yes"])
    }

    /// What `--dry-run` makes of it.
    pub(crate) fn look(&self) -> End {
        self.wanted_with(&self.effects(None), &["--dry-run", "--exit-code"])
    }

    /// That a run would do nothing now, and nothing needs care.
    #[track_caller]
    pub(crate) fn nothing_is_to_do(&self) {
        let end = self.look();
        assert!(matches!(end, End::Done(Exit::Done)), "{end:?}");
    }

    /// A run in which nothing goes wrong, which must succeed.
    #[track_caller]
    pub(crate) fn whole_run(&self) -> Rc<Faulty> {
        let effects = self.effects(None);
        let end = self.run(&effects);
        assert!(matches!(end, End::Done(_)), "{end:?} after {:?}", effects.story());
        effects
    }

    pub(crate) fn journal(&self) -> PathBuf {
        interrupted::journal_path(&self.repo, ENVIRONMENT)
    }

    /// At HEAD, or where runs of this desk deliver to.
    fn at_head(&self, path: &str) -> Option<Vec<u8>> {
        if let Some((way, team)) = &self.delivers {
            let ours = team.content("provision/qa", path).filter(|_| *way == Way::MergeRequest);
            return ours.or_else(|| team.content("main", path));
        }
        self.repo.content_at_head(&RelPath::new(path).unwrap()).unwrap()
    }

    /// As HEAD has it, or the work tree where nothing is committed.
    fn content(&self, path: &str) -> Option<Vec<u8>> {
        if self.commit { self.at_head(path) } else { fs::read(self.lab.repo().join(path)).ok() }
    }

    /// The tokens that GitLab holds to be active, by the SHA-256 of their values.
    fn active(&self) -> BTreeMap<String, u64> {
        let state = self.lab.gitlab.state();
        let tokens = state["tokens"].as_array().unwrap().iter();
        tokens
            .filter(|token| token["active"] == true)
            .map(|token| (token["sha256"].as_str().unwrap().to_owned(), token["id"].as_u64().unwrap()))
            .collect()
    }

    /// The ids of our live tokens.
    pub(crate) fn ours(&self) -> BTreeSet<u64> {
        let minted = self.lab.minted();
        minted.iter().filter(|token| token["active"] == true).map(id).collect()
    }

    /// What the stock sops makes of the delivered file.
    #[track_caller]
    pub(crate) fn as_sops_reads_it(&self) -> String {
        let copy = self.lab.everything().join("copy.yaml");
        fs::write(&copy, self.at_head(SECRETS).or_else(|| self.content(SECRETS)).unwrap()).unwrap();
        self.lab.sops([std::ffi::OsStr::new("decrypt"), copy.as_os_str()]).ok().out
    }

    /// Whatever stands at HEAD opens with a good MAC, and each token in it lives and is the one that the lock names.
    #[track_caller]
    pub(crate) fn head_is_live(&self) {
        let (Some(file), Some(lock)) = (self.at_head(SECRETS), self.at_head(LOCK)) else { return };
        self.is_live(&file, &lock);
    }

    #[track_caller]
    fn is_live(&self, file: &[u8], lock: &[u8]) {
        let lock = Lock::read(LOCK, std::str::from_utf8(lock).unwrap()).unwrap();
        let active = self.active();
        let document = Encrypted::parse(provision::sops::Format::Yaml, file).unwrap();
        let identity = Secret::new(self.lab.identity().to_owned());
        let identities = Identities::parse([("lab".to_owned(), identity)]).unwrap();
        let opened =
            Encrypted::parse(provision::sops::Format::Yaml, file).unwrap().open(&identities).unwrap();
        for (key, entry) in &lock.tokens {
            for (path, digest) in &entry.slots[SECRETS] {
                assert_eq!(lock::digest(document.leaf(path).unwrap()), *digest, "{key} {path}");
                let value = opened.get(path).unwrap().unwrap();
                // One slot may hold several tokens.
                let lives = |value| active.get(&sha256(value)) == Some(&entry.id.0);
                let found = value.expose().split(':').any(|value| lives(value.as_bytes()));
                assert!(found, "{key} {path} does not hold the lock's token {}, alive", entry.id);
            }
        }
    }

    /// Everything that must be true after a run that had nothing against it.
    #[track_caller]
    pub(crate) fn all_is_well(&self) {
        let (file, lock) = (self.content(SECRETS).unwrap(), self.content(LOCK).unwrap());
        self.is_live(&file, &lock);
        let lock = Lock::read(LOCK, std::str::from_utf8(&lock).unwrap()).unwrap();
        let known: BTreeSet<u64> = lock
            .tokens
            .values()
            .flat_map(|entry| entry.superseded.iter().map(|old| old.id.0).chain([entry.id.0]))
            .collect();
        assert_eq!(self.ours(), known, "live tokens of ours, and those of the lock");
        self.nothing_minted_twice();
        self.work_tree_is_clean();
        self.journal_is_over();
        self.nothing_is_to_do();
        assert_eq!(self.lab.git(["fsck", "--strict", "--no-dangling"]), "");
    }

    #[track_caller]
    pub(crate) fn nothing_minted_twice(&self) {
        let minted = self.lab.minted();
        let marks: BTreeSet<&str> =
            minted.iter().map(|token| token["description"].as_str().unwrap()).collect();
        // What GitLab's rotate makes has the user and the mark of the one before.
        let users: BTreeSet<u64> = minted.iter().map(|token| token["user_id"].as_u64().unwrap()).collect();
        assert_eq!(marks.len(), users.len(), "a mark was sent twice");
    }

    #[track_caller]
    fn work_tree_is_clean(&self) {
        let status = self.lab.git(["status", "--porcelain", "--untracked-files=all"]);
        if self.commit {
            assert_eq!(status, "");
            return;
        }
        assert_eq!(status, format!("?? {LOCK}\n?? {SECRETS}"));
        self.lab.commit_all("by hand");
    }

    /// It is gone, or all that it has is requests that may still arrive; an hour later it is gone in any case.
    #[track_caller]
    fn journal_is_over(&self) {
        let journal = self.journal();
        if journal.exists() {
            let text = fs::read_to_string(&journal).unwrap();
            let replay = Replay::read("journal", &text).unwrap();
            assert!(replay.written.is_empty(), "{text}");
            assert!(!replay.open.is_empty(), "a journal that says nothing: {text:?}");
            assert!(replay.open.iter().all(|open| open.minted.is_none()), "{text}");
            self.lab.gitlab.advance(journal::WATCH + SignedDuration::from_secs(1));
            let head = self.head();
            self.whole_run();
            assert_eq!(self.head(), head);
        }
        let left = fs::read_dir(journal.parent().unwrap()).map_or(Vec::new(), |entries| {
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        });
        // The repository lock, free; and the note on the index's lock, empty, where a commit was made.
        let other: Vec<&String> =
            left.iter().filter(|name| *name != "index-lock" && *name != "lock").collect();
        assert!(other.is_empty(), "left beside the journal: {other:?}");
    }

    /// The administrator revokes a token by hand.
    pub(crate) fn revoke(&self, id: u64) {
        let url = format!("{}/api/v4/personal_access_tokens/{id}", self.lab.gitlab.url());
        let admin = self.lab.gitlab.admin_token();
        let request = reqwest::Client::builder().no_proxy().build().unwrap().delete(url);
        let sent = self.block_on(request.header("PRIVATE-TOKEN", admin.expose()).send()).unwrap();
        assert!(sent.status().is_success(), "{}", sent.status());
    }

    /// Whether the files are there, and the journal has nothing but requests that may still arrive.
    pub(crate) fn is_over(&self) -> bool {
        let journal = fs::read_to_string(self.journal()).unwrap_or_default();
        let replay = Replay::read("journal", &journal).unwrap();
        let is_open = replay.open.iter().any(|open| open.minted.is_some());
        self.content(LOCK).is_some() && replay.written.is_empty() && !is_open
    }

    /// What a run that failed with nothing done must leave as it was.
    pub(crate) fn untouched(&self) -> (Head, BTreeSet<u64>, [Option<Vec<u8>>; 4]) {
        let [secrets, lock] = [SECRETS, LOCK].map(|path| fs::read(self.lab.repo().join(path)).ok());
        (self.head(), self.ours(), [secrets, lock, self.at_head(SECRETS), self.at_head(LOCK)])
    }

    pub(crate) fn head(&self) -> Head {
        self.repo.head().unwrap()
    }

    /// The user changes one file and commits it.
    pub(crate) fn edit(&self, path: &str, change: impl FnOnce(String) -> String) {
        let old = fs::read_to_string(self.lab.repo().join(path)).unwrap_or_default();
        let new = change(old);
        self.lab.write(path, &new);
        let change = FileChange::of(RelPath::new(path).unwrap(), new.as_bytes());
        let message = format!("change {path}");
        let request = CommitRequest { message, files: vec![change], expected_head: self.head() };
        self.repo.commit(&request).unwrap().unwrap();
    }
}

pub(crate) fn id(token: &Value) -> u64 {
    token["id"].as_u64().unwrap()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

pub(crate) fn silent() -> Progress {
    Progress::start(Ui::unseen(), "")
}
