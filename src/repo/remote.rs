//! The remote, through the user's `git`: what it has, what is fetched of it, and one push.
//!
//! git brings the user's credential helpers, ssh, proxies and hooks (pre-push). What git and the remote say is passed on
//! to stderr as it comes, without what an address may have of a password.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use gix::ObjectId;

use super::error::{Doing, RepoError};
use super::{Repository, program, signals};

/// What a remote has, asked of it and not remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heads {
    /// The branch that its HEAD names, without `refs/heads/`; none where it has no commit yet.
    pub default: Option<String>,
    /// The commits of the default branch and of those that were asked for, as far as they exist.
    pub branches: Vec<(String, ObjectId)>,
}

impl Heads {
    /// The commit of a branch (without `refs/heads/`).
    #[must_use]
    pub fn branch(&self, name: &str) -> Option<ObjectId> {
        self.branches.iter().find(|(branch, _)| branch == name).map(|(_, commit)| *commit)
    }
}

/// One commit for one branch of a remote.
#[derive(Clone, Debug)]
pub struct PushRequest {
    /// The remote's name.
    pub remote: String,
    /// What the branch shall name.
    pub commit: ObjectId,
    /// The branch there, without `refs/heads/`.
    pub branch: String,
    /// What the branch must still name, where it may be replaced by a commit that does not follow it; `None`: only a
    /// commit that follows what is there is taken.
    pub replaces: Option<ObjectId>,
    /// Push options, each one line.
    pub options: Vec<String>,
}

/// A push that arrived.
#[derive(Clone, Debug, Default)]
pub struct Pushed {
    /// Address of the merge request, where the remote said it.
    pub merge_request: Option<String>,
}

/// Why git did not do what was asked at the remote.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// Something about the repository here, or there is no git.
    #[error(transparent)]
    Here(#[from] RepoError),
    /// git could not ask the remote, or fetch from it.
    #[error("git {command} from {remote} failed ({status})")]
    Unreachable {
        /// The subcommand.
        command: &'static str,
        /// The remote's name.
        remote: String,
        /// Its exit status.
        status: String,
    },
    /// The remote knows us, or does not, and lets us neither way.
    #[error("{remote} does not allow git {command}")]
    NotAllowed {
        /// The subcommand.
        command: &'static str,
        /// The remote's name.
        remote: String,
    },
    /// It is no GitLab, or one before 11.7.
    #[error("{remote} takes no push options, so no merge request can be opened there")]
    NoPushOptions {
        /// The remote's name.
        remote: String,
    },
    /// Somebody else was faster: the branch there is another one by now. Nothing arrived.
    #[error("{branch} at {remote} has moved on meanwhile")]
    Overtaken {
        /// The remote's name.
        remote: String,
        /// The branch.
        branch: String,
    },
    /// The remote said no. Nothing arrived.
    #[error("{remote} does not take the push to {branch}: {why}")]
    Declined {
        /// The remote's name.
        remote: String,
        /// The branch.
        branch: String,
        /// What it gave as reason.
        why: String,
    },
    /// git failed, and whether the push arrived is not known.
    #[error("git push to {remote} failed ({status})")]
    Unknown {
        /// The remote's name.
        remote: String,
        /// Its exit status.
        status: String,
    },
}

impl Repository {
    /// Asks the remote for its default branch and for these branches (without `refs/heads/`), and fetches those of them
    /// that are not here as they are there into `refs/remotes/<remote>/`. The default branch counts as named.
    ///
    /// Where no default branch is remembered here, or one that the remote no longer has, the remote's is remembered, as
    /// git does after a clone.
    ///
    /// # Errors
    /// When the remote cannot be asked, or fetched from.
    pub fn look(&self, remote: &str, branches: &[&str]) -> Result<Heads, RemoteError> {
        let heads = self.ask(remote, branches)?;
        let mut missing = Vec::new();
        for (branch, commit) in &heads.branches {
            if self.commit_of(&format!("refs/remotes/{remote}/{branch}"))? != Some(*commit) {
                missing.push(branch.as_str());
            }
        }
        if !missing.is_empty() {
            self.fetch(remote, &missing)?;
        }
        if let Some(default) = &heads.default {
            self.remember_default(remote, default, &heads)?;
        }
        Ok(heads)
    }

    fn ask(&self, remote: &str, branches: &[&str]) -> Result<Heads, RemoteError> {
        let mut command = self.networked(remote)?;
        command.args(["ls-remote", "--symref", "--", remote, "HEAD"]);
        command.args(branches.iter().map(|branch| format!("refs/heads/{branch}")));
        let said = talk(command, "ls-remote")?;
        said.succeeded("ls-remote", remote)?;
        Ok(heads(&said.out))
    }

