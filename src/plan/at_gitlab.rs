//! What GitLab says of where a commit is to go: whether it may be pushed there, and what became of the merge request of
//! our branch. Pure: `observe` asks.

use super::deliver::{Request, Way};

/// A branch as GitLab describes it to the operator's user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Whether only some may push to it.
    pub is_protected: bool,
    /// Whether the operator's user may.
    pub can_push: bool,
}

/// How a merge request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestState {
    /// It waits, or is being merged right now.
    Open,
    /// Closed without being merged.
    Closed,
    /// Merged.
    Merged,
}

/// A merge request from our branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeRequest {
    /// How it stands.
    pub state: RequestState,
    /// The last commit of its branch that it has seen, hexadecimal.
    pub commit: Option<String>,
    /// Its address.
    pub url: String,
}

/// A commit on this branch would never leave this clone, or not arrive.
#[derive(Debug, thiserror::Error)]
#[error("{branch} of {remote} is protected, and GitLab lets nobody with this token push to it")]
pub struct Protected {
    remote: String,
    branch: String,
}

/// Refuses what cannot be pushed, before anything is minted for it: a commit on a protected branch without `--mr`.
/// Somebody may push with other rights than those of the operator's token; such a person is not to be found out here.
///
/// # Errors
/// [`Protected`]
pub fn refuse_protected(
    way: Option<Way>,
    remote: &str,
    branch: &str,
    said: Option<Branch>,
) -> Result<(), Protected> {
    match (way, said) {
        (None | Some(Way::Push), Some(Branch { is_protected: true, can_push: false })) => {
            Err(Protected { remote: remote.to_owned(), branch: branch.to_owned() })
        }
        _ => Ok(()),
    }
}

/// Which of the merge requests from our branch is the one of what it holds now. `requests` has the newest first; `tip` is
/// the branch's commit at the remote. One that has seen another commit last is of an earlier life of the branch.
#[must_use]
pub fn current(requests: &[MergeRequest], tip: &str) -> Request {
    let open = requests.iter().find(|request| request.state == RequestState::Open);
    let seen = |request: &&MergeRequest| request.commit.as_deref() == Some(tip);
    match open.or_else(|| requests.iter().find(seen)) {
        None => Request::None,
        Some(MergeRequest { state: RequestState::Open, url, .. }) => Request::Open { url: url.clone() },
        Some(MergeRequest { state: RequestState::Closed, url, .. }) => Request::Closed { url: url.clone() },
        Some(MergeRequest { state: RequestState::Merged, .. }) => Request::Merged,
    }
}

/// The last merge request from a branch that is gone, where it was closed without being merged.
#[must_use]
pub fn given_up(requests: &[MergeRequest]) -> Option<&MergeRequest> {
    requests.first().filter(|request| request.state == RequestState::Closed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(state: RequestState, commit: &str) -> MergeRequest {
        MergeRequest { state, commit: Some(commit.to_owned()), url: format!("{state:?}-{commit}") }
    }

    #[test]
    fn only_what_cannot_be_pushed_is_refused() {
        let branch = |is_protected, can_push| Some(Branch { is_protected, can_push });
        for way in [None, Some(Way::Push)] {
            assert!(refuse_protected(way, "origin", "main", branch(true, false)).is_err());
            assert!(refuse_protected(way, "origin", "main", branch(true, true)).is_ok());
            assert!(refuse_protected(way, "origin", "main", None).is_ok(), "GitLab does not tell");
        }
        assert!(refuse_protected(Some(Way::MergeRequest), "origin", "main", branch(true, false)).is_ok());
    }

    #[test]
    fn an_open_request_counts_whatever_it_has_seen_and_others_only_for_the_commit_that_the_branch_holds() {
        let old = request(RequestState::Merged, "1");
        assert_eq!(current(&[], "2"), Request::None);
        assert_eq!(
            current(&[request(RequestState::Closed, "2"), old.clone()], "2"),
            Request::Closed { url: "Closed-2".to_owned() }
        );
        assert_eq!(current(&[request(RequestState::Closed, "2"), old.clone()], "1"), Request::Merged);
        assert_eq!(current(std::slice::from_ref(&old), "2"), Request::None, "pushed to after it was merged");
        let open = request(RequestState::Open, "1");
        assert_eq!(
            current(&[request(RequestState::Closed, "2"), open], "2"),
            Request::Open { url: "Open-1".to_owned() }
        );
    }

    #[test]
    fn a_branch_that_is_gone_was_given_up_only_where_its_last_request_was_closed() {
        let (closed, merged) = (request(RequestState::Closed, "1"), request(RequestState::Merged, "2"));
        assert_eq!(given_up(&[closed.clone(), merged.clone()]), Some(&closed));
        assert_eq!(given_up(&[merged, closed]), None);
    }
}
