//! People with keys of their own beside the lab's, and what they can read with the stock sops.

use provision::sops::generate_identity;

use super::lab::{Lab, Said, said};
use super::sops;

pub(crate) struct Person {
    pub(crate) name: &'static str,
    pub(crate) recipient: String,
    pub(crate) identity: String,
}

impl Person {
    pub(crate) fn new(name: &'static str) -> Self {
        let (identity, recipient) = generate_identity();
        Self { name, recipient: recipient.to_string(), identity: identity.expose().to_owned() }
    }

    /// The lab's owner.
    pub(crate) fn owner_of(lab: &Lab) -> Self {
        Self { name: "ana", recipient: lab.recipient.clone(), identity: lab.identity().to_owned() }
    }

    /// The stock sops with only this person's key.
    pub(crate) fn sops(&self, lab: &Lab, args: &[&str]) -> Said {
        let mut command = sops::command();
        command.env("HOME", "/nonexistent").env("SOPS_AGE_KEY", &self.identity);
        said(command.current_dir(lab.repo()).args(args))
    }

    /// The program with only this person's key.
    pub(crate) fn provision(&self, lab: &Lab, args: &[&str]) -> Said {
        let mut command = lab.command(args);
        command.env("SOPS_AGE_KEY", &self.identity).env("XDG_CONFIG_HOME", "/nonexistent");
        said(&mut command)
    }

    /// What the stock sops decrypts for this person; `None` where it does not.
    pub(crate) fn reads(&self, lab: &Lab, file: &str) -> Option<String> {
        let said = self.sops(lab, &["decrypt", file]);
        (said.status == 0).then_some(said.out)
    }
}

/// A policy with these people under `keys`, and for each rule those whom it names.
pub(crate) fn policy(people: &[&Person], rules: &[(&str, &[&str])]) -> String {
    let mut text = "# who reads what\nkeys:\n".to_owned();
    for person in people {
        text += &format!("  - &{} {} # laptop\n", person.name, person.recipient);
    }
    text += "creation_rules:\n";
    for (regex, names) in rules {
        text += &format!("  - path_regex: {regex}\n    age:\n");
        text += &names.iter().map(|name| format!("      - *{name}\n")).collect::<String>();
    }
    text
}
