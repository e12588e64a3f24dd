//! Commands that we tell people to type: they work where those stand, pasted as they are.

use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use crate::support::lab::{Lab, Said};
use crate::support::sops;

const POLICY: &str = ".sops.yaml";

/// A person in a folder of the repository.
struct Place<'a> {
    lab: &'a Lab,
    folder: &'a str,
}

impl Place<'_> {
    fn provision(&self, args: &[&str]) -> Said {
        let mut command = self.lab.command(args);
        Said::of(&command.current_dir(self.lab.repo().join(self.folder)).output().unwrap())
    }

    /// Types what stands behind `before` in a hint, up to the end of the line or of the sentence.
    #[track_caller]
    fn types(&self, said: &str, before: &str) {
        let at = said.find(before).unwrap_or_else(|| panic!("{before:?} is not in: {said}"));
        let line = said[at + before.len()..].lines().next().unwrap();
        let line = line.split([';', '(', ')']).next().unwrap().trim_end();
        // What git would open an editor for.
        let line = line.replace("git commit", "git commit -q -m typed");
        let tools = tempfile::tempdir().unwrap();
        symlink(sops::binary(), tools.path().join("sops")).unwrap();
        symlink(env!("CARGO_BIN_EXE_provision"), tools.path().join("provision")).unwrap();
        let path = format!("{}:{}", tools.path().display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("sh");
        shell.env_clear().env("PATH", path).env("HOME", self.lab.home()).env("GIT_CONFIG_NOSYSTEM", "1");
        shell.current_dir(self.lab.repo().join(self.folder)).stdin(Stdio::null());
        let typed = Said::of(&shell.args(["-c", &line]).output().unwrap());
        assert_eq!(typed.status, 0, "{line}: {typed:?}");
    }

    fn is_clean(&self) -> bool {
        self.lab.git(["status", "--porcelain"]).is_empty()
    }
}

#[test]
fn a_file_that_differs_from_head_is_committed_or_brought_back_from_any_folder() {
    for folder in ["", "environments", "secrets/devmode"] {
        let lab = Lab::new();
        std::fs::create_dir_all(lab.repo().join("secrets/devmode")).unwrap();
        let place = Place { lab: &lab, folder };
        let refused = || place.provision(&["--env", "qa", "--dry-run"]).refused(5, "hint: ").err;
        let policy = lab.read(POLICY);

        lab.write(POLICY, &format!("{policy}# one\n"));
        place.types(&refused(), "committed state: ");
        assert!(place.is_clean() && lab.read(POLICY) == policy, "{folder}");
        lab.write(POLICY, &format!("{policy}# one\n"));
        place.types(&refused(), "commit it: ");
        assert!(place.is_clean(), "{folder}");

        std::fs::remove_file(lab.repo().join(POLICY)).unwrap();
        place.types(&refused(), "committed state: ");
        assert!(place.is_clean() && lab.read(POLICY).contains("# one"), "{folder}");

        lab.git(["rm", "-q", "--cached", POLICY]);
        lab.git(["commit", "-q", "-m", "not tracked"]);
        place.types(&refused(), "in the clear, commit it: ");
        assert!(place.is_clean(), "{folder}");
    }
}

#[test]
fn a_file_that_was_added_and_edited_is_committed_or_taken_back_before_the_first_commit_too() {
    for born in [true, false] {
        let lab = Lab::new();
        let place = Place { lab: &lab, folder: "environments" };
        if born {
            lab.git(["rm", "-q", "--cached", POLICY]);
            lab.git(["commit", "-q", "-m", "not tracked"]);
        } else {
            std::fs::remove_dir_all(lab.repo().join(".git")).unwrap();
            lab.git(["init", "-q"]);
            lab.git(["add", "-A"]);
            lab.git(["rm", "-q", "--cached", POLICY]);
        }
        let policy = lab.read(POLICY);
        let refused = || place.provision(&["--env", "qa", "--dry-run"]).refused(5, POLICY).err;
        lab.git(["add", POLICY]);
        lab.write(POLICY, &format!("{policy}# edited\n"));
        let said = refused();
        assert!(said.contains("is added, but not committed, and was edited since"), "{said}");
        place.types(&said, "take it back: ");
        assert_eq!(lab.git(["ls-files", POLICY]), "");
        assert_eq!(lab.read(POLICY), format!("{policy}# edited\n"));

        lab.git(["add", POLICY]);
        lab.write(POLICY, &format!("{policy}# edited again\n"));
        place.types(&refused(), "commit it: ");
        assert!(place.is_clean());
    }
}

#[test]
fn what_comes_next_is_typed_where_one_stands() {
    let lab = Lab::bare(None);
    std::fs::create_dir_all(lab.repo().join("docs")).unwrap();
    let place = Place { lab: &lab, folder: "docs" };
    let init = ["init", "--yes", "--group", "alithya-csna", "--gitlab", lab.gitlab.url()];
    let said = place.provision(&init).ok();
    place.types(&said.err, "next:\n  ");
    assert!(place.is_clean());
    let said = place.provision(&["--env", "qa", "--yes"]).ok();
    place.types(&said.err, "read it: ");

    let attributes = place.provision(&["hook", "install", "--diff"]).ok();
    place.types(&attributes.err, "commit it: ");
    assert!(lab.git(["status", "--porcelain"]).starts_with("A  .gitattributes"));
}

#[test]
fn what_check_and_doctor_find_is_mended_where_one_stands() {
    let lab = Lab::new();
    lab.provision(["--env", "qa", "--yes"]).ok();
    let place = Place { lab: &lab, folder: "templates" };
    let (_, other) = provision::sops::generate_identity();
    let policy = lab.read(".sops.yaml").replace(&lab.recipient, &format!("{},{other}", lab.recipient));
    lab.write(".sops.yaml", &policy);
    lab.commit_all("one more reader");
    let said = place.provision(&["check"]).refused(3, "1 finding");
    assert!(said.out.starts_with("secrets/qa.sops.yaml:"), "{said:?}");
    assert!(said.out.contains("(provision rekey ../secrets/qa.sops.yaml)"), "{said:?}");
    let json = place.provision(&["check", "--json"]).out;
    assert!(json.contains("provision rekey secrets/qa.sops.yaml"), "machines read it from the root: {json}");
    place.provision(&["rekey", "--yes", "../secrets/qa.sops.yaml"]).ok();

    lab.write(POLICY, &format!("{}# edited\n", lab.read(POLICY)));
    let said = place.provision(&["doctor", "--offline"]);
    assert!(said.out.contains("-> or go back to the committed state: git restore"), "{said:?}");
    place.types(&said.out, "-> commit it: ");
    assert!(place.is_clean(), "{said:?}");
}
