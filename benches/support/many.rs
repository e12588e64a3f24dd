//! Many files: rekeyed for one more reader and for one less, and checked. Against the stock sops as a loop of processes, as one process
//! where it has such a command, and against what no program can do without.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use provision::cores;
use provision::repo::write::Batch;
use provision::sops::{Alone, Draft, Format, Recipient, Rule, generate_identity};

use crate::floor::{Ciphers, Unwrapped};
use crate::measure::{self, median, milliseconds, missed, timed};
use crate::sops;
use crate::tokens::program;

const RUNS: usize = 3;

/// How many files a loop of processes is measured with; the time of the others follows.
const SAMPLE: usize = 16;

/// Keys of each file.
const KEYS: usize = 10;

/// A repository whose files are for so many readers, and whose policy names so many.
#[derive(Clone, Copy)]
struct Readers {
    before: usize,
    after: usize,
}

struct Repo {
    readers: Readers,
    folder: tempfile::TempDir,
    key: String,
    recipients: Vec<Recipient>,
    /// What each file holds before.
    files: Vec<(String, Vec<u8>)>,
}

impl Repo {
    fn new(count: usize, readers: Readers) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (identity, ours) = generate_identity();
        let others = (1..readers.before.max(readers.after)).map(|_| generate_identity().1);
        let recipients: Vec<Recipient> = std::iter::once(ours).chain(others).collect();
        let rule = Rule::own(recipients[..readers.before].iter().cloned());
        let files = cores::on_all(count, |number| {
            let text: String = (0..KEYS).map(|n| format!("key_{n}: value {number} of key {n}\n")).collect();
            let draft = Draft::parse(Format::Yaml, &text).unwrap();
            let sealed = draft.seal(&rule, &Alone, Timestamp::UNIX_EPOCH, &[]).unwrap();
            (format!("secrets/{number}.sops.yaml"), sealed.bytes().to_vec())
        });
        fs::create_dir(folder.path().join("secrets")).unwrap();
        let key = identity.expose().to_owned();
        let repo = Self { readers, folder, key, recipients, files };
        repo.policy(readers.before);
        repo.restore();
        repo.git(&["init", "-q"]);
        repo.commit("base");
        if readers.after != readers.before {
            repo.policy(readers.after);
            repo.commit("readers");
        }
        repo
    }

    /// So many readers, each with a name.
    fn policy(&self, readers: usize) {
        let mut text = "creation_rules:\n  - age:\n".to_owned();
        for (number, recipient) in self.recipients.iter().take(readers).enumerate() {
            text += &format!("      - {recipient} # reader{number}\n");
        }
        fs::write(self.path().join(".sops.yaml"), text).unwrap();
    }

    fn git(&self, arguments: &[&str]) {
        assert!(program("git", self.path()).args(arguments).status().unwrap().success());
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn restore(&self) {
        for (name, bytes) in &self.files {
            fs::write(self.path().join(name), bytes).unwrap();
        }
    }

    /// Time of one command in the repository, as it was made.
    fn timed(&self, mut command: Command) -> Duration {
        self.restore();
        command.current_dir(self.path()).env("SOPS_AGE_KEY", &self.key);
        timed(command)
    }

    fn provision(&self, arguments: &[&str]) -> Command {
        let mut command = program(env!("CARGO_BIN_EXE_provision"), self.path());
        command.args(arguments);
        command
    }

    fn ours(&self, arguments: &[&str]) -> Duration {
        median((0..RUNS).map(|_| self.timed(self.provision(arguments))))
    }

    /// Peak memory of one command, in MiB.
    fn peak(&self, arguments: &[&str]) -> Option<f64> {
        self.restore();
        let mut command = self.provision(arguments);
        measure::peak(command.env("SOPS_AGE_KEY", &self.key))
    }

    /// Time of stock sops with one process for each file.
    fn a_loop(&self, arguments: &[&str]) -> Duration {
        let sample = self.files.len().min(SAMPLE);
        let run = |_| {
            let each = self.files.iter().take(sample).map(|(name, _)| {
                let mut command = sops::command();
                command.args(arguments).arg(name);
                self.timed(command)
            });
            each.sum::<Duration>()
        };
        median((0..RUNS).map(run)) * u32::try_from(self.files.len() / sample).unwrap()
    }

    /// Time of stock sops with one process for all files.
    fn one_process(&self, arguments: &[&str]) -> Duration {
        let run = |_| {
            let mut command = sops::command();
            command.args(arguments).args(self.files.iter().map(|(name, _)| name));
            self.timed(command)
        };
        median((0..RUNS).map(run))
    }

    /// For each file: the data key unwrapped once and wrapped for who is new, or, where somebody goes, for everybody;
    /// every value decrypted, and in that case encrypted again; the file replaced and flushed, as many at a time as we
    /// do; all directories flushed in the end.
    fn floor(&self) -> Duration {
        let Readers { before, after } = self.readers;
        let (wraps, passes) = if after < before { (after, 2) } else { (after - before, 1) };
        let unwrapped = Unwrapped::new();
        let ciphers = Ciphers::new(KEYS + 1, 20);
        let run = |_| {
            let batch = Batch::default();
            let start = Instant::now();
            cores::on_all_waiting(self.files.len(), |number| {
                unwrapped.unwrap();
                (0..wraps).for_each(|_| unwrapped.wrap());
                (0..passes).for_each(|_| ciphers.run());
                let (name, bytes) = &self.files[number];
                batch.replace(&self.path().join(name), bytes).unwrap();
            });
            batch.flush().unwrap();
            start.elapsed()
        };
        median((0..RUNS).map(run))
    }
}

