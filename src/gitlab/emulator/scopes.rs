//! Which scopes a token may have: a question of the instance's configuration (`lib/gitlab/auth.rb` of GitLab).

use super::state::Settings;

const CORE: [&str; 4] = ["api", "read_api", "read_repository", "write_repository"];
const REGISTRY: [&str; 2] = ["read_registry", "write_registry"];
const VIRTUAL_REGISTRY: [&str; 2] = ["read_virtual_registry", "write_virtual_registry"];
const OTHER: [&str; 5] = ["create_runner", "manage_runner", "k8s_proxy", "self_rotate", "ai_features"];
const OBSERVABILITY: [&str; 2] = ["read_observability", "write_observability"];
/// Pass the API's check of values, though no page offers them.
const UNOFFERED: [&str; 3] = ["mcp", "mcp_orbit", "granular"];
const ADMIN: [&str; 3] = ["read_service_ping", "sudo", "admin_mode"];

/// What `POST /user/personal_access_tokens` accepts.
pub(super) const SELF_SERVICE: [&str; 2] = ["k8s_proxy", "self_rotate"];

/// `resource_bot_scopes`: group and project tokens. No `read_user`, nothing of an administrator's.
pub(super) fn of_bots(settings: &Settings) -> Vec<&'static str> {
    let mut scopes = CORE.to_vec();
    if settings.container_registry {
        scopes.extend(REGISTRY);
    }
    if settings.dependency_proxy {
        scopes.extend(VIRTUAL_REGISTRY);
    }
    scopes.extend(OTHER);
    scopes.extend(OBSERVABILITY);
    scopes.extend(UNOFFERED);
    scopes
}

/// `all_available_scopes`: personal tokens made by an administrator.
pub(super) fn of_users(settings: &Settings) -> Vec<&'static str> {
    let mut scopes = of_bots(settings);
    scopes.push("read_user");
    scopes.extend(ADMIN);
    scopes
}

/// Whether only an administrator's own tokens may have it.
pub(super) fn is_for_admins(scope: &str) -> bool {
    ADMIN.contains(&scope)
}
