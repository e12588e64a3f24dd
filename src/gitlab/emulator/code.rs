//! What the emulator knows of a project's repository. It has no git: it is told what was pushed (`POST
//! /_emulator/push`), and keeps branches, their protection and merge requests as GitLab does.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::access::Caller;
use super::state::{GitLab, Resource};
use crate::token::Role;

/// Of one project.
#[derive(Clone, Debug, Default)]
pub(super) struct Code {
    /// The first branch that was pushed.
    pub(super) default_branch: Option<String>,
    /// Their commits.
    pub(super) branches: BTreeMap<String, String>,
    pub(super) protected: Vec<Protected>,
    pub(super) requests: Vec<MergeRequest>,
}

/// A protected branch, or all that a name with `*` stands for. Access levels: 0 is nobody.
#[derive(Clone, Debug)]
pub(super) struct Protected {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) push: u8,
    pub(super) merge: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestState {
    Opened,
    Closed,
    Merged,
}

impl RequestState {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Closed => "closed",
            Self::Merged => "merged",
        }
    }
}

/// A merge request within one project.
#[derive(Clone, Debug)]
pub(super) struct MergeRequest {
    pub(super) iid: u64,
    pub(super) title: String,
    pub(super) description: Option<String>,
    pub(super) source: String,
    pub(super) target: String,
    pub(super) state: RequestState,
    /// Of the source branch; it stays what it was when the request was closed or merged.
    pub(super) sha: Option<String>,
    pub(super) author: u64,
    pub(super) created_at: Timestamp,
    pub(super) closed_at: Option<Timestamp>,
    pub(super) merged_at: Option<Timestamp>,
}

impl Code {
    /// Moves a branch, or deletes it. The first one becomes the default branch, protected for Maintainers as GitLab's
    /// own default says.
    pub(super) fn pushed(&mut self, branch: &str, commit: Option<String>) {
        for request in &mut self.requests {
            if request.source == branch && request.state == RequestState::Opened && commit.is_some() {
                request.sha.clone_from(&commit);
            }
        }
        let Some(commit) = commit else {
            self.branches.remove(branch);
            return;
        };
        if self.default_branch.is_none() {
            self.default_branch = Some(branch.to_owned());
            let maintainer = Role::Maintainer.access_level();
            self.protect(branch, maintainer, maintainer);
        }
        self.branches.insert(branch.to_owned(), commit);
    }

    pub(super) fn protect(&mut self, name: &str, push: u8, merge: u8) -> &Protected {
        let id = self.protected.last().map_or(1, |last| last.id + 1);
        self.protected.push(Protected { id, name: name.to_owned(), push, merge });
        &self.protected[self.protected.len() - 1]
    }

    /// The rules for a branch. Where several match, what any of them allows is allowed.
    fn rules(&self, branch: &str) -> impl Iterator<Item = &Protected> {
        self.protected.iter().filter(move |rule| matches(&rule.name, branch))
    }

    pub(super) fn is_protected(&self, branch: &str) -> bool {
        self.rules(branch).next().is_some()
    }

    /// Whether a role may push to a branch; anybody from Developer on may where it is not protected.
    pub(super) fn may_push(&self, role: Option<Role>, branch: &str) -> bool {
        self.allows(role, branch, |rule| rule.push)
    }

    pub(super) fn may_merge(&self, role: Option<Role>, branch: &str) -> bool {
        self.allows(role, branch, |rule| rule.merge)
    }

    fn allows(&self, role: Option<Role>, branch: &str, level: impl Fn(&Protected) -> u8) -> bool {
        let own = role.map_or(0, Role::access_level);
        let developer = own >= Role::Developer.access_level();
        let enough = |level: u8| level > 0 && own >= level;
        developer && (!self.is_protected(branch) || self.rules(branch).any(|rule| enough(level(rule))))
    }
}

/// GitLab's wildcards: `*` is any text, slashes included (`lib/gitlab/utils/...`: `RefMatcher`).
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|tail| {
            (0..=tail.len()).any(|at| tail.get(at..).is_some_and(|tail| matches(rest, tail)))
        }),
    }
}

impl GitLab {
    /// The caller's role in a project.
    pub(super) fn role_in(&self, caller: Caller, project: u64) -> Option<Role> {
        self.role(caller, Resource::Project(project))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name, expected) in [
            ("main", "main", true),
            ("main", "main2", false),
            ("*-stable", "1-stable", true),
            ("provision/*", "provision/qa", true),
            ("a*b*c", "a/b/x/c", true),
            ("a*b", "ac", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn the_first_branch_is_protected_for_maintainers_and_others_are_open_to_developers() {
        let mut code = Code::default();
        code.pushed("main", Some("1".repeat(40)));
        code.pushed("topic", Some("2".repeat(40)));
        assert!(!code.may_push(Some(Role::Developer), "main") && code.may_push(Some(Role::Owner), "main"));
        assert!(
            code.may_push(Some(Role::Developer), "topic") && !code.may_push(Some(Role::Reporter), "topic")
        );
        code.protect("topic", 0, 40);
        assert!(!code.may_push(Some(Role::Owner), "topic"));
        code.protect("top*", 30, 30);
        assert!(code.may_push(Some(Role::Developer), "topic"), "the most permissive rule counts");
    }
}
