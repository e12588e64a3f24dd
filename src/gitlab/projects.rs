//! What a project says of its branches and merge requests, and which project a remote's address names.

use url::Url;

use super::client::Client;
use super::errors::{ErrorKind, GitLabError, Subject};
use super::wire;
use crate::instance::Instance;
use crate::plan::at_gitlab::{Branch, MergeRequest, RequestState};
use crate::token::Kind;

impl Client {
    /// A branch of a project, as the operator's user sees it; `None` where it, or the project, is missing or not visible.
    ///
    /// # Errors
    /// [`GitLabError`]
    pub async fn branch(&self, project: &str, name: &str) -> Result<Option<Branch>, GitLabError> {
        let url = self.instance().api(["projects", project, "repository", "branches", name]);
        match self.read::<wire::Branch>(url, &subject(project)).await {
            Ok(branch) => Ok(Some(Branch { is_protected: branch.protected, can_push: branch.can_push })),
            Err(error) if *error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The merge requests of a project from one of its own branches, the newest first; `None` where the project is
    /// missing or not visible.
    ///
    /// # Errors
    /// [`GitLabError`]
    pub async fn merge_requests(
        &self,
        project: &str,
        source: &str,
    ) -> Result<Option<Vec<MergeRequest>>, GitLabError> {
        let mut url = self.instance().api(["projects", project, "merge_requests"]);
        url.query_pairs_mut()
            .append_pair("source_branch", source)
            .append_pair("order_by", "created_at")
            .append_pair("sort", "desc");
        let found = match self.read_list::<wire::MergeRequest>(url, &subject(project)).await {
            Ok(found) => found,
            Err(error) if *error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        // A fork may have a branch of the same name.
        let own = found.into_iter().filter(|request| request.source_project_id == Some(request.project_id));
        Ok(Some(own.map(MergeRequest::from).collect()))
    }
}

fn subject(project: &str) -> Subject {
    Subject::Owner { kind: Kind::Project, path: project.to_owned() }
}

impl From<wire::MergeRequest> for MergeRequest {
    fn from(request: wire::MergeRequest) -> Self {
        let state = match request.state.as_str() {
            "merged" => RequestState::Merged,
            "closed" => RequestState::Closed,
            // `locked`: it is being merged right now.
            _ => RequestState::Open,
        };
        Self { state, commit: request.sha, url: request.web_url }
    }
}

/// The path of the project that a remote's address names, where that address is at this instance; `None` where it is
/// another host's, or cannot be told. Nothing of the address but this path is ever used for a request: requests go to
/// the instance.
#[must_use]
pub fn project_at(instance: &Instance, remote: &str) -> Option<String> {
    let path = match Url::parse(remote) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => web_path(instance, &url)?,
        Ok(url) if url.scheme() == "ssh" => {
            is_host(instance, url.host_str()?).then(|| url.path().to_owned())?
        }
        // `user@host:path`; git takes it for a local path where a slash comes first. A scheme of one's own (`gitlab:x`)
        // is such a host too.
        _ if !remote.contains("://") => {
            let (host, path) = remote.split_once(':').filter(|(host, _)| !host.contains('/'))?;
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            is_host(instance, host).then(|| path.to_owned())?
        }
        _ => return None,
    };
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let is_name = |part: &str| {
        let mut letters = part.chars();
        letters.all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.')) && part.chars().any(|c| c != '.')
    };
    let is_project = path.split('/').count() >= 2 && path.split('/').all(is_name);
    is_project.then(|| path.to_owned())
}

/// The path below the relative root, where host and port are the instance's own.
fn web_path(instance: &Instance, url: &Url) -> Option<String> {
    let base = instance.page("");
    let is_default = |url: &Url| url.port().is_none();
    let same_port =
        url.port_or_known_default() == base.port_or_known_default() || (is_default(url) && is_default(&base));
    if !is_host(instance, url.host_str()?) || !same_port {
        return None;
    }
    let root = base.path().trim_end_matches('/');
    let below = url.path().strip_prefix(root)?;
    below.starts_with('/').then(|| below.to_owned())
}

fn is_host(instance: &Instance, host: &str) -> bool {
    instance.origin().host().eq_ignore_ascii_case(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(instance: &str, remote: &str) -> Option<String> {
        project_at(&instance.parse().unwrap(), remote)
    }

    #[test]
    fn every_way_to_write_a_remote_of_the_instance_names_its_project() {
        for remote in [
            "https://gitlab.com/a/b/c.git",
            "https://oauth2:secret@gitlab.com/a/b/c.git",
            "https://GitLab.com/a/b/c/",
            "http://gitlab.com/a/b/c",
            "ssh://git@gitlab.com/a/b/c.git",
            "ssh://git@gitlab.com:2222/a/b/c.git",
            "git@gitlab.com:a/b/c.git",
            "gitlab.com:/a/b/c",
        ] {
            assert_eq!(at("https://gitlab.com", remote).as_deref(), Some("a/b/c"), "{remote}");
        }
        assert_eq!(
            at("https://x.example:8443/git", "https://x.example:8443/git/a/b.git").as_deref(),
            Some("a/b")
        );
        assert_eq!(at("https://x.example/git", "git@x.example:a/b.git").as_deref(), Some("a/b"));
    }

    #[test]
    fn an_address_of_another_host_names_no_project() {
        for remote in [
            "https://gitlab.com.evil.example/a/b.git",
            "https://evil.example/gitlab.com/a/b.git",
            "https://gitlab.com@evil.example/a/b.git",
            "https://gitlab.com:8443/a/b.git",
            "git@evil.example:gitlab.com/a/b.git",
            "git@gitlab.com@evil.example:a/b.git",
            "ssh://gitlab.com@evil.example/a/b.git",
            "work:a/b.git",
            "/srv/gitlab.com:a/b.git",
            "./gitlab.com/a/b",
            "file:///srv/a/b.git",
            "git://gitlab.com/a/b.git",
        ] {
            assert_eq!(at("https://gitlab.com", remote), None, "{remote}");
        }
        assert_eq!(at("https://x.example/git", "https://x.example/a/b.git"), None);
        assert_eq!(at("https://x.example/git", "https://x.example/github/a/b.git"), None);
    }

    #[test]
    fn what_is_no_path_of_a_project_is_none() {
        for path in ["a", "", "a//b", "a/../b", "a/./b", "a/b?x=1", "a/b c", "a/%2e%2e/b"] {
            assert_eq!(at("https://gitlab.com", &format!("git@gitlab.com:{path}")), None, "{path}");
        }
    }
}
