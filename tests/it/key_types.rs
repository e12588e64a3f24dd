//! Keys of every type between the program and the stock sops: a file is made, gets a reader, a value, other data keys,
//! and loses a reader; after each step whoever should read it does, with either program, and nobody else.

use std::collections::BTreeSet;

use crate::support::holder::{Holder, Machine};
use crate::support::lab::Lab;

const QA: &str = "secrets/qa.sops.yaml";
/// A file of the stock sops, in another format.
const X: &str = "secrets/x.sops.json";

struct Story<'a> {
    lab: Lab,
    machine: &'a Machine,
}

/// The lists of a rule, or of one of its groups.
fn lists(holders: &[&Holder]) -> Vec<String> {
    let of = |list: &str| -> Option<String> {
        let keys: Vec<String> =
            holders.iter().filter(|one| one.list == list).map(|one| format!("'{}'", one.key)).collect();
        (!keys.is_empty()).then(|| format!("{list}: [{}]", keys.join(", ")))
    };
    ["age", "pgp"].into_iter().filter_map(of).collect()
}

impl<'a> Story<'a> {
    fn new(machine: &'a Machine) -> Self {
        Self { lab: Lab::new(), machine }
    }

    fn policy(&self, lines: &[String]) {
        let lines: String = lines.iter().map(|line| format!("\n    {line}")).collect();
        self.lab.write(".sops.yaml", &format!("creation_rules:\n  - path_regex: ^secrets/{lines}\n"));
        self.lab.commit_all("policy");
    }

    fn is_for(&self, holders: &[&Holder]) {
        self.policy(&lists(holders));
    }

    fn is_for_groups(&self, threshold: usize, groups: &[&[&Holder]]) {
        let groups: Vec<String> =
            groups.iter().map(|group| format!("{{{}}}", lists(group).join(", "))).collect();
        let groups = format!("key_groups: [{}]", groups.join(", "));
        self.policy(&[format!("shamir_threshold: {threshold}"), groups]);
    }

    #[track_caller]
    fn ours(&self, people: &[&Holder], args: &[&str]) {
        self.machine.ours(&self.lab, people, args).ok();
    }

    #[track_caller]
    fn stock(&self, people: &[&Holder], args: &[&str]) {
        self.machine.stock(&self.lab, people, args).ok();
    }

    /// These people make both files, one with each program.
    #[track_caller]
    fn make(&self, people: &[&Holder]) {
        self.ours(people, &["--env", "qa", "--yes"]);
        self.lab.write(X, "{\"a\": \"one\", \"b\": \"two\"}");
        self.stock(people, &["encrypt", "-i", X]);
        self.lab.commit_all("a file of the stock sops");
    }

    /// A run that puts another token into its file.
    #[track_caller]
    fn renew_token(&self, people: &[&Holder]) {
        let profile = self.lab.read("environments/qa.yaml");
        let (wide, narrow) = ("[read_api, ", "[");
        let other = if profile.contains(wide) {
            profile.replace(wide, narrow)
        } else {
            profile.replace("scopes: [", "scopes: [read_api, ")
        };
        assert_ne!(other, profile);
        self.lab.write("environments/qa.yaml", &other);
        self.lab.commit_all("other scopes");
        let before = self.lab.read(QA);
        self.ours(people, &["--env", "qa", "--yes"]);
        assert_ne!(self.lab.read(QA), before);
    }

    /// Whether these people together read both files, with both programs.
    #[track_caller]
    fn check(&self, people: &[&Holder], reads: bool) {
        for file in [QA, X] {
            let stock = self.machine.stock(&self.lab, people, &["decrypt", file]);
            let ours = self.machine.ours(&self.lab, people, &["show", file, "--reveal"]);
            let expected = if reads { (0, 0) } else { (128, 7) };
            assert_eq!((stock.status, ours.status), expected, "{file}: {}{}", stock.err, ours.err);
            assert_eq!(stock.out, ours.out, "{file}");
        }
    }

    #[track_caller]
    fn value(&self, people: &[&Holder], value: &str) {
        let said = self.machine.ours(&self.lab, people, &["show", X, "a", "--reveal"]).ok();
        assert_eq!(said.out.trim_end(), value);
    }

    /// The lines of both files but those of `lastmodified` and `mac`.
    fn lines(&self) -> BTreeSet<String> {
        let text = self.lab.read(QA) + &self.lab.read(X);
        let kept =
            |line: &&str| !line.contains("lastmodified") && !line.contains("mac\"") && !line.contains("mac:");
        text.lines().filter(kept).map(|line| line.trim_end_matches(',').to_owned()).collect()
    }

    /// Nothing is encrypted with the same bytes as in these lines.
    #[track_caller]
    fn check_all_is_new(&self, before: &BTreeSet<String>) {
        let same: Vec<String> =
            self.lines().intersection(before).filter(|line| line.contains("ENC[")).cloned().collect();
        assert!(same.is_empty(), "{same:#?}");
    }

    /// The stock sops finds both files to be as the policy says.
    #[track_caller]
    fn stock_agrees(&self, people: &[&Holder]) {
        let before = self.lines();
        for file in [QA, X] {
            let said = self.machine.stock(&self.lab, people, &["updatekeys", "-y", file]).ok();
            assert!(said.err.contains("already up to date"), "{}", said.err);
        }
        assert_eq!(self.lines(), before);
    }
}

