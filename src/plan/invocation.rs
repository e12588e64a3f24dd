//! Commands of ours as a person types them. A hint that names the command for going on has it from here, made of what was
//! asked for: no option gets lost on the way.

use std::fmt;

use super::deliver::Way;
use super::options::{Chosen, End, Options, Renew};
use crate::error::word;

/// A command that has [`Options`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verb {
    /// `provision --env`.
    #[default]
    Provision,
    /// `provision bootstrap`.
    Bootstrap,
    /// `provision rotate`.
    Rotate,
    /// `provision revoke`.
    Revoke,
    /// `provision resume`.
    Resume,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Provision => "provision",
            Self::Bootstrap => "provision bootstrap",
            Self::Rotate => "provision rotate",
            Self::Revoke => "provision revoke",
            Self::Resume => "provision resume",
        })
    }
}

/// The command that does for one environment what the options say. It shows as the words of a shell.
#[derive(Debug)]
pub struct Invocation<'a> {
    options: &'a Options,
    environment: &'a str,
    only: Option<Vec<&'a str>>,
}

impl Options {
    /// The command that goes on with what an interrupted run began, the way that one went.
    #[must_use]
    pub fn resume(way: Option<Way>) -> Self {
        Self { verb: Verb::Resume, renew: Renew::Nothing, way, ..Self::default() }
    }

    /// The command that does this for one environment.
    #[must_use]
    pub fn command<'a>(&'a self, environment: &'a str) -> Invocation<'a> {
        Invocation { options: self, environment, only: None }
    }
}

impl<'a> Invocation<'a> {
    /// For these of the chosen entries only, where the command takes names.
    #[must_use]
    pub fn only(self, keys: impl IntoIterator<Item = &'a str>) -> Self {
        Self { only: Some(keys.into_iter().collect()), ..self }
    }

    fn keys(&self) -> Vec<String> {
        match (self.options.named(), &self.only) {
            (Some(_), Some(only)) => only.iter().map(word).collect(),
            (Some(Chosen::These(keys)), None) => keys.iter().map(word).collect(),
            (Some(Chosen::All) | None, _) => Vec::new(),
        }
    }
}

impl fmt::Display for Invocation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Options { verb, commit, renew, overlap, force, end, orphans, abandon, sync_template, .. } =
            self.options;
        write!(f, "{verb} --env {}", word(self.environment))?;
        let keys = self.keys();
        if !keys.is_empty() {
            write!(f, " --token {}", keys.join(","))?;
        }
        if let Some(overlap) = overlap {
            write!(f, " --overlap {}", word(&overlap.written))?;
        }
        if let Some(age) = orphans {
            write!(f, " --orphans --older-than {age:#}")?;
        }
        let flags = [
            (matches!(renew, Renew::Due(_)), "--due"),
            (matches!(renew, Renew::Leaked { .. }), "--leaked"),
            (*end == End::Pruned, "--prune"),
            (*sync_template, "--sync-template"),
            (*force, "--force"),
            (*abandon, "--abandon"),
            (!*commit, "--no-commit"),
            (self.options.accept_more, "--accept-more"),
        ];
        let given = flags.iter().filter(|(is_given, _)| *is_given).map(|(_, flag)| *flag);
        given.chain(self.options.way.map(Way::option)).try_for_each(|flag| write!(f, " {flag}"))
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Span};

    use super::*;
    use crate::plan::options::Overlap;

    fn these(keys: &[&str]) -> Chosen {
        keys.iter().map(|key| (*key).to_owned()).collect()
    }

    #[test]
    fn a_command_for_going_on_has_every_option_that_was_given() {
        let overlap = Some(Overlap { written: "48h".to_owned(), span: Span::new().hours(48) });
        let leaked = Renew::Leaked { id: crate::token::TokenId(7), last_used: None };
        let provision = Options { sync_template: true, way: Some(Way::Push), ..Options::default() };
        let rotate =
            Options { verb: Verb::Rotate, renew: Renew::Now(these(&["a", "b"])), ..Options::default() };
        let revoke = Options { verb: Verb::Revoke, renew: Renew::Nothing, ..Options::default() };
        let orphans = Some(SignedDuration::from_hours(2));
        let cases = [
            (
                Options { end: End::Pruned, ..provision.clone() },
                "provision --env qa --prune --sync-template --push",
            ),
            (Options { commit: false, ..Options::default() }, "provision --env qa --no-commit"),
            (
                Options { verb: Verb::Bootstrap, accept_more: true, ..Options::default() },
                "provision bootstrap --env qa --accept-more",
            ),
            (
                Options { overlap, force: true, way: Some(Way::MergeRequest), ..rotate.clone() },
                "provision rotate --env qa --token a,b --overlap 48h --force --mr",
            ),
            (Options { renew: Renew::Due(Chosen::All), ..rotate.clone() }, "provision rotate --env qa --due"),
            (Options { renew: leaked, ..rotate }, "provision rotate --env qa --leaked"),
            (
                Options { end: End::These(these(&["a"])), ..revoke.clone() },
                "provision revoke --env qa --token a",
            ),
            (
                Options { orphans, force: true, ..revoke },
                "provision revoke --env qa --orphans --older-than 2h --force",
            ),
            (Options { abandon: true, ..Options::resume(None) }, "provision resume --env qa --abandon"),
        ];
        for (options, command) in cases {
            assert_eq!(options.command("qa").to_string(), command);
        }
    }

    #[test]
    fn only_what_failed_is_named_where_the_command_takes_names() {
        let all = Options { verb: Verb::Rotate, renew: Renew::Due(Chosen::All), ..Options::default() };
        assert_eq!(all.command("qa").only(["t1"]).to_string(), "provision rotate --env qa --token t1 --due");
        let revoke = Options { verb: Verb::Revoke, renew: Renew::Nothing, ..Options::default() };
        let orphans = Options { orphans: Some(SignedDuration::from_hours(24)), ..revoke.clone() };
        let command = orphans.command("qa").only(["t1"]).to_string();
        assert_eq!(command, "provision revoke --env qa --orphans --older-than 24h");
        let these = Options { end: End::These(these(&["t1", "t2"])), ..revoke };
        assert_eq!(these.command("qa").only(["t2"]).to_string(), "provision revoke --env qa --token t2");
        assert_eq!(Options::default().command("qa").only(["t1"]).to_string(), "provision --env qa");
    }
}
