//! How what a run commits gets to the team: which branch it goes to, and on which commit the run builds.
//!
//! Pure: the shell (`deliver`) asks the remote, and does what is decided here.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Note;
use crate::lock;
use crate::profile::is_component;

/// Characters of a topic that are taken over from a name which is none itself.
const LEGIBLE: usize = 40;

/// How a commit is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Pushed to the branch that the user's branch follows (`--push`).
    Push,
    /// Pushed to a branch of ours, for a merge request (`--mr`).
    MergeRequest,
}

impl Way {
    /// The option that chooses it.
    #[must_use]
    pub fn option(self) -> &'static str {
        match self {
            Self::Push => "--push",
            Self::MergeRequest => "--mr",
        }
    }
}

/// What an earlier run committed here, and nobody has pushed.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Where it would go: `main at origin`.
    pub to: String,
    /// How many commits would go, whoever made them.
    pub commits: u64,
    /// The policy, locks and secrets files that they change.
    pub files: Vec<String>,
}

/// What a writer works on: an environment, or the name of a reader. It becomes the end of a branch and the name of a folder,
/// and is nothing else than one plain component of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic(String);

impl Topic {
    /// The text itself where it is such a component; else what of it can be read in one, and a digest that tells it from
    /// other texts. A person may be called anything, and a public key is a name too.
    #[must_use]
    pub fn of(text: &str) -> Self {
        if is_component(text) {
            return Self(text.to_owned());
        }
        let legible = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
        let legible: String = text.chars().take(LEGIBLE).map(legible).collect();
        let words: Vec<&str> = legible.split('-').filter(|word| !word.is_empty()).collect();
        let digest = lock::digest(text);
        Self(format!("{}-{}", words.join("-"), &digest[..8]).trim_start_matches('-').to_owned())
    }

    /// The component.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The branch of merge requests about it.
    #[must_use]
    pub fn branch(&self) -> String {
        format!("provision/{self}")
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How many commits one has that the other has not, and the other way round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// What the first has alone.
    pub ahead: u64,
    /// What the second has alone.
    pub behind: u64,
}

impl Compared {
    fn contains(self) -> bool {
        self.behind == 0
    }

    fn is_contained(self) -> bool {
        self.ahead == 0
    }
}

/// What is known of a merge request for our branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// GitLab was not, or could not be, asked.
    Unknown,
    /// GitLab has none.
    None,
    /// It is open.
    Open {
        /// Its address.
        url: String,
    },
    /// It was merged.
    Merged,
    /// It was closed without being merged.
    Closed {
        /// Its address.
        url: String,
    },
}

/// Our branch, where it exists at the remote.
#[derive(Clone, Debug)]
pub struct Ours {
    /// HEAD compared with it.
    pub head: Compared,
    /// It compared with the target.
    pub target: Compared,
    /// Whether the target has its changes, commit by commit or as one.
    pub is_in_target: bool,
    /// Whether the target's policy was changed since, and the branch does not have that.
    pub lacks_policy: bool,
    /// Its merge request.
    pub request: Request,
}

/// Where everything stands.
#[derive(Clone, Debug)]
pub struct Stand {
    /// The remote's name.
    pub remote: String,
    /// The branch that is delivered to in the end: pushed to, or merged into.
    pub target: String,
    /// Our branch for merge requests about this.
    pub branch: String,
    /// HEAD compared with the target.
    pub head: Compared,
    /// Whether HEAD is on no branch, as in CI.
    pub detached: bool,
    /// Our branch, where there is one.
    pub ours: Option<Ours>,
}

/// The commit that a run builds on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// The user's HEAD: it has all that the target has.
    Head,
    /// The target branch as it is at the remote: it has all that HEAD has.
    Target,
    /// Our branch, whose merge request is not merged yet.
    Ours,
}

/// What was decided.
#[derive(Debug)]
pub struct Base {
    /// What to build on.
    pub on: On,
    /// Whether what our branch has now is replaced: it is merged, so nothing is lost.
    pub replaces_ours: bool,
    /// What a person should know before saying yes.
    pub notes: Vec<Note>,
}