/// Prints what a rekey of `count` files takes: one reader more, then one less. The goals are those for many.
pub(crate) fn rekey(count: usize, has_goals: bool) {
    let more = Repo::new(count, Readers { before: 3, after: 4 });
    line(&more, "3 → 4 recipients", &["updatekeys", "-y"], has_goals);
    let less = Repo::new(count, Readers { before: 4, after: 3 });
    let gone = less.recipients[3].to_string();
    // What sops has for it: a new data key, and the same for whom the file names, but for one.
    line(&less, "4 → 3 recipients, new data key", &["rotate", "-i", "--rm-age", &gone], has_goals);
}

fn line(repo: &Repo, what: &str, each: &[&str], has_goals: bool) {
    let ours = repo.ours(&["rekey", "--no-commit", "--yes"]);
    let a_loop = times(repo.a_loop(each), ours);
    let one_process = times(repo.one_process(&["updatekeys", "-y"]), ours);
    let floor = times(ours, repo.floor());
    let goal = |shown: &str, is_missed: bool| match has_goals {
        true => format!(" ({shown}){}", missed(is_missed)),
        false => String::new(),
    };
    println!(
        "rekey {} files, {what}, durable: {:.0} ms; sops {} as a loop {a_loop:.1}×{}, updatekeys as one process {one_process:.1}×{}; {floor:.1}× the floor{}",
        repo.files.len(),
        milliseconds(ours),
        each[0],
        goal("≥ 40×", a_loop < 40.0),
        goal("≥ 6×", one_process < 6.0),
        goal("≤ 2×", floor > 2.0),
    );
}

/// Prints time and memory of a rekey with its commit, and of a removal that reads the history, over more and more files.
pub(crate) fn grow(counts: &[usize]) {
    for count in counts {
        let repo = Repo::new(*count, Readers { before: 3, after: 4 });
        let start = Instant::now();
        let rekey = repo.peak(&["rekey", "--yes"]);
        let rekeyed = start.elapsed();
        let repo = Repo::new(*count, Readers { before: 4, after: 4 });
        let start = Instant::now();
        let remove = repo.peak(&["keys", "remove", "reader3", "--yes"]);
        let removed = start.elapsed();
        let memory = |peak: Option<f64>| match peak {
            Some(peak) => format!("{peak:.1} MiB (≤ 64){}", missed(peak > 64.0)),
            None => "-".to_owned(),
        };
        println!(
            "{count} files with their commit: rekey {:.0} ms, {}; keys remove {:.0} ms, {}",
            milliseconds(rekeyed),
            memory(rekey),
            milliseconds(removed),
            memory(remove),
        );
    }
}

/// Prints what looking at `count` files takes: whether they are encrypted (`sops filestatus` says no more), for whom, and
/// by the policy's rules.
pub(crate) fn check(count: usize) {
    let repo = Repo::new(count, Readers { before: 3, after: 3 });
    let ours = repo.ours(&["check"]);
    let a_loop = times(repo.a_loop(&["filestatus"]), ours);
    println!("check {count} files: {:.0} ms; sops filestatus as a loop {a_loop:.1}×", milliseconds(ours));
}

fn times(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}
