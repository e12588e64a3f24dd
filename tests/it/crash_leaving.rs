//! Somebody leaves, and the tokens that they could read are replaced in the same run: the whole command is broken at every
//! effect. No successor is ever encrypted for who left, no live token is lost, and the same command goes on to the end.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use clap::Parser as _;
use provision::cli::Cli;
use provision::commands::{self, Exit};
use provision::error::{Error, Kind};
use provision::secret::Secret;
use provision::sops::{Encrypted, Format, Identities};
use provision::ui::Ui;
use provision::world::World;

use crate::support::canaries::Canaries;
use crate::support::desk::{Desk, SECRETS};
use crate::support::fault::{Effect, Fault};
use crate::support::faulty::{Faulty, Gone};
use crate::support::people::{Person, policy};

struct Scene {
    desk: Desk,
    ben: Person,
    /// Tokens that ben could read.
    known: BTreeSet<u64>,
}

enum End {
    Gone,
    Done(Exit),
    Failed(Error),
}

/// A token in a file for ana and ben.
fn scene() -> Scene {
    let desk = Desk::new();
    let (ana, ben) = (Person::owner_of(&desk.lab), Person::new("ben"));
    desk.lab.write(".sops.yaml", &policy(&[&ana, &ben], &[("^secrets/", &["ana", "ben"])]));
    desk.lab.commit_all("ana and ben");
    desk.lab.provision(["--env", "qa", "--yes"]).ok();
    let known = desk.ours();
    assert_eq!(known.len(), 1);
    Scene { desk, ben, known }
}

impl Scene {
    fn run(&self, effects: &Rc<Faulty>) -> End {
        let mut variables = self.desk.lab.variables();
        variables.gitlab_token = Some(self.desk.lab.gitlab.operator_token());
        variables.gitlab_host = Some(self.desk.lab.gitlab.url().to_owned());
        let world = World::new(effects.clone(), variables, self.desk.lab.repo());
        let cli = ["provision", "--quiet", "keys", "remove", "ben", "--rotate-tokens", "--yes"];
        let cli = Cli::try_parse_from(cli).unwrap();
        let ui = Ui::new(&cli.global, true, true);
        let run = || self.desk.block_on(commands::run(cli, ui, &world));
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(exit)) => End::Done(exit),
            Ok(Err(error)) => End::Failed(error),
            Err(panic) if panic.is::<Gone>() => End::Gone,
            Err(panic) => resume_unwind(panic),
        }
    }

    /// Which tokens ben finds in the file, whatever it is now.
    fn ben_reads(&self) -> bool {
        let bytes = std::fs::read(self.desk.lab.repo().join(SECRETS)).unwrap();
        let identity = Secret::new(self.ben.identity.clone());
        let identities = Identities::parse([("ben", identity)]).unwrap();
        Encrypted::parse(Format::Yaml, &bytes).unwrap().open(&identities).is_ok()
    }

    /// What must be true wherever the run was broken.
    #[track_caller]
    fn nothing_is_lost_or_let_out(&self) {
        self.desk.head_is_live();
        if self.ben_reads() {
            assert_eq!(self.desk.ours(), self.known, "a successor while ben still reads");
        }
    }

    #[track_caller]
    fn is_complete(&self) {
        assert!(!self.ben_reads());
        let lock = self.desk.lab.read("environments/locks/qa.yaml");
        let current = lock.lines().find_map(|line| line.trim().strip_prefix("id: ")).unwrap();
        assert!(!self.known.contains(&current.parse().unwrap()), "{lock}");
        self.desk.all_is_well();
    }
}

#[test]
fn a_removal_with_successors_broken_at_every_effect() {
    let whole = scene();
    let effects = whole.desk.effects(None);
    assert!(matches!(whole.run(&effects), End::Done(Exit::Done)));
    whole.is_complete();
    let story = effects.story();
    let position = |wanted: &str| story.iter().position(|(_, what)| what.contains(wanted));
    let out = position("commit .sops.yaml").or_else(|| position("commit environments")).unwrap();
    assert!(out < position("POST /groups").unwrap(), "{story:?}");
    for (number, (effect, what)) in story.iter().enumerate() {
        for &fault in effect.faults() {
            let scene = scene();
            let broken = scene.desk.effects(Some((number, fault)));
            let end = scene.run(&broken);
            let case = format!("{fault:?} at {number}: {what}");
            match &end {
                // A request that only reads is sent again.
                End::Done(_) if *effect == Effect::Read || fault == Fault::Asked => {}
                End::Done(exit) => assert_eq!(*exit, Exit::Attention, "{case}"),
                End::Failed(error) if number > out => {
                    assert_eq!(error.kind(), Kind::HalfWay, "{case}: {error}");
                }
                End::Failed(_) | End::Gone => {}
            }
            scene.nothing_is_lost_or_let_out();
            let again = scene.desk.effects(None);
            match scene.run(&again) {
                End::Done(_) => {}
                End::Failed(error) => panic!("{case}: {error} {:?}", error.causes()),
                End::Gone => unreachable!(),
            }
            scene.is_complete();
            let values = broken.values().into_iter().chain(again.values());
            Canaries::of(&scene.desk.lab, values).are_nowhere_in(&scene.desk.lab);
        }
    }
}
