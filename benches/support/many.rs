//! Many files: rekeyed for one more reader, and checked. Against the stock sops as a loop of processes, as one process
//! where it has such a command, and against what no program can do without.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use provision::cores;
use provision::repo::write::Batch;
use provision::sops::generate_identity;

use crate::floor::{Ciphers, Unwrapped};
use crate::measure::{median, missed};
use crate::sops;
use crate::tokens::program;

const RUNS: usize = 3;

/// How many files a loop of processes is measured with; the time of the others follows.
const SAMPLE: usize = 16;

/// Keys of each file.
const KEYS: usize = 10;

/// A repository whose files are for three readers, and whose policy names four.
struct Repo {
    folder: tempfile::TempDir,
    key: String,
    /// What every file holds before.
    file: Vec<u8>,
    names: Vec<String>,
}

impl Repo {
    fn new(count: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (identity, ours) = generate_identity();
        let others: Vec<String> = (0..3).map(|_| generate_identity().1.to_string()).collect();
        let plain: String = (0..KEYS).map(|n| format!("key_{n}: value of key {n}\n")).collect();
        fs::write(folder.path().join("plain.yaml"), plain).unwrap();
        let three = format!("{ours},{},{}", others[0], others[1]);
        let mut encrypt = sops::command();
        encrypt.current_dir(folder.path()).args(["encrypt", "--age", &three, "plain.yaml"]);
        let file = encrypt.output().unwrap().stdout;
        fs::remove_file(folder.path().join("plain.yaml")).unwrap();
        let policy = format!("creation_rules:\n  - age: {three},{}\n", others[2]);
        fs::write(folder.path().join(".sops.yaml"), policy).unwrap();
        fs::create_dir(folder.path().join("secrets")).unwrap();
        let names = (0..count).map(|n| format!("secrets/{n}.sops.yaml")).collect();
        let repo = Self { folder, key: identity.expose().to_owned(), file, names };
        repo.restore();
        for arguments in [&["init", "-q"][..], &["add", "-A"], &["commit", "-q", "-m", "base"]] {
            assert!(program("git", repo.path()).args(arguments).status().unwrap().success());
        }
        repo
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn restore(&self) {
        for name in &self.names {
            fs::write(self.path().join(name), &self.file).unwrap();
        }
    }

    /// Time of one command in the repository, as it was made.
    fn timed(&self, mut command: Command) -> Duration {
        self.restore();
        command.current_dir(self.path()).env("SOPS_AGE_KEY", &self.key);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let start = Instant::now();
        let status = command.status().unwrap();
        let took = start.elapsed();
        assert!(status.success(), "{command:?}: {status}");
        took
    }

    fn ours(&self, arguments: &[&str]) -> Duration {
        let run = |_| {
            let mut command = program(env!("CARGO_BIN_EXE_provision"), self.path());
            command.args(arguments);
            self.timed(command)
        };
        median((0..RUNS).map(run))
    }

    /// Time of stock sops with one process for each file.
    fn a_loop(&self, arguments: &[&str]) -> Duration {
        let sample = self.names.len().min(SAMPLE);
        let run = |_| {
            let each = self.names.iter().take(sample).map(|name| {
                let mut command = sops::command();
                command.args(arguments).arg(name);
                self.timed(command)
            });
            each.sum::<Duration>()
        };
        median((0..RUNS).map(run)) * u32::try_from(self.names.len() / sample).unwrap()
    }

    /// Time of stock sops with one process for all files.
    fn one_process(&self, arguments: &[&str]) -> Duration {
        let run = |_| {
            let mut command = sops::command();
            command.args(arguments).args(&self.names);
            self.timed(command)
        };
        median((0..RUNS).map(run))
    }

    /// For each file: the data key unwrapped once and wrapped once, every value decrypted once, the file replaced and
    /// flushed; all directories flushed in the end; on all cores.
    fn floor(&self) -> Duration {
        let unwrapped = Unwrapped::new();
        let ciphers = Ciphers::new(KEYS + 1, 20);
        let run = |_| {
            let batch = Batch::default();
            let start = Instant::now();
            cores::on_all(self.names.len(), |number| {
                unwrapped.unwrap();
                unwrapped.wrap();
                ciphers.run();
                batch.replace(&self.path().join(&self.names[number]), &self.file).unwrap();
            });
            batch.flush().unwrap();
            start.elapsed()
        };
        median((0..RUNS).map(run))
    }
}

/// Prints what a rekey of `count` files takes; the goals are those for many.
pub(crate) fn rekey(count: usize, has_goals: bool) {
    let repo = Repo::new(count);
    let ours = repo.ours(&["rekey", "--no-commit", "--yes"]);
    let a_loop = times(repo.a_loop(&["updatekeys", "-y"]), ours);
    let one_process = times(repo.one_process(&["updatekeys", "-y"]), ours);
    let floor = times(ours, repo.floor());
    let goal = |shown: &str, is_missed: bool| match has_goals {
        true => format!(" ({shown}){}", missed(is_missed)),
        false => String::new(),
    };
    println!(
        "rekey {count} files, 3 → 4 recipients, durable: {:.0} ms; sops as a loop {a_loop:.1}×{}, as one process {one_process:.1}×{}; {floor:.1}× the floor{}",
        ours.as_secs_f64() * 1e3,
        goal("≥ 40×", a_loop < 40.0),
        goal("≥ 6×", one_process < 6.0),
        goal("≤ 2×", floor > 2.0),
    );
}

/// Prints what looking at `count` files takes: whether they are encrypted (`sops filestatus` says no more), for whom, and
/// by the policy's rules.
pub(crate) fn check(count: usize) {
    let repo = Repo::new(count);
    // The files are to be what the policy says.
    let policy = fs::read_to_string(repo.path().join(".sops.yaml")).unwrap();
    let (three, _) = policy.trim_end().rsplit_once(',').unwrap();
    fs::write(repo.path().join(".sops.yaml"), format!("{three}\n")).unwrap();
    let ours = repo.ours(&["check"]);
    let a_loop = times(repo.a_loop(&["filestatus"]), ours);
    println!(
        "check {count} files: {:.0} ms; sops filestatus as a loop {a_loop:.1}×",
        ours.as_secs_f64() * 1e3
    );
}

fn times(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}
