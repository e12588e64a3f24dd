//! People come and go under a policy with anchors, comments, several rules, groups of keys with a threshold, and keys of
//! age, ssh and PGP side by side; the stock sops reads after each step.

use crate::support::holder::{Holder, Machine};
use crate::support::lab::Lab;

const X: &str = "secrets/x.sops.yaml";
const SHARED: &str = "secrets/shared/y.sops.json";
const TEAM: &str = "secrets/team/z.sops.env";

struct Story<'a> {
    lab: Lab,
    machine: Machine,
    ana: Holder,
    ben: &'a Holder,
    sam: &'a Holder,
    pia: &'a Holder,
    eva: &'a Holder,
}

impl Story<'_> {
    fn policy(&self) -> String {
        let [ana, ben, sam, pia] = [&self.ana, self.ben, self.sam, self.pia].map(|one| &one.key);
        format!(
            "# who reads what\nkeys:\n  - &ana {ana} # laptop\n  - &ben {ben}\n  - &sam {sam}\n  - &pia {pia} # her \
             card\n\ncreation_rules:\n  # both groups together\n  - path_regex: ^secrets/shared/\n    shamir_threshold: \
             2\n    key_groups:\n      - age: [*ana, *ben] # people\n      - age:\n          - *sam\n        pgp:\n          \
             - *pia\n  - path_regex: ^secrets/team/\n    age: '{ana}, {ben}'\n    pgp: *pia\n  - path_regex: ^secrets/ # \
             the rest\n    age:\n      - *ana\n      - *sam\n"
        )
    }

    /// The program with keys for all groups.
    #[track_caller]
    fn ours(&self, args: &[&str]) {
        let said = self.machine.ours(&self.lab, &[&self.ana, self.sam], args);
        assert_eq!(said.status, 0, "{}{}", said.out, said.err);
    }

    /// Whom the stock sops opens a file for.
    #[track_caller]
    fn check(&self, file: &str, opens: &[&[&Holder]], stays_closed: &[&[&Holder]]) {
        let rows = opens.iter().map(|people| (people, true));
        for (people, wanted) in rows.chain(stays_closed.iter().map(|people| (people, false))) {
            let said = self.machine.stock(&self.lab, people, &["decrypt", file]);
            let names: Vec<&str> = people.iter().map(|one| one.key.as_str()).collect();
            assert_eq!(said.status == 0, wanted, "{file} for {names:?}: {}", said.err);
        }
    }
}

/// What the second text lacks of the first, line by line.
fn gone<'a>(before: &'a str, after: &str) -> Vec<&'a str> {
    let plain = |line: &'a str| line.trim_end_matches(',');
    before
        .lines()
        .map(plain)
        .filter(|line| !after.lines().any(|now| now.trim_end_matches(',') == *line))
        .collect()
}

#[test]
fn somebody_comes_into_a_group_and_goes_again_and_the_policy_is_what_it_was() {
    let [ben, eva] = [Holder::native(), Holder::native()];
    let (sam, pia) = (Holder::ssh("id_ed25519"), Holder::pgp());
    let lab = Lab::new();
    let (ana, machine) = (Holder::owner_of(&lab), Machine::for_all(&[&pia]));
    let story = Story { lab, machine, ana, ben: &ben, sam: &sam, pia: &pia, eva: &eva };
    let (lab, ana, eva) = (&story.lab, &story.ana, story.eva);
    let before = story.policy();
    lab.write(".sops.yaml", &before);
    let plain =
        [(X, "# note\na: one\nb: [2, null]\n"), (SHARED, "{\n\t\"a\": \"one\"\n}\n"), (TEAM, "A=one\n")];
    for (file, text) in plain {
        lab.write(file, text);
        story.machine.stock(lab, &[], &["encrypt", "-i", file]).ok();
    }
    lab.commit_all("files");
    story.ours(&["rekey", "--check"]);
    let old = plain.map(|(file, _)| lab.read(file));

    story.ours(&["keys", "add", "eva", &eva.key, "--file", X, "--file", TEAM, "--yes"]);
    story.ours(&["keys", "add", "eva", &eva.key, "--file", SHARED, "--group", "1", "--yes"]);
    story.check(X, &[&[eva], &[ana], &[&sam]], &[&[&ben], &[&pia]]);
    story.check(TEAM, &[&[eva], &[&ben], &[&pia]], &[&[&sam]]);
    let two_groups: [&[&Holder]; 3] = [&[eva, &sam], &[eva, &pia], &[&ben, &pia]];
    story.check(SHARED, &two_groups, &[&[eva], &[eva, ana], &[&sam, &pia]]);
    for ((file, _), old) in plain.iter().zip(&old) {
        assert_eq!(gone(old, &lab.read(file)), [""; 0], "{file}");
    }

    // The policy by hand: another group, and nobody but pia in it beside who was there.
    let edited =
        lab.read(".sops.yaml").replace("      - age:\n          - *sam\n        pgp:\n", "      - pgp:\n");
    lab.write(".sops.yaml", &edited);
    lab.commit_all("sam leaves the second group");
    story.ours(&["rekey", "--yes"]);
    story.check(SHARED, &[&[eva, &pia], &[ana, &pia]], &[&[eva, &sam], &[&sam, ana], &[&pia]]);
    story.check(X, &[&[eva], &[&sam]], &[&[&pia]]);

    let said = story.machine.ours(lab, &[ana, &sam, &pia], &["keys", "remove", "eva", "--yes"]).ok();
    assert!(said.out.contains("3 files are as .sops.yaml says now"), "{}", said.out);
    let without = before.replace("      - age:\n          - *sam\n        pgp:\n", "      - pgp:\n");
    assert_eq!(lab.read(".sops.yaml"), without);
    story.check(X, &[&[ana], &[&sam]], &[&[eva], &[eva, &pia]]);
    story.check(TEAM, &[&[ana], &[&ben], &[&pia]], &[&[eva], &[&sam]]);
    story.check(SHARED, &[&[ana, &pia], &[&ben, &pia]], &[&[eva, &pia], &[eva, &sam, &pia], &[ana, &sam]]);
    story.ours(&["check"]);
    assert_eq!(lab.git(["status", "--porcelain"]), "");
}