/// Everything that happens to a file, where `holder` is one of its readers.
fn whole_story(holder: &Holder) {
    let machine = Machine::for_all(&[holder]);
    let story = Story::new(&machine);
    let (ana, ben, eva) = (Holder::owner_of(&story.lab), Holder::native(), Holder::native());
    // For the holder alone.
    story.is_for(&[holder]);
    story.make(&[holder]);
    story.check(&[holder], true);
    story.check(&[&ana, &ben], false);
    // Two more come; nothing but their lines is new.
    let before = story.lines();
    story.is_for(&[holder, &ana, &ben]);
    story.ours(&[holder], &["rekey", "--yes"]);
    assert!(story.lines().is_superset(&before));
    for one in [holder, &ana, &ben] {
        story.check(&[one], true);
    }
    story.check(&[&eva], false);
    story.stock_agrees(&[holder]);
    // Values of a run of ours, and of the stock sops.
    story.renew_token(&[holder]);
    story.stock(&[holder], &["set", X, "[\"a\"]", "\"set by sops\""]);
    story.value(&[&ana], "set by sops");
    story.value(&[holder], "set by sops");
    story.lab.commit_all("set by sops");
    // Another data key, made by the stock sops.
    let before = story.lines();
    story.stock(&[holder], &["rotate", "-i", X]);
    story.lab.commit_all("rotated by sops");
    assert_ne!(story.lines(), before);
    story.check(&[holder], true);
    story.check(&[&ben], true);
    // Somebody goes, by the hand of the holder, who gets the new data key.
    let before = story.lines();
    story.is_for(&[holder, &ana]);
    story.ours(&[holder], &["rekey", "--yes"]);
    story.check_all_is_new(&before);
    story.check(&[&ben], false);
    story.check(&[holder], true);
    story.check(&[&ana], true);
    story.stock_agrees(&[holder]);
    // The holder goes, by the hand of somebody else, and comes back.
    let before = story.lines();
    story.is_for(&[&ana]);
    story.ours(&[&ana], &["rekey", "--yes"]);
    story.check_all_is_new(&before);
    story.check(&[holder], false);
    story.check(&[&ana], true);
    story.is_for(&[&ana, holder]);
    story.ours(&[&ana], &["rekey", "--yes"]);
    story.renew_token(&[&ana]);
    story.check(&[holder], true);
    story.ours(&[holder], &["check"]);
}

#[test]
fn several_age_keys() {
    whole_story(&Holder::native());
}

#[test]
fn an_ed25519_key_of_ssh() {
    whole_story(&Holder::ssh("id_ed25519"));
}

#[test]
fn an_rsa_key_of_ssh() {
    whole_story(&Holder::ssh("id_rsa"));
}

#[test]
fn a_key_of_a_plugin() {
    whole_story(&Holder::plugin());
}

#[test]
fn a_pgp_key() {
    whole_story(&Holder::pgp());
}

/// Two of three groups, with a key of another type in each; one of them in two groups' company.
fn story_of_groups(one: &Holder, two: &Holder, three: &Holder) {
    let machine = Machine::for_all(&[one, two, three]);
    let story = Story::new(&machine);
    let ben = Holder::native();
    story.is_for_groups(2, &[&[one], &[two], &[three]]);
    story.make(&[one, two]);
    let everybody = |story: &Story<'_>| {
        for pair in [[one, two], [two, three], [one, three]] {
            story.check(&pair, true);
        }
        for single in [one, two, three, &ben] {
            story.check(&[single], false);
        }
    };
    everybody(&story);
    story.stock_agrees(&[one, two]);
    // Somebody joins the first group.
    let before = story.lines();
    story.is_for_groups(2, &[&[one, &ben], &[two], &[three]]);
    story.ours(&[one, two], &["rekey", "--yes"]);
    assert!(story.lines().is_superset(&before));
    story.check(&[&ben, three], true);
    story.check(&[one, &ben], false);
    // Values, and another data key.
    story.renew_token(&[two, three]);
    story.stock(&[one, three], &["set", X, "[\"a\"]", "\"set by sops\""]);
    story.value(&[&ben, two], "set by sops");
    story.stock(&[two, three], &["rotate", "-i", X]);
    story.lab.commit_all("rotated by sops");
    story.check(&[&ben, two], true);
    // Somebody leaves the group again, then it takes all three, then one group is no more.
    let before = story.lines();
    story.is_for_groups(2, &[&[one], &[two], &[three]]);
    story.ours(&[two, three], &["rekey", "--yes"]);
    story.check_all_is_new(&before);
    story.check(&[&ben, two], false);
    everybody(&story);
    story.is_for_groups(3, &[&[one], &[two], &[three]]);
    story.ours(&[one, three], &["rekey", "--yes"]);
    story.check(&[one, three], false);
    story.check(&[one, two, three], true);
    story.is_for_groups(2, &[&[one], &[three]]);
    story.ours(&[one, two, three], &["rekey", "--yes"]);
    story.check(&[one, three], true);
    story.check(&[one, two], false);
    // And no groups.
    story.is_for(&[three]);
    story.ours(&[one, three], &["rekey", "--yes"]);
    story.check(&[three], true);
    story.check(&[one, two], false);
}

#[test]
fn groups_of_age_ssh_and_pgp() {
    story_of_groups(&Holder::native(), &Holder::ssh("id_ed25519"), &Holder::pgp());
}

#[test]
fn groups_of_a_plugin_age_and_rsa() {
    story_of_groups(&Holder::plugin(), &Holder::native(), &Holder::ssh("id_rsa"));
}