    /// Whatever the remote's refspec says: a clone of one branch, or one of CI, has a narrow one.
    fn fetch(&self, remote: &str, branches: &[&str]) -> Result<(), RemoteError> {
        let mut command = self.networked(remote)?;
        command.args(["-c", "gc.auto=0", "-c", "maintenance.auto=false"]);
        command.args(["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"]);
        command.args(["--", remote]);
        let refspec = |branch: &&str| format!("+refs/heads/{branch}:refs/remotes/{remote}/{branch}");
        command.args(branches.iter().map(refspec));
        talk(command, "fetch")?.succeeded("fetch", remote)
    }

    fn remember_default(&self, remote: &str, default: &str, heads: &Heads) -> Result<(), RemoteError> {
        let known = self.remembered_default(remote)?;
        if known.is_some_and(|known| known == default || heads.branch(&known).is_some()) {
            return Ok(());
        }
        let mut command = program::git(self)?;
        command.args(["remote", "set-head", "--", remote, default]);
        Ok(program::done(command, "remote set-head")?)
    }

    /// Does all of a push but the pushing, and runs no hook: the remote is reached, and says whether it lets us write.
    /// What it decides by the commit or the branch (its hooks, protected branches) it does not say yet.
    ///
    /// # Errors
    /// As [`push`](Self::push), where that would fail.
    pub fn rehearse_push(&self, request: &PushRequest) -> Result<(), RemoteError> {
        match self.rehearse_once(request) {
            // git writes push options in a rehearsal too (send-pack.c), where the remote expects nothing more and may be
            // gone: SIGPIPE, as luck has it. What the remote says of options comes before that.
            Err(RemoteError::Unreachable { .. }) if !request.options.is_empty() => {
                self.rehearse_once(&PushRequest { options: Vec::new(), ..request.clone() })
            }
            answer => answer,
        }
    }

    fn rehearse_once(&self, request: &PushRequest) -> Result<(), RemoteError> {
        let said = self.push_with(request, &["--dry-run", "--no-verify"])?;
        if said.success {
            return Ok(());
        }
        let remote = request.remote.clone();
        Err(match verdict(&said.out) {
            Some(verdict) => verdict.into_error(request),
            None if said.err.contains("does not support push options") => {
                RemoteError::NoPushOptions { remote }
            }
            None if said.is_refusal() => RemoteError::NotAllowed { command: "push --dry-run", remote },
            None => RemoteError::Unreachable { command: "push --dry-run", remote, status: said.status },
        })
    }

    /// Pushes one commit to one branch.
    ///
    /// # Errors
    /// [`RemoteError::Overtaken`] and [`RemoteError::Declined`] where nothing arrived for certain.
    pub fn push(&self, request: &PushRequest) -> Result<Pushed, RemoteError> {
        let said = self.push_with(request, &[])?;
        if said.success {
            return Ok(Pushed { merge_request: merge_request(&said.err) });
        }
        Err(match verdict(&said.out) {
            Some(verdict) => verdict.into_error(request),
            None => RemoteError::Unknown { remote: request.remote.clone(), status: said.status },
        })
    }

    fn push_with(&self, request: &PushRequest, more: &[&str]) -> Result<Said, RemoteError> {
        let PushRequest { remote, commit, branch, .. } = request;
        let mut command = self.networked(remote)?;
        // What is to be done after a lost race is our business.
        command.args(["-c", "advice.pushUpdateRejected=false"]);
        command.args(["push", "--quiet", "--porcelain", "--no-follow-tags", "--recurse-submodules=no"]);
        command.args(more);
        if let Some(old) = request.replaces {
            command.arg(format!("--force-with-lease=refs/heads/{branch}:{old}"));
        }
        command.args(request.options.iter().map(|option| format!("--push-option={option}")));
        command.args(["--", remote]).arg(format!("{commit}:refs/heads/{branch}"));
        talk(command, "push")
    }

    /// The address that `git push` uses for this remote, and the one that is written in the configuration, which
    /// `url.….insteadOf` may make another one. For comparing; either may hold a password.
    ///
    /// # Errors
    /// When the configuration cannot be read.
    pub fn remote_urls(&self, remote: &str) -> Result<Vec<String>, RepoError> {
        let doing = || format!("read the remote {remote}");
        let found = self.git.try_find_remote(remote).transpose().doing(doing())?;
        let used = found.as_ref().and_then(|remote| remote.url(gix::remote::Direction::Push));
        let mut urls: Vec<String> = used.map(|url| url.to_bstring().to_string()).into_iter().collect();
        let config = self.git.config_snapshot();
        let written = config.string(format!("remote.{remote}.url").as_str());
        urls.extend(written.map(|url| url.to_string()).filter(|url| !urls.contains(url)));
        Ok(urls)
    }

