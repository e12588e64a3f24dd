//! From paths to GitLab's numbers, and who we are ourselves.

use super::client::Client;
use super::errors::{ErrorKind, GitLabError, Subject};
use super::transport::Method;
use super::wire;
use crate::token::{Kind, Owner};

/// The user that the operator's token acts as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// GitLab's number of the user.
    pub id: u64,
    /// `None` where the token's scopes do not let us ask.
    pub username: Option<String>,
    /// Whether GitLab calls the user an administrator; `None` where it does not say. With Admin Mode on, the token
    /// needs the scope `admin_mode` as well.
    pub is_admin: Option<bool>,
    /// Whether it is the bot user of a group or project token; `None` where GitLab does not say.
    pub bot: Option<bool>,
}

impl Client {
    /// The group, project or user at `path`, with its number. A user is looked up by user name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where it is missing or not visible to the token's user.
    pub async fn resolve_owner(&self, kind: Kind, path: &str) -> Result<Owner, GitLabError> {
        let subject = Subject::Owner { kind, path: path.to_owned() };
        let (id, path) = match kind {
            Kind::Group => {
                let mut url = self.instance().api(["groups", path]);
                // The group's projects would make the reply long.
                url.query_pairs_mut().append_pair("with_projects", "false");
                let group: wire::Group = self.read(url, &subject).await?;
                (group.id, group.full_path)
            }
            Kind::Project => {
                let project: wire::Project =
                    self.read(self.instance().api(["projects", path]), &subject).await?;
                (project.id, project.path_with_namespace)
            }
            Kind::Personal => {
                let mut url = self.instance().api(["users"]);
                url.query_pairs_mut().append_pair("username", path);
                let users: Vec<wire::User> = self.read(url.clone(), &subject).await?;
                let Some(user) = users.into_iter().find(|user| user.username.eq_ignore_ascii_case(path))
                else {
                    return Err(self.refused(Method::Get, &url, &subject, ErrorKind::NotFound));
                };
                (user.id, user.username)
            }
        };
        Ok(Owner { kind, id, path })
    }

    /// The user name of this user; that of a bot says whose bot it is.
    ///
    /// # Errors
    /// [`GitLabError`]
    pub async fn username(&self, id: u64) -> Result<String, GitLabError> {
        let id = id.to_string();
        let subject = Subject::Owner { kind: Kind::Personal, path: id.clone() };
        let user: wire::User = self.read(self.instance().api(["users", id.as_str()]), &subject).await?;
        Ok(user.username)
    }

    /// Whose the operator's token is. Where its scopes do not cover `GET /user`, the token itself is asked, which gives
    /// the user's number alone.
    ///
    /// # Errors
    /// [`GitLabError`]
    pub async fn whoami(&self) -> Result<User, GitLabError> {
        match self.read::<wire::User>(self.instance().api(["user"]), &Subject::Operator).await {
            Ok(user) => Ok(User {
                id: user.id,
                username: Some(user.username),
                is_admin: user.is_admin,
                bot: user.bot,
            }),
            Err(error) if matches!(error.kind(), ErrorKind::InsufficientScope { .. }) => {
                let id = self.own_token().await?.user_id;
                Ok(User { id, username: None, is_admin: None, bot: None })
            }
            Err(error) => Err(error),
        }
    }
}
