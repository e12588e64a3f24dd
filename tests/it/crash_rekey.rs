//! A rekey is broken at every effect, and the built program is killed while it writes 500 files: no file is ever broken,
//! and the next run completes what the first began.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::process::Stdio;
use std::rc::Rc;

use provision::apply::rekey::{How, rekey};
use provision::error::{Error, Kind};
use provision::observe::rekey::{Wish, observe};
use provision::plan::rekey::{Done, plan};
use provision::repo::Repository;
use provision::secret::Secret;
use provision::sops::{Alone, Draft, Encrypted, Format, Identities, Rule};
use provision::world::{System, World};

use crate::support::desk::silent;
use crate::support::fault::Fault;
use crate::support::faulty::{Faulty, Gone};
use crate::support::lab::Lab;
use crate::support::people::{Person, policy};

const REGEX: &str = "^secrets/[^/]+\\.sops\\.yaml$";

struct Scene {
    lab: Lab,
    ana: Person,
    ben: Person,
    eva: Person,
    files: Vec<PathBuf>,
    /// The policy that is to be written with the files; none: it is committed already.
    edit: Option<String>,
    head: String,
}

/// So many files for ana and ben, one of them with a token, and a policy that has eva in the place of ben.
fn scene(count: usize, edits_policy: bool) -> Scene {
    let lab = Lab::today();
    let (ana, ben, eva) = (Person::owner_of(&lab), Person::new("ben"), Person::new("eva"));
    let before = policy(&[&ana, &ben], &[(REGEX, &["ana", "ben"])]);
    let after = policy(&[&ana, &eva], &[(REGEX, &["ana", "eva"])]);
    lab.write(".sops.yaml", &before);
    lab.commit_all("ana and ben");
    lab.provision(["--env", "qa", "--yes"]).ok();
    let rule = Rule::own([&ana, &ben].map(|person| person.recipient.parse().unwrap()));
    let mut files = vec![lab.repo().join("secrets/qa.sops.yaml")];
    for number in 0..count {
        let text = format!("# note\nnumber: {number}\npassword: hunter2\n");
        let draft = Draft::parse(Format::Yaml, &text).unwrap();
        let sealed = draft.seal(&rule, &Alone, jiff::Timestamp::UNIX_EPOCH, &[]).unwrap();
        let path = lab.repo().join(format!("secrets/f{number}.sops.yaml"));
        fs::write(&path, sealed.bytes()).unwrap();
        files.push(path);
    }
    lab.commit_all("files");
    let edit = edits_policy.then_some(after.clone());
    if edit.is_none() {
        lab.write(".sops.yaml", &after);
        lab.commit_all("eva for ben");
    }
    let head = lab.head();
    Scene { lab, ana, ben, eva, files, edit, head }
}

enum End {
    Gone,
    Done(Box<Done>),
    Failed(Error),
}

impl Scene {
    fn attempt(&self, effects: &Rc<Faulty>) -> Result<Done, Error> {
        let world = World::new(effects.clone(), self.lab.variables(), self.lab.repo());
        let repo = Rc::new(Repository::discover(&self.lab.repo())?);
        let at_head = self.lab.git(["show", "HEAD:.sops.yaml"]);
        let policy = self.edit.clone().filter(|text| text.trim_end() != at_head);
        let (ground, observed) = observe(&repo, &world, Wish { within: Vec::new(), policy })?;
        let how = How { commit: true, subject: None };
        Ok(rekey(plan(observed)?, &ground, how, &world, &silent())?.0)
    }

    fn run(&self, effects: &Rc<Faulty>) -> End {
        match catch_unwind(AssertUnwindSafe(|| self.attempt(effects))) {
            Ok(Ok(done)) => End::Done(Box::new(done)),
            Ok(Err(error)) => End::Failed(error),
            Err(panic) if panic.is::<Gone>() => End::Gone,
            Err(panic) => resume_unwind(panic),
        }
    }

    fn effects(&self, fault: Option<(usize, Fault)>) -> Rc<Faulty> {
        let system = System::new(None, &self.lab.variables(), &self.lab.repo()).unwrap();
        Faulty::new(&Rc::new(system), fault)
    }

