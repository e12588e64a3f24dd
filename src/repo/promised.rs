//! Objects that a partial clone left out, and that a remote has promised to it.

use super::error::RepoError;
use super::{Repository, program};

impl Repository {
    /// Reads objects. Where one is not here, and a remote has promised it to a partial clone, the user's git reads first what
    /// `arguments` say: it fetches what it reads.
    pub(super) fn read_or_fetch<T>(
        &self,
        read: impl Fn() -> Result<T, RepoError>,
        arguments: &[&str],
    ) -> Result<T, RepoError> {
        let missing = match read() {
            Err(missing @ RepoError::Git { .. }) => missing,
            done => return done,
        };
        let Some(remote) = self.promisor() else { return Err(missing) };
        let mut command = self.networked(&remote)?;
        command.args(arguments);
        match program::printed(command) {
            Some(_) => read(),
            // There is no such object there either, or the remote cannot be reached.
            None => read().map_err(|_| missing),
        }
    }

    /// The remote that has what a partial clone left out.
    fn promisor(&self) -> Option<String> {
        let config = self.git.config_snapshot();
        let mut remotes = self.git.remote_names().into_iter().map(|name| name.to_string());
        remotes.find(|name| config.boolean(format!("remote.{name}.promisor").as_str()) == Some(true))
    }
}
