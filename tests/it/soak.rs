//! What the crash tests do at chosen places, at random ones and for long: `just soak`. The built program is killed by
//! SIGKILL while GitLab loses replies, commits late, fails and is slow; then it runs once more, and all must be well.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use provision::lock::Lock;
use provision::token::TokenId;
use sha2::{Digest as _, Sha256};

use crate::support::canaries::Canaries;
use crate::support::lab::Lab;

/// Seconds that the soak may take.
const LIMIT: &str = "PROVISION_SOAK_SECONDS";

/// Rounds at one desk, before the next one is furnished.
const ROUNDS: usize = 12;

/// How late a late commit is.
const LATE: Duration = Duration::from_millis(150);

const FAULTS: [&str; 10] = [
    "POST /groups/*/access_tokens x1 lose-reply",
    "POST /groups/*/access_tokens x1 delay 150ms",
    "POST /groups/*/access_tokens x1 cut",
    "POST /groups/*/access_tokens x1 truncate",
    "POST /groups/*/access_tokens x1 502",
    "DELETE * x1 lose-reply",
    "GET * x1 cut",
    "GET * x2 502",
    "* * x2 429 0",
    "* * x4 delay 20ms",
];

#[test]
#[ignore = "takes as long as PROVISION_SOAK_SECONDS says: just soak"]
fn killed_at_random_moments_while_gitlab_misbehaves() {
    let seconds = std::env::var(LIMIT).unwrap_or_else(|_| panic!("{LIMIT} is not set"));
    let end = Instant::now() + Duration::from_secs(seconds.parse().unwrap());
    let (mut rounds, mut kills) = (0, 0);
    while Instant::now() < end {
        let lab = Lab::new();
        let mut values = Vec::new();
        let mut usual = run_to_the_end(&lab);
        for round in 0..ROUNDS {
            wish(&lab, round);
            for _ in 0..=random(2) {
                misbehave(&lab);
                kills += usize::from(is_killed(&lab, random(usual.as_millis() as u64 * 5 / 4)));
            }
            lab.gitlab.clear_faults();
            pause(&lab, 2 * LATE);
            usual = run_to_the_end(&lab);
            values.push(assert_all_is_well(&lab));
            rounds += 1;
        }
        Canaries::of(&lab, values).are_nowhere_in(&lab);
    }
    eprintln!("killed {kills} times in {rounds} rounds");
    assert!(kills > 0, "nothing was killed");
}

fn random(most: u64) -> u64 {
    getrandom::u64().unwrap() % (most + 1)
}

/// Something that only a new token fulfils, committed.
fn wish(lab: &Lab, round: usize) {
    let scopes = ["[read_api]", "[read_api, read_repository]"][round % 2];
    let profile = lab.read("environments/qa.yaml");
    let wished = profile.lines().map(|line| match line.split_once("scopes:") {
        Some((indent, _)) => format!("{indent}scopes: {scopes}\n"),
        None => format!("{line}\n"),
    });
    lab.write("environments/qa.yaml", &wished.collect::<String>());
    lab.commit_all("wish");
}

fn misbehave(lab: &Lab) {
    lab.gitlab.clear_faults();
    for _ in 0..random(2) {
        let fault = FAULTS[random(FAULTS.len() as u64 - 1) as usize];
        lab.gitlab.add_fault(fault.parse().unwrap());
    }
}

/// Lets time pass while GitLab goes on.
fn pause(lab: &Lab, time: Duration) {
    let _ = lab.gitlab.wait_until(time, |_| false);
}

/// Starts a run and kills it after so many milliseconds; whether it was still there.
fn is_killed(lab: &Lab, after: u64) -> bool {
    let mut command = lab.command(["--env", "qa", "--yes"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    pause(lab, Duration::from_millis(after));
    child.kill().unwrap();
    let run = child.wait_with_output().unwrap();
    let (status, said) = (run.status, String::from_utf8_lossy(&run.stderr));
    assert!(status.signal() == Some(9) || [0, 4, 8].contains(&status.code().unwrap()), "{status}\n{said}");
    status.signal().is_some()
}

fn run_to_the_end(lab: &Lab) -> Duration {
    let start = Instant::now();
    lab.provision(["--env", "qa", "--yes"]).ok();
    start.elapsed()
}

/// No orphan lives, the value at HEAD is the live one, and git is as it should be; the value.
#[track_caller]
fn assert_all_is_well(lab: &Lab) -> String {
    let lock = Lock::read("environments/locks/qa.yaml", &lab.read("environments/locks/qa.yaml")).unwrap();
    let instance = &lock.tokens["backstage"].gitlab;
    let minted = lab.minted();
    let live = minted.iter().filter(|token| token["active"] == true);
    for token in live.clone() {
        let id = TokenId(token["id"].as_u64().unwrap());
        assert!(lock.names(id, instance), "an orphan lives: {token}");
    }
    let value = lab.value("secrets/qa.sops.yaml", "GITLAB_TOKEN");
    let digest = Sha256::digest(&value).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let current = lock.tokens["backstage"].id.0;
    let of_head = live.clone().find(|token| token["sha256"] == digest.as_str());
    assert_eq!(of_head.and_then(|token| token["id"].as_u64()), Some(current), "{minted:?}");
    assert_eq!(lab.git(["status", "--porcelain"]), "");
    assert_eq!(lab.git(["fsck", "--strict", "--no-dangling"]), "");
    value
}
