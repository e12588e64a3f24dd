//! Memory over many files: what a command needs grows by little with each, so that ten thousand stay under 64 MiB.

use std::fs;
use std::process::Command;

use provision::sops::{Alone, Draft, Format, Rule};

use crate::support::lab::{Lab, said};
use crate::support::people::{Person, policy};

const REGEX: &str = "^secrets/";

/// What one more file may cost, in KiB. It is about 2, and twice that where other programs keep the machine busy and more
/// files are under way at once.
const EACH: f64 = 8.0;

/// Files for ana and ben, all different; and the policy.
fn files(count: u16) -> Lab {
    let lab = Lab::bare(None);
    let (ana, ben) = (Person::owner_of(&lab), Person::new("ben"));
    lab.write(".sops.yaml", &policy(&[&ana, &ben], &[(REGEX, &["ana", "ben"])]));
    let rule = Rule::own([&ana, &ben].map(|person| person.recipient.parse().unwrap()));
    fs::create_dir(lab.repo().join("secrets")).unwrap();
    for number in 0..count {
        let text = format!("# note\nnumber: {number}\nuser: app\npassword: hunter2\n");
        let draft = Draft::parse(Format::Yaml, &text).unwrap();
        let sealed = draft.seal(&rule, &Alone, jiff::Timestamp::UNIX_EPOCH, &[]).unwrap();
        fs::write(lab.repo().join(format!("secrets/{number}.sops.yaml")), sealed.bytes()).unwrap();
    }
    lab.commit_all("files");
    lab
}

/// Peak of the resident set in KiB, of the command or of a program that it starts, as the kernel tells who waits for it.
fn peak(lab: &Lab, args: &[&str]) -> f64 {
    let script = "import resource, subprocess, sys\n\
        status = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode\n\
        print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n\
        sys.exit(status)";
    let command = lab.command(args);
    let mut measured = Command::new("python3");
    measured.args(["-c", script]).arg(command.get_program()).args(command.get_args());
    measured.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    measured.current_dir(lab.repo());
    let said = said(&mut measured);
    assert!([0, 3].contains(&said.status), "{args:?}: {}", said.err);
    said.out.trim().parse().unwrap()
}

#[test]
fn each_file_costs_little_memory() {
    let (few, many) = (200_u16, 1200);
    let labs = [few, many].map(files);
    for args in [&["check"][..], &["keys", "remove", "ben", "--yes"]] {
        let [less, more] = labs.each_ref().map(|lab| peak(lab, args));
        let each = (more - less) / f64::from(many - few);
        assert!(each < EACH, "{args:?}: {less} and {more} KiB, {each:.1} KiB a file");
    }
}
