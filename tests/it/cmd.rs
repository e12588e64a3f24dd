//! The refusals that a person can bring about with a shell: tests/cmd/*.trycmd, one rule a file, named after it.
//!
//! Each case has a desk of its own: an empty folder, a home, an age key, an embedded GitLab with a frozen clock. The
//! programs get nothing of the caller's environment. A run that fails must leave files, index and HEAD as they were
//! (the program is started through a script that looks before and after), and GitLab has made no token beside those that
//! a run has reported.

use std::fs;
use std::os::unix::fs::symlink;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use provision::gitlab::emulator::{Config, Emulator, Time};
use provision::sops::generate_identity;
use trycmd::TestCases;
use trycmd::schema::Bin;

use crate::support::program::script;
use crate::support::{lab, sops};

/// Starts the program; where it fails, everything must be as it was.
const WITNESS: &str = r#"#!/bin/sh
look() {
  git rev-parse HEAD
  git status --porcelain=v2 --ignored
  find . -name .git -prune -o \( -type f -exec cksum {} + \)
  find . -name .git -prune -o -print | sort
} 2>&1
before=$(look)
"$PROGRAM" "$@"
status=$?
if [ "$status" -ne 0 ] && [ "$before" != "$(look)" ]; then
  echo "it failed, and it changed this: $(look)"
  exit 99
fi
exit "$status"
"#;

#[test]
fn each_case_ends_as_it_says_and_a_refusal_changes_nothing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cmd");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "trycmd"))
        .collect();
    cases.sort();
    assert!(!cases.is_empty());
    let failed: Vec<_> =
        cases.iter().filter(|case| catch_unwind(AssertUnwindSafe(|| run(case))).is_err()).collect();
    assert!(failed.is_empty(), "{} of {} cases failed: {failed:#?}", failed.len(), cases.len());
}

/// Runs a copy of the case, for trycmd gives a folder of its own only to a case with a folder of expected files beside
/// it. With TRYCMD=overwrite the copy goes back.
fn run(case: &Path) {
    let desk = tempfile::tempdir().unwrap();
    let time = Time::Frozen(lab::NOW.parse().unwrap());
    let gitlab = Emulator::start(Config { time, ..Config::default() }).unwrap();
    let copy = desk.path().join(case.file_name().unwrap());
    let text = fs::read_to_string(case).unwrap();
    fs::write(&copy, &text).unwrap();
    fs::create_dir(copy.with_extension("out")).unwrap();

    let home = desk.path().join("home");
    fs::create_dir(&home).unwrap();
    fs::write(home.join(".gitconfig"), lab::GIT_CONFIG).unwrap();
    let (identity, recipient) = generate_identity();
    let token = gitlab.operator_token();
    let tools = desk.path().join("tools");
    fs::create_dir(&tools).unwrap();
    script(&tools.join("provision"), WITNESS);
    symlink(sops::binary(), tools.join("sops")).unwrap();
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    let environment = [
        ("PATH", path.as_str()),
        ("HOME", home.to_str().unwrap()),
        ("TZ", "UTC"),
        ("NO_COLOR", "1"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GITLAB_TOKEN", token.expose()),
        ("GITLAB_HOST", gitlab.url()),
        ("SOPS_AGE_KEY", identity.expose()),
        ("SOPS_DISABLE_VERSION_CHECK", "1"),
        ("PROGRAM", env!("CARGO_BIN_EXE_provision")),
    ];

    let tests = TestCases::new();
    for name in ["provision", "sops", "git", "env", "perl", "sh"] {
        let launcher = desk.path().join(format!("launch-{name}"));
        script(&launcher, &launch(name, &environment));
        tests.register_bin(name, Bin::Path(launcher));
    }
    tests.insert_var("[GITLAB]", gitlab.url().to_owned()).unwrap();
    tests.insert_var("[RECIPIENT]", recipient.to_string()).unwrap();
    let short = provision::sops::Reader::Age(recipient.clone()).short();
    tests.insert_var("[SHORT]", short).unwrap();
    tests.insert_var("[DESK]", desk.path().to_str().unwrap().to_owned()).unwrap();
    tests.case(&copy).run();

    let state = gitlab.state();
    let tokens = state["tokens"].as_array().unwrap();
    let is_ours = |text: &str| text.starts_with("provision ");
    let minted = tokens.iter().filter(|token| token["description"].as_str().is_some_and(is_ours)).count();
    let text = fs::read_to_string(&copy).unwrap();
    if std::env::var("TRYCMD").is_ok_and(|mode| mode == "overwrite") {
        fs::write(case, &text).unwrap();
    }
    assert_eq!(minted, text.matches(" is group token ").count(), "{}: tokens at GitLab", case.display());
}

/// A script that starts `program` in this environment and no other; `env NAME=VALUE program` changes it.
fn launch(program: &str, environment: &[(&str, &str)]) -> String {
    let assign =
        |(name, value): &(&str, &str)| shlex::try_quote(&format!("{name}={value}")).unwrap().into_owned();
    let assigned: Vec<String> = environment.iter().map(assign).collect();
    format!("#!/bin/sh\nexec env -i {} {program} \"$@\"\n", assigned.join(" "))
}