    /// The same for naming it: where `git push` goes, without what the address may have of a user and a password; `None`
    /// where there is no such remote.
    ///
    /// # Errors
    /// When the configuration cannot be read.
    pub fn shown_url(&self, remote: &str) -> Result<Option<String>, RepoError> {
        Ok(self.remote_urls(remote)?.first().map(|url| without_password(url)))
    }

    /// `git` for work at this remote, where the user would start it. The operator's credential is in its environment only where a credential helper may
    /// need it: not for ssh and not for a folder. It speaks English, because what it says is read; of what gettext knows,
    /// LANGUAGE alone leaves the encoding of hooks and helpers as it is.
    pub(super) fn networked(&self, remote: &str) -> Result<Command, RepoError> {
        let is_http = |url: &String| url.starts_with("https://") || url.starts_with("http://");
        let first = self.remote_urls(remote)?.into_iter().next();
        let mut command = if first.as_ref().is_some_and(is_http) {
            program::with_operator(self)
        } else {
            program::git(self)
        }?;
        command.current_dir(self.users_root()).env("LANGUAGE", "en");
        Ok(command)
    }
}

/// What git said.
struct Said {
    out: String,
    err: String,
    success: bool,
    status: String,
}

impl Said {
    fn succeeded(&self, command: &'static str, remote: &str) -> Result<(), RemoteError> {
        if self.success {
            return Ok(());
        }
        let remote = remote.to_owned();
        if self.is_refusal() {
            return Err(RemoteError::NotAllowed { command, remote });
        }
        Err(RemoteError::Unreachable { command, remote, status: self.status.clone() })
    }

    /// Whether the failure is about rights: in the words of GitLab, ssh and git itself. Where they are others it counts
    /// as out of reach.
    fn is_refusal(&self) -> bool {
        const WORDS: [&str; 6] = [
            "not allowed",
            "access denied",
            "permission denied",
            "authentication failed",
            "could not read username",
            "returned error: 403",
        ];
        let said = self.err.to_lowercase();
        WORDS.iter().any(|word| said.contains(word))
    }
}

/// More than this of what git says is not kept.
const KEPT: usize = 64 * 1024;

/// Runs git, keeping what it prints, and passing on what it says.
fn talk(mut command: Command, name: &'static str) -> Result<Said, RemoteError> {
    let failed =
        |error: std::io::Error| RepoError::Git { doing: format!("start git {name}"), why: error.to_string() };
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    let _forwarding = signals::forward_to(child.id());
    let err = child.stderr.take();
    let relay = std::thread::spawn(move || err.map(relayed).unwrap_or_default());
    let mut out = Vec::new();
    if let Some(mut from) = child.stdout.take() {
        from.read_to_end(&mut out).map_err(failed)?;
    }
    let status = child.wait().map_err(failed)?;
    let err = relay.join().unwrap_or_default();
    let out = String::from_utf8_lossy(&out).into_owned();
    Ok(Said { out, err, success: status.success(), status: program::describe(status) })
}

/// Passes lines on as they come.
fn relayed(from: impl Read) -> String {
    let mut kept = String::new();
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        let text = without_password(&String::from_utf8_lossy(&line));
        program::pass_on(&text);
        if kept.len() < KEPT {
            kept += &text;
        }
        line.clear();
    }
    kept
}

/// Takes `user:password@` out of addresses.
fn without_password(text: &str) -> String {
    let mut parts = text.split("://");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c == '/' || c.is_whitespace()).unwrap_or(part.len());
        let rest = part[..end].rfind('@').map_or(part, |at| &part[at + 1..]);
        out += "://";
        out += rest;
    }
    out
}

/// `git ls-remote --symref`: `ref: refs/heads/main<TAB>HEAD`, and `<id><TAB><name>` for each reference.
fn heads(text: &str) -> Heads {
    let mut heads = Heads::default();
    for line in text.lines() {
        let Some((what, name)) = line.split_once('\t') else { continue };
        if let Some(target) = what.strip_prefix("ref: refs/heads/") {
            if name == "HEAD" {
                heads.default = Some(target.to_owned());
            }
            continue;
        }
        let Ok(commit) = ObjectId::from_hex(what.as_bytes()) else { continue };
        let branch = match name {
            "HEAD" => heads.default.clone(),
            name => name.strip_prefix("refs/heads/").map(ToOwned::to_owned),
        };
        heads.branches.extend(branch.filter(|name| heads.branch(name).is_none()).map(|name| (name, commit)));
    }
    heads
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Overtaken,
    Declined(String),
}

