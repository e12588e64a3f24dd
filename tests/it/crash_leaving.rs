//! Somebody leaves, and the tokens that they could read are replaced in the same run: the whole command is broken at every
//! effect. No successor is ever encrypted for who left, no live token is lost, and the same command goes on to the end.

use std::collections::BTreeSet;
use std::rc::Rc;

use provision::commands::Exit;
use provision::error::Kind;
use provision::secret::Secret;
use provision::sops::{Encrypted, Format, Identities};

use crate::support::canaries::Canaries;
use crate::support::desk::{Desk, End, SECRETS};
use crate::support::fault::{Effect, Fault};
use crate::support::faulty::Faulty;
use crate::support::people::{Person, policy};

struct Scene {
    desk: Desk,
    ben: Person,
    /// Tokens that ben could read.
    known: BTreeSet<u64>,
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
        self.desk.command(effects, ["keys", "remove", "ben", "--rotate-tokens", "--yes"])
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
            assert_eq!(broken.struck().as_ref(), Some(&story[number]));
            assert_eq!(matches!(end, End::Gone), fault.is_death(), "{case}: {end:?}");
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
