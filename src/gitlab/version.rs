//! Which GitLab it is.

use std::rc::Rc;

use jiff::Timestamp;
use serde::Deserialize;

use super::client::Client;
use super::credential::Credential;
use super::errors::{ErrorKind, GitLabError, Subject};
use super::transport::Transport;
use crate::instance::Instance;

#[derive(Deserialize)]
struct Metadata {
    version: String,
}

impl Client {
    /// Major and minor version; `None` where the token's scopes do not let us ask, or the version is not one that we can
    /// read (`lib/api/metadata.rb`; instances before 15.2 have `/version` alone and are not asked again).
    ///
    /// # Errors
    /// [`GitLabError`]
    pub async fn version(&self) -> Result<Option<(u32, u32)>, GitLabError> {
        match self.read::<Metadata>(self.instance().api(["metadata"]), &Subject::Operator).await {
            Ok(metadata) => Ok(parse(&metadata.version)),
            Err(error) if is_silent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Asks without a token whether a GitLab is there. It refuses that in its own form, which shows that it can be reached, and
/// says what time it is there.
///
/// # Errors
/// Where it cannot be reached, or something else answers.
pub async fn answers(
    transport: Rc<dyn Transport>,
    instance: &Instance,
) -> Result<Option<Timestamp>, GitLabError> {
    let nobody = Rc::new(Credential::nobody(instance.origin().clone()));
    let client = Client::new(transport, instance.clone(), nobody);
    match client.version().await {
        Ok(_) => Ok(client.server_time()),
        Err(error) if *error.kind() == ErrorKind::TokenUnknown => Ok(client.server_time()),
        Err(error) => Err(error),
    }
}

fn is_silent(error: &GitLabError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::InsufficientScope { .. }
            | ErrorKind::Forbidden
            | ErrorKind::NotFound
            | ErrorKind::NoSuchRoute
    )
}

/// `18.9.1-ee` is 18.9.
fn parse(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split(['.', '-']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn major_and_minor_are_read_and_what_is_none_is_not_guessed() {
        assert_eq!(parse("18.9.1-ee"), Some((18, 9)));
        assert_eq!(parse("19.6.0-pre"), Some((19, 6)));
        assert_eq!(parse("17.7"), Some((17, 7)));
        assert_eq!(parse("nightly"), None);
        assert_eq!(parse(""), None);
    }
}