/// Why nothing can be delivered as things are. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// HEAD and the branch have both moved on.
    #[error(
        "HEAD and {branch} of {remote} have diverged: {} here, {} there", counted(*ahead), counted(*behind)
    )]
    Diverged {
        /// The remote.
        remote: String,
        /// The branch there.
        branch: String,
        /// Commits that only HEAD has.
        ahead: u64,
        /// Commits that only the branch has.
        behind: u64,
    },
    /// HEAD stands for the target without being on a branch that follows it, and has commits that may be for another branch.
    #[error("HEAD is on no branch and has {} that {branch} of {remote} does not have", counted(*ahead))]
    OnNoBranch {
        /// The remote.
        remote: String,
        /// The branch there.
        branch: String,
        /// Commits that only HEAD has.
        ahead: u64,
    },
    /// Pushing past a merge request that is not merged would make its tokens nobody's.
    #[error("{branch} of {remote} has changes that are not in {target} yet")]
    Waiting {
        /// The remote.
        remote: String,
        /// Our branch.
        branch: String,
        /// The target.
        target: String,
        /// Address of its merge request, where known.
        url: Option<String>,
    },
    /// Who left by the target's policy would still be a reader by that of our branch, and who joined would be none.
    #[error("{branch} of {remote} is not merged, and has another policy than {target} has by now")]
    OtherPolicy {
        /// The remote.
        remote: String,
        /// Our branch.
        branch: String,
        /// The target.
        target: String,
        /// Address of its merge request, where known.
        url: Option<String>,
    },
    /// The merge request was closed without being merged, and its branch is still there.
    #[error("the merge request for {branch} was closed without being merged: {url}")]
    Closed {
        /// The remote.
        remote: String,
        /// Our branch.
        branch: String,
        /// Address of the request.
        url: String,
    },
}

impl DeliverError {
    /// The ways out.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Diverged { remote, branch, .. } => vec![format!("git pull --rebase {remote} {branch}")],
            Self::OnNoBranch { remote, branch, .. } => vec![
                "run with --mr: a reviewer sees them".to_owned(),
                format!("or, where they are for {branch}, push them first: git push {remote} HEAD:{branch}"),
            ],
            Self::Waiting { remote, branch, url, .. } => vec![
                format!("merge it first{}", url.as_ref().map(|url| format!(": {url}")).unwrap_or_default()),
                format!("or give it up: git push {remote} --delete {branch}"),
            ],
            Self::OtherPolicy { remote, branch, target, .. } => vec![
                format!(
                    "bring it up to date: git switch {branch} && git merge {remote}/{target} && git push {remote} {branch}"
                ),
                format!("or give it up: git push {remote} --delete {branch}"),
            ],
            Self::Closed { remote, branch, url } => vec![
                format!("reopen it: {url}"),
                format!("or give it up: git push {remote} --delete {branch}"),
            ],
        }
    }
}

/// Decides what a run builds on, so that its commit can be pushed without force and loses nothing of anybody's.
///
/// # Errors
/// Where there is no such commit; see [`DeliverError`].
pub fn base(way: Way, stand: &Stand) -> Result<Base, DeliverError> {
    if way == Way::Push && stand.detached && stand.head.ahead > 0 {
        let (remote, branch, ahead) = (stand.remote.clone(), stand.target.clone(), stand.head.ahead);
        return Err(DeliverError::OnNoBranch { remote, branch, ahead });
    }
    if let Some(ours) = stand.ours.as_ref().filter(|ours| !is_merged(ours)) {
        return on_ours(way, stand, ours);
    }
    let on = if stand.head.contains() {
        On::Head
    } else if stand.head.is_contained() {
        On::Target
    } else {
        return Err(diverged(stand, &stand.target, stand.head));
    };
    let mut notes = Vec::new();
    if on == On::Head && stand.head.ahead > 0 {
        let commits = counted(stand.head.ahead);
        notes.push(Note::info(match way {
            Way::Push => format!("{commits} of yours that {} does not have yet go with it", stand.target),
            Way::MergeRequest => {
                format!("the merge request also brings {commits} of yours to {}", stand.target)
            }
        }));
    }
    let replaces_ours = way == Way::MergeRequest && stand.ours.is_some();
    Ok(Base { on, replaces_ours, notes })
}

