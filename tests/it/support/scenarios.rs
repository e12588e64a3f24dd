//! Desks just before a run that is worth looking at.

use jiff::{SignedDuration, Span};
use provision::plan::deliver::Way;
use provision::plan::invocation::Verb;
use provision::plan::options::{Chosen, End, Options, Overlap, Renew};
use provision::sops::{Draft, Rule};

use super::desk::{Desk, SECRETS};

/// A desk just before the run that is looked at.
pub(crate) type Scenario = fn() -> Desk;

pub(crate) fn first_mint() -> Desk {
    Desk::new()
}

pub(crate) fn into_an_existing_file() -> Desk {
    let desk = Desk::new();
    let rule = Rule::own([desk.lab.recipient.parse().unwrap()]);
    let text = "# by hand\nOTHER: kept\nGITLAB_HOST: gitlab.example.com\n";
    let sealed = Draft::parse(provision::sops::Format::Yaml, text)
        .unwrap()
        .seal(&rule, &provision::sops::Alone, desk.lab.gitlab.now(), &[])
        .unwrap();
    desk.edit(SECRETS, |_| String::from_utf8(sealed.bytes().to_vec()).unwrap());
    desk
}

pub(crate) fn replacement() -> Desk {
    let desk = Desk::new();
    desk.whole_run();
    desk.edit("environments/qa.yaml", |profile| profile.replace("[read_api, ", "["));
    desk
}

pub(crate) fn two_tokens() -> Desk {
    const SECOND: &str = "  mirror:
    kind: group
    group: alithya-csna
    name: Mirror
    role: reporter
    scopes: [read_repository]
";
    let desk = Desk::new();
    desk.edit("environments/qa.yaml", |profile| profile + SECOND);
    one_more_slot(&desk, "MIRROR", "{{ tokens.mirror }}");
    one_more_slot(&desk, "BOTH", "{{ tokens.backstage }}:{{ tokens.mirror }}");
    desk
}

pub(crate) fn retirement() -> Desk {
    let desk = replacement();
    desk.whole_run();
    desk.lab.gitlab.advance(SignedDuration::from_hours(25));
    desk
}

pub(crate) fn rendering_again() -> Desk {
    let desk = Desk::new();
    desk.whole_run();
    one_more_slot(&desk, "COPY", "{{ tokens.backstage }}");
    desk
}

pub(crate) fn without_a_commit() -> Desk {
    let mut desk = Desk::new();
    desk.commit = false;
    desk
}

pub(crate) fn first_mint_pushed() -> Desk {
    Desk::that_delivers(Way::Push)
}

pub(crate) fn first_mint_requested() -> Desk {
    Desk::that_delivers(Way::MergeRequest)
}

pub(crate) fn replacement_pushed() -> Desk {
    let desk = Desk::that_delivers(Way::Push);
    desk.whole_run();
    desk.edit("environments/qa.yaml", |profile| profile.replace("[read_api, ", "["));
    desk
}

/// The request of the first mint is merged, and the profile has changed since.
pub(crate) fn replacement_requested() -> Desk {
    let desk = Desk::that_delivers(Way::MergeRequest);
    desk.whole_run();
    let (_, team) = desk.delivers.as_ref().unwrap();
    team.merge("provision/qa");
    desk.lab.git(["pull", "-q"]);
    desk.edit("environments/qa.yaml", |profile| profile.replace("[read_api, ", "["));
    desk
}

pub(crate) fn retirement_pushed() -> Desk {
    let desk = replacement_pushed();
    desk.whole_run();
    desk.lab.gitlab.advance(SignedDuration::from_hours(25));
    desk
}

pub(crate) fn one_more_slot(desk: &Desk, key: &str, text: &str) {
    desk.edit("templates/backstage.yaml", |template| format!("{template}{key}: \"{text}\"\n"));
}

/// A healthy token gets a successor.
pub(crate) fn rotation() -> Desk {
    let desk = Desk::new();
    desk.whole_run();
    desk.wants(rotating());
    desk
}

/// GitLab's rotate.
pub(crate) fn rotation_in_place() -> Desk {
    let desk = Desk::new();
    desk.edit("environments/qa.yaml", |profile| profile + "    strategy: in-place\n");
    desk.whole_run();
    desk.wants(rotating());
    desk
}

/// The old token goes with the commit.
pub(crate) fn rotation_without_an_overlap() -> Desk {
    let desk = rotation();
    desk.wants(Options { overlap: none(), force: true, ..rotating() });
    desk
}

/// The same of a token that somebody has made by hand, and that was taken over.
pub(crate) fn rotation_of_a_token_made_by_hand() -> Desk {
    let desk = rotation_without_an_overlap();
    desk.holds_a_token_made_by_hand();
    desk
}

/// All tokens of the environment go.
pub(crate) fn revocation() -> Desk {
    let desk = Desk::new();
    desk.whole_run();
    desk.wants(revoking());
    desk
}

pub(crate) fn revocation_pushed() -> Desk {
    let desk = Desk::that_delivers(Way::Push);
    desk.whole_run();
    desk.wants(revoking());
    desk
}

/// `provision rotate`
pub(crate) fn rotating() -> Options {
    Options { verb: Verb::Rotate, renew: Renew::Now(Chosen::All), ..Options::default() }
}

/// `--overlap 0s`
fn none() -> Option<Overlap> {
    Some(Overlap { written: "0s".to_owned(), span: Span::new() })
}

/// `provision revoke`
fn revoking() -> Options {
    let end = End::These(Chosen::All);
    Options { verb: Verb::Revoke, renew: Renew::Nothing, end, ..Options::default() }
}

/// The profile has one of two tokens no more.
pub(crate) fn pruning() -> Desk {
    let desk = two_tokens();
    desk.whole_run();
    desk.edit("environments/qa.yaml", |profile| profile.split("  mirror:").next().unwrap().to_owned());
    desk.edit("templates/backstage.yaml", |template| template.split("MIRROR:").next().unwrap().to_owned());
    desk.wants(Options { end: End::Pruned, ..Options::default() });
    desk
}

pub(crate) fn rotation_pushed_without_an_overlap() -> Desk {
    let desk = Desk::that_delivers(Way::Push);
    desk.whole_run();
    desk.wants(Options { overlap: none(), ..rotating() });
    desk
}