    /// Who opens the file, with its MAC; panics where nobody whom it should be for does.
    #[track_caller]
    fn readers(&self, file: &PathBuf) -> Vec<&'static str> {
        let text = fs::read(file).unwrap();
        let opens = |person: &&&Person| {
            let identity = Secret::new(person.identity.clone());
            let identities = Identities::parse([(person.name, identity)]).unwrap();
            Encrypted::parse(Format::Yaml, &text).unwrap().open(&identities).is_ok()
        };
        [&self.ana, &self.ben, &self.eva].iter().filter(opens).map(|person| person.name).collect()
    }

    /// Each file is what it was, or what it was to be.
    #[track_caller]
    fn no_file_is_broken(&self) {
        for file in &self.files {
            let readers = self.readers(file);
            assert!(
                readers == ["ana", "ben"] || readers == ["ana", "eva"],
                "{}: {readers:?}",
                file.display()
            );
        }
    }

    #[track_caller]
    fn is_complete(&self) {
        for file in &self.files {
            assert_eq!(self.readers(file), ["ana", "eva"], "{}", file.display());
        }
        self.lab.provision(["check"]).ok();
        assert_eq!(self.lab.git(["status", "--porcelain", "--ignored"]), "");
        assert_eq!(self.lab.git(["rev-list", "--count", &format!("{}..HEAD", self.head)]), "1");
        assert_eq!(self.lab.git(["fsck", "--strict", "--no-dangling"]), "");
    }
}

fn broken_at_every_effect(edits_policy: bool) {
    let whole = scene(4, edits_policy);
    let effects = whole.effects(None);
    assert!(matches!(whole.run(&effects), End::Done(_)));
    whole.is_complete();
    let story = effects.story();
    assert!(story.iter().any(|(_, what)| what == "write 5 files"), "{story:?}");
    for (number, (effect, what)) in story.iter().enumerate() {
        for &fault in effect.faults() {
            let scene = scene(4, edits_policy);
            let broken = scene.effects(Some((number, fault)));
            let end = scene.run(&broken);
            assert_eq!(broken.struck().as_ref(), Some(&story[number]));
            match &end {
                End::Failed(error) if *what != story[0].1 => {
                    assert_eq!(error.kind(), Kind::HalfWay, "{what}: {error}");
                }
                // Nothing is left to stop before.
                End::Done(_) if fault == Fault::Asked && number + 1 == story.len() => {}
                End::Done(done) => panic!("{fault:?} at {what} was not noticed: {done:?}"),
                End::Failed(_) | End::Gone => {}
            }
            scene.no_file_is_broken();
            match scene.run(&scene.effects(None)) {
                End::Done(done) => assert!(done.skipped.is_empty(), "{fault:?} at {what}: {done:?}"),
                End::Failed(error) => panic!("{fault:?} at {what}: {error} {:?}", error.causes()),
                End::Gone => unreachable!(),
            }
            scene.is_complete();
        }
    }
}

#[test]
fn a_rekey_broken_at_every_effect() {
    broken_at_every_effect(false);
}

#[test]
fn a_rekey_with_its_policy_broken_at_every_effect() {
    broken_at_every_effect(true);
}

/// The moment is when so many files have changed, whatever the machine.
#[test]
fn killed_while_it_writes_five_hundred_files() {
    let scene = scene(499, false);
    let before: Vec<Vec<u8>> = scene.files.iter().map(|file| fs::read(file).unwrap()).collect();
    let changed = || {
        let now =
            scene.files.iter().zip(&before).filter(|(file, before)| fs::read(file).unwrap() != **before);
        now.count()
    };
    for wanted in [1, 60, 200, 350] {
        let mut command = scene.lab.command(["rekey", "--yes", "--quiet"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while child.try_wait().unwrap().is_none() && changed() < wanted {}
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert!(status.signal() == Some(9) || status.success(), "{status}");
        scene.no_file_is_broken();
    }
    scene.lab.provision(["rekey", "--yes"]).ok();
    scene.is_complete();
}