/// A closed request is never taken for a merged one; a merged one may have been squashed, so that git does not know it.
fn is_merged(ours: &Ours) -> bool {
    match ours.request {
        Request::Merged => true,
        Request::Closed { .. } | Request::Open { .. } => ours.target.ahead == 0,
        Request::Unknown | Request::None => ours.is_in_target,
    }
}

fn on_ours(way: Way, stand: &Stand, ours: &Ours) -> Result<Base, DeliverError> {
    let (remote, branch) = (stand.remote.clone(), stand.branch.clone());
    if let Request::Closed { url } = &ours.request {
        return Err(DeliverError::Closed { remote, branch, url: url.clone() });
    }
    let url = match &ours.request {
        Request::Open { url } => Some(url.clone()),
        _ => None,
    };
    if way == Way::Push {
        return Err(DeliverError::Waiting { remote, branch, target: stand.target.clone(), url });
    }
    let on = if ours.head.contains() {
        On::Head
    } else if ours.head.is_contained() || stand.head.is_contained() {
        On::Ours
    } else {
        return Err(diverged(stand, &stand.branch, ours.head));
    };
    if ours.lacks_policy && !(on == On::Head && stand.head.contains()) {
        return Err(DeliverError::OtherPolicy { remote, branch, target: stand.target.clone(), url });
    }
    let mut notes = vec![match &url {
        Some(url) => Note::info(format!("builds on {branch}, whose merge request is open: {url}")),
        None => Note::info(format!("builds on {branch}, which is not merged into {} yet", stand.target)),
    }];
    if ours.request == Request::None {
        notes
            .push(Note::attention(format!("{branch} has no merge request; open one, or nobody will see it")));
    }
    Ok(Base { on, replaces_ours: false, notes })
}

fn diverged(stand: &Stand, branch: &str, compared: Compared) -> DeliverError {
    DeliverError::Diverged {
        remote: stand.remote.clone(),
        branch: branch.to_owned(),
        ahead: compared.ahead,
        behind: compared.behind,
    }
}

