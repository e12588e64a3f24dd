//! JSON shapes: GitLab's entities (`lib/api/entities/`).

use jiff::Timestamp;
use serde_json::{Value, json};

use super::clock::iso;
use super::state::{GitLab, Group, Membership, Project, Resource, Token, TokenOwner, User};
use crate::secret::Secret;
use crate::token::Role;

/// A token without its value; group and project tokens have three fields more.
pub(super) fn token(gitlab: &GitLab, token: &Token, now: Timestamp) -> Value {
    let mut body = json!({
        "id": token.id,
        "name": token.name,
        "revoked": token.revoked,
        "created_at": iso(token.created_at),
        "description": token.description,
        "scopes": token.scopes,
        "user_id": token.user,
        "last_used_at": token.last_used_at.map(iso),
        "active": token.active(now),
        "expires_at": token.expires_at.map(|date| date.to_string()),
    });
    if let Value::Object(fields) = &mut body {
        if !gitlab.settings.descriptions {
            fields.shift_remove("description");
        }
        if let TokenOwner::Resource(resource) = token.owner {
            fields.insert("access_level".to_owned(), json!(gitlab.role_of(token).map(Role::access_level)));
            fields.insert("resource_type".to_owned(), json!(resource.word()));
            fields.insert("resource_id".to_owned(), json!(resource.id()));
        }
    }
    body
}

/// A personal-access-token view of any token, as `/personal_access_tokens` shows it: the resource fields are absent.
pub(super) fn personal(gitlab: &GitLab, row: &Token, now: Timestamp) -> Value {
    let mut body = token(gitlab, row, now);
    if let Value::Object(fields) = &mut body {
        for name in ["access_level", "resource_type", "resource_id"] {
            fields.shift_remove(name);
        }
    }
    body
}

/// Adds the value, which only replies to create and rotate have.
pub(super) fn with_value(mut body: Value, value: &Secret) -> Value {
    if let Value::Object(fields) = &mut body {
        fields.insert("token".to_owned(), json!(value.expose()));
    }
    body
}

/// `Entities::UserBasic`.
pub(super) fn user(user: &User, base: &str) -> Value {
    json!({
        "id": user.id,
        "username": user.username,
        "public_email": null,
        "name": user.name,
        "state": "active",
        "locked": false,
        "avatar_url": null,
        "web_url": format!("{base}/{}", user.username),
        "created_at": iso(user.created_at),
        "bot": user.bot,
    })
}

/// What `GET /user` says of the caller; only administrators see `is_admin`.
pub(super) fn current_user(gitlab_user: &User, base: &str) -> Value {
    let mut body = user(gitlab_user, base);
    if let Value::Object(fields) = &mut body {
        fields.insert("email".to_owned(), json!(format!("{}@example.com", gitlab_user.username)));
        fields.insert("two_factor_enabled".to_owned(), json!(false));
        fields.insert("can_create_group".to_owned(), json!(!gitlab_user.bot));
        if gitlab_user.admin {
            fields.insert("is_admin".to_owned(), json!(true));
        }
    }
    body
}

fn last_segment(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// `Entities::GroupDetail`, the fields that a tool for tokens reads.
pub(super) fn group(gitlab: &GitLab, group: &Group, base: &str) -> Value {
    let parent = gitlab.ancestors(Resource::Group(group.id)).first().map(|parent| parent.id);
    json!({
        "id": group.id,
        "web_url": format!("{base}/groups/{}", group.full_path),
        "name": group.name,
        "path": last_segment(&group.full_path),
        "description": "",
        "visibility": group.visibility.as_str(),
        "full_name": group.full_path.split('/').collect::<Vec<_>>().join(" / "),
        "full_path": group.full_path,
        "created_at": iso(group.created_at),
        "parent_id": parent,
        "archived": false,
    })
}

/// `Entities::Project`, the fields that a tool for tokens reads.
pub(super) fn project(gitlab: &GitLab, project: &Project, base: &str) -> Value {
    let above = gitlab.ancestors(Resource::Project(project.id));
    let namespace = above.first().map(|group| {
        json!({"id": group.id, "name": group.name, "path": last_segment(&group.full_path), "kind": "group",
               "full_path": group.full_path, "web_url": format!("{base}/groups/{}", group.full_path)})
    });
    let http = format!("{base}/{}", project.full_path);
    json!({
        "id": project.id,
        "description": null,
        "name": project.name,
        "name_with_namespace": project.full_path.split('/').collect::<Vec<_>>().join(" / "),
        "path": last_segment(&project.full_path),
        "path_with_namespace": project.full_path,
        "created_at": iso(project.created_at),
        "default_branch": project.code.default_branch.as_deref().unwrap_or("main"),
        "http_url_to_repo": format!("{http}.git"),
        "web_url": http,
        "namespace": namespace,
        "visibility": project.visibility.as_str(),
        "archived": false,
    })
}

/// `Entities::Member`.
pub(super) fn member(member: &Membership, user: &User, base: &str) -> Value {
    json!({
        "id": user.id,
        "username": user.username,
        "name": user.name,
        "state": "active",
        "locked": false,
        "avatar_url": null,
        "web_url": format!("{base}/{}", user.username),
        "access_level": member.role.access_level(),
        "created_at": iso(member.created_at),
        "expires_at": null,
        "membership_state": "active",
    })
}