impl Verdict {
    fn into_error(self, request: &PushRequest) -> RemoteError {
        let (remote, branch) = (request.remote.clone(), request.branch.clone());
        match self {
            Self::Overtaken => RemoteError::Overtaken { remote, branch },
            Self::Declined(why) => RemoteError::Declined { remote, branch, why },
        }
    }
}

/// Reads the line of the one reference (`git push --porcelain`: flag, names, `[summary] (reason)`). Without such a line
/// git did not come so far as to hear an answer, or a hook of the user's said no.
fn verdict(porcelain: &str) -> Option<Verdict> {
    let line = porcelain.lines().find_map(|line| line.strip_prefix("!\t"))?;
    let (_, summary) = line.split_once('\t')?;
    let reason =
        summary.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')')).map(|(reason, _)| reason);
    let reason = reason.unwrap_or(summary);
    // Only the first kind is git's own word; the others are what receive-pack says when another push was faster.
    let raced = summary.starts_with("[rejected]")
        || [
            "failed to update ref",
            "cannot lock ref",
            "reference already exists",
            "incorrect old value provided",
        ]
        .iter()
        .any(|text| reason.starts_with(text));
    if summary.starts_with("[remote failure]") {
        return None;
    }
    Some(if raced { Verdict::Overtaken } else { Verdict::Declined(reason.to_owned()) })
}

/// The address that GitLab names after a push: `remote:   https://gitlab.com/group/project/-/merge_requests/12`.
fn merge_request(said: &str) -> Option<String> {
    let words = said.lines().filter(|line| line.starts_with("remote:")).flat_map(str::split_whitespace);
    let is_one = |word: &&str| {
        let number = word.split_once("/-/merge_requests/").map(|(_, number)| number);
        word.starts_with("http") && number.is_some_and(|number| number.parse::<u64>().is_ok())
    };
    words.into_iter().find(is_one).map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_names_the_default_branch_and_the_branches() {
        let id = "1".repeat(40);
        let text = format!("ref: refs/heads/trunk\tHEAD\n{id}\tHEAD\n{id}\trefs/heads/provision/qa\n");
        let heads = heads(&text);
        assert_eq!(heads.default.as_deref(), Some("trunk"));
        assert_eq!(heads.branch("provision/qa").map(|id| id.to_string()), Some(id));
        assert_eq!(heads.branch("trunk"), heads.branch("provision/qa"));
        assert_eq!(heads.branch("main"), None);
    }

    #[test]
    fn a_lost_race_is_told_from_a_no() {
        let line = |summary: &str| format!("To /srv/x.git\n!\tabc:refs/heads/main\t{summary}\nDone\n");
        for raced in [
            "[rejected] (fetch first)",
            "[rejected] (non-fast-forward)",
            "[rejected] (stale info)",
            "[remote rejected] (failed to update ref)",
            "[remote rejected] (cannot lock ref 'refs/heads/main': is at 1 but expected 2)",
            "[remote rejected] (incorrect old value provided)",
        ] {
            assert_eq!(verdict(&line(raced)), Some(Verdict::Overtaken), "{raced}");
        }
        for (declined, why) in [
            ("[remote rejected] (pre-receive hook declined)", "pre-receive hook declined"),
            ("[remote rejected] (hook declined (by us))", "hook declined (by us)"),
        ] {
            assert_eq!(verdict(&line(declined)), Some(Verdict::Declined(why.to_owned())));
        }
        assert_eq!(verdict(&line("[remote failure] (remote failed to report status)")), None);
        assert_eq!(verdict(""), None);
    }

    #[test]
    fn the_merge_request_is_the_one_that_the_remote_names() {
        let said = "remote: \nremote: View merge request for provision/qa:\nremote:   https://gitlab.com/a/b/-/merge_requests/12\n";
        assert_eq!(merge_request(said).as_deref(), Some("https://gitlab.com/a/b/-/merge_requests/12"));
        assert_eq!(merge_request("remote:   https://gitlab.com/a/b/-/merge_requests/new?x=1\n"), None);
    }

    #[test]
    fn an_address_is_passed_on_without_its_password() {
        let said = "fatal: unable to access 'https://oauth2:glpat-1@gitlab.com/a/b.git/': no\n";
        assert_eq!(without_password(said), "fatal: unable to access 'https://gitlab.com/a/b.git/': no\n");
        assert_eq!(
            without_password("remote: see https://x.example/a@b\n"),
            "remote: see https://x.example/a@b\n"
        );
    }
}
