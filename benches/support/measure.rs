//! Two commands in turn, and what they cost.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a row should reach; against the stock sops, or absolute.
#[derive(Clone, Copy)]
pub(crate) struct Goal {
    /// Wall time of ours, at most.
    pub(crate) milliseconds: Option<f64>,
    /// How many times faster than theirs, at least.
    pub(crate) times: Option<f64>,
    /// Peak memory of ours, at most.
    pub(crate) mebibytes: Option<f64>,
}

/// Medians of a row.
pub(crate) struct Compared {
    goal: Goal,
    theirs: Duration,
    pub(crate) ours: Duration,
    times: f64,
    /// Peak memory in MiB; `None` where there is no GNU time.
    memory: [Option<f64>; 2],
}

/// Runs both `runs` times in turn, after one run each that does not count.
pub(crate) fn compare(
    runs: usize,
    goal: Goal,
    theirs: impl Fn(usize) -> Command,
    ours: impl Fn(usize) -> Command,
) -> Compared {
    let memory = [peak(&theirs(runs)), peak(&ours(runs))];
    let pairs: Vec<_> = (0..runs).map(|run| (timed(theirs(run)), timed(ours(run)))).collect();
    Compared {
        goal,
        theirs: median(pairs.iter().map(|(theirs, _)| *theirs)),
        ours: median(pairs.iter().map(|(_, ours)| *ours)),
        times: median(pairs.iter().map(|(theirs, ours)| theirs.as_secs_f64() / ours.as_secs_f64())),
        memory,
    }
}

pub(crate) fn median<T: PartialOrd + Copy>(values: impl Iterator<Item = T>) -> T {
    let mut values: Vec<T> = values.collect();
    values.sort_by(|a, b| a.partial_cmp(b).unwrap());
    values[values.len() / 2]
}

/// Time of one command that must end well.
pub(crate) fn timed(mut command: Command) -> Duration {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let status = command.status().unwrap();
    let took = start.elapsed();
    assert!(status.success(), "{command:?}: {status}");
    took
}

/// Peak resident memory in MiB, by GNU time, which is as small as a program that starts others can be.
pub(crate) fn peak(command: &Command) -> Option<f64> {
    let mut outer = Command::new("/usr/bin/time");
    outer.args(["-f", "peak %M"]).arg(command.get_program()).args(command.get_args()).env_clear();
    outer.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = command.get_current_dir() {
        outer.current_dir(folder);
    }
    let output = outer.output().ok()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // 3: something wants attention.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{command:?}: {said}");
    let kibibytes: f64 = said.lines().last()?.strip_prefix("peak ")?.parse().ok()?;
    Some(kibibytes / 1024.0)
}

/// The head of the table.
pub(crate) fn head() {
    println!(
        "{:<30} {:>10} {:>10}   {:<24} {:>9}   {:<20}",
        "work", "sops", "ours", "ratio (goal)", "MiB sops", "MiB ours (goal)"
    );
}

impl Compared {
    /// The row.
    pub(crate) fn print(&self, work: &str) {
        let ratio = match (self.goal.times, self.goal.milliseconds) {
            (Some(goal), _) => format!("{:.1}× (≥ {goal}×){}", self.times, missed(self.times < goal)),
            (None, Some(goal)) => {
                let late = milliseconds(self.ours) > goal;
                format!("{:.1}× (≤ {goal} ms){}", self.times, missed(late))
            }
            (None, None) => format!("{:.1}×", self.times),
        };
        let shown = |memory: Option<f64>| memory.map_or_else(|| "-".to_owned(), |m| format!("{m:.1}"));
        let memory = match (self.goal.mebibytes, self.memory[1]) {
            (Some(goal), Some(ours)) => format!("{ours:.1} (≤ {goal}){}", missed(ours > goal)),
            (_, ours) => shown(ours),
        };
        println!(
            "{work:<30} {:>7.1} ms {:>7.1} ms   {ratio:<24} {:>9}   {memory:<20}",
            milliseconds(self.theirs),
            milliseconds(self.ours),
            shown(self.memory[0]),
        );
    }
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

pub(crate) fn missed(is_missed: bool) -> &'static str {
    if is_missed { " missed" } else { "" }
}