fn counted(commits: u64) -> String {
    if commits == 1 { "1 commit".to_owned() } else { format!("{commits} commits") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAME: Compared = Compared { ahead: 0, behind: 0 };
    const AHEAD: Compared = Compared { ahead: 2, behind: 0 };
    const BEHIND: Compared = Compared { ahead: 0, behind: 3 };
    const APART: Compared = Compared { ahead: 1, behind: 1 };

    fn stand(head: Compared, ours: Option<Ours>) -> Stand {
        Stand {
            remote: "origin".to_owned(),
            target: "main".to_owned(),
            branch: Topic::of("qa").branch(),
            head,
            detached: false,
            ours,
        }
    }

    fn ours(head: Compared, target: Compared, request: Request) -> Ours {
        Ours { head, target, is_in_target: target.ahead == 0, lacks_policy: false, request }
    }

    #[test]
    fn an_open_request_that_is_behind_the_policy_is_not_built_on() {
        let behind = |head| Ours { lacks_policy: true, ..ours(head, APART, Request::Unknown) };
        for (head, on_ours) in [(SAME, BEHIND), (SAME, SAME), (BEHIND, AHEAD)] {
            let refused = base(Way::MergeRequest, &stand(head, Some(behind(on_ours))));
            let is_so = matches!(refused, Err(DeliverError::OtherPolicy { .. }));
            assert_eq!(is_so, !(on_ours.contains() && head.contains()), "{head:?} {on_ours:?}");
        }
    }

    #[test]
    fn a_head_on_no_branch_stands_for_the_target_only_with_nothing_of_its_own() {
        let detached = |head| Stand { detached: true, ..stand(head, None) };
        for head in [SAME, BEHIND] {
            assert!(base(Way::Push, &detached(head)).is_ok());
        }
        for head in [AHEAD, APART] {
            let refused = base(Way::Push, &detached(head));
            assert!(matches!(refused, Err(DeliverError::OnNoBranch { .. })), "{refused:?}");
        }
        assert!(base(Way::MergeRequest, &detached(AHEAD)).is_ok());
    }

    fn open() -> Request {
        Request::Open { url: "https://gitlab.example.com/a/b/-/merge_requests/1".to_owned() }
    }

    #[test]
    fn a_topic_is_one_plain_component_whatever_somebody_is_called() {
        for plain in ["qa", "keys-bob", "keys-bob.m"] {
            assert_eq!(Topic::of(plain).as_str(), plain);
        }
        let key = format!("keys-ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{}/+x bob@example.com", "B".repeat(40));
        let names =
            ["keys-x/../../../apps", "keys-Bob Müller / ops", "..", "", "-", "a..b", "a.lock", "ü", &key];
        for name in names {
            let topic = Topic::of(name);
            assert!(is_component(topic.as_str()) && topic.as_str().len() <= 60, "{name}: {topic}");
        }
        assert_eq!(Topic::of("keys-Bob Müller / ops").as_str(), "keys-Bob-M-ller-ops-45b21caf");
        assert_ne!(Topic::of("a b"), Topic::of("a/b"));
    }

    #[test]
    fn a_run_builds_on_whichever_has_all_that_the_other_has() {
        for way in [Way::Push, Way::MergeRequest] {
            for (head, on) in [(SAME, On::Head), (AHEAD, On::Head), (BEHIND, On::Target)] {
                let base = base(way, &stand(head, None)).unwrap();
                assert_eq!(base.on, on);
                assert_eq!(base.notes.len(), usize::from(head == AHEAD), "commits of one's own are named");
            }
            let error = base(way, &stand(APART, None)).unwrap_err();
            assert_eq!(error.hints(), ["git pull --rebase origin main"]);
        }
    }

    #[test]
    fn an_open_request_is_built_on_and_never_pushed_past() {
        let waiting = stand(SAME, Some(ours(BEHIND, AHEAD, open())));
        assert_eq!(base(Way::MergeRequest, &waiting).unwrap().on, On::Ours);
        assert!(matches!(base(Way::Push, &waiting), Err(DeliverError::Waiting { .. })));
        // The target has moved on since; so has the user's branch with it.
        let moved = stand(BEHIND, Some(ours(APART, APART, open())));
        assert_eq!(base(Way::MergeRequest, &moved).unwrap().on, On::Ours);
        let on_it = stand(AHEAD, Some(ours(SAME, AHEAD, open())));
        assert_eq!(base(Way::MergeRequest, &on_it).unwrap().on, On::Head);
    }

    #[test]
    fn commits_of_ones_own_beside_an_open_request_are_not_left_behind() {
        let apart = stand(AHEAD, Some(ours(APART, AHEAD, open())));
        let error = base(Way::MergeRequest, &apart).unwrap_err();
        assert_eq!(
            error.to_string(),
            "HEAD and provision/qa of origin have diverged: 1 commit here, 1 commit there"
        );
    }

    #[test]
    fn a_closed_request_stops_both_ways() {
        let url = "https://gitlab.example.com/a/b/-/merge_requests/1".to_owned();
        let closed = stand(SAME, Some(ours(BEHIND, AHEAD, Request::Closed { url })));
        for way in [Way::Push, Way::MergeRequest] {
            assert!(matches!(base(way, &closed), Err(DeliverError::Closed { .. })));
        }
    }

    #[test]
    fn a_merged_branch_that_was_not_deleted_is_replaced() {
        let squashed = Ours { is_in_target: true, ..ours(APART, APART, Request::Unknown) };
        for merged in [ours(AHEAD, BEHIND, Request::Unknown), squashed, ours(APART, APART, Request::Merged)] {
            let stand = stand(SAME, Some(merged));
            let decided = base(Way::MergeRequest, &stand).unwrap();
            assert_eq!((decided.on, decided.replaces_ours), (On::Head, true));
            assert_eq!(base(Way::Push, &stand).unwrap().on, On::Head);
        }
    }

    #[test]
    fn a_branch_without_a_request_asks_for_care() {
        let lonely = stand(SAME, Some(ours(BEHIND, AHEAD, Request::None)));
        assert!(base(Way::MergeRequest, &lonely).unwrap().notes.iter().any(|note| note.attention));
    }
}
