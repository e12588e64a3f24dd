//! The environment variables that the program reads, each of them once and here.

#![expect(clippy::disallowed_methods, reason = "this is the one place where the environment is read")]

use std::ffi::OsString;
use std::path::PathBuf;

use crate::secret::Secret;

/// A snapshot of the variables that mean something to `provision`.
///
/// HTTPS_PROXY and NO_PROXY are read by the HTTP client itself, git's variables by git and gix.
#[derive(Debug, Default)]
pub struct Variables {
    /// GITLAB_TOKEN: the operator credential. Empty where it is set to nothing, which is worth an error of its own.
    pub gitlab_token: Option<Secret>,
    /// GITLAB_HOST: the instance that GITLAB_TOKEN belongs to (as for glab).
    pub gitlab_host: Option<String>,
    /// CI_SERVER_URL: the same in GitLab CI.
    pub ci_server_url: Option<String>,
    /// CI_SERVER_TLS_CA_FILE: certificates to trust besides the system's, in GitLab CI.
    pub ci_server_tls_ca_file: Option<PathBuf>,
    /// SOPS_AGE_KEY: age identities as text.
    pub sops_age_key: Option<Secret>,
    /// SOPS_AGE_KEY_FILE: a file of age identities.
    pub sops_age_key_file: Option<PathBuf>,
    /// SOPS_AGE_KEY_CMD: a program that prints age identities; split into words, no shell.
    pub sops_age_key_cmd: Option<String>,
    /// SOPS_AGE_SSH_PRIVATE_KEY_FILE: an SSH private key to be used as an age identity.
    pub sops_age_ssh_private_key_file: Option<PathBuf>,
    /// SOPS_AGE_SSH_PRIVATE_KEY_CMD: a program that prints one.
    pub sops_age_ssh_private_key_cmd: Option<String>,
    /// SOPS_KEYSERVICE: addresses of key services, with commas between.
    pub sops_keyservice: Vec<String>,
    /// SOPS_ENABLE_LOCAL_KEYSERVICE is not false: a `sops keyservice` of our own may be started.
    pub sops_enable_local_keyservice: bool,
    /// XDG_CONFIG_HOME: where `sops/age/keys.txt` is looked for first.
    pub xdg_config_home: Option<PathBuf>,
    /// XDG_STATE_HOME: where approvals are kept.
    pub xdg_state_home: Option<PathBuf>,
    /// PATH: where programs are looked for.
    pub path: Option<OsString>,
    /// BROWSER: programs that open a page, with colons between.
    pub browser: Option<String>,
    /// DISPLAY or WAYLAND_DISPLAY is set: there is a screen.
    pub display: bool,
    /// WSL_DISTRO_NAME is set: Linux inside Windows.
    pub wsl: bool,
    /// The variables of proxies that are set, by name; reqwest reads them itself.
    pub proxies: Vec<(&'static str, String)>,
    /// SSL_CERT_FILE: certificates in the place of the system's.
    pub ssl_cert_file: Option<PathBuf>,
    /// HOME: where `.config/sops/age/keys.txt` is looked for otherwise, and `.ssh`.
    pub home: Option<PathBuf>,
    /// NO_COLOR is set and not empty (no-color.org).
    pub no_color: bool,
    /// TERM is `dumb`: the terminal knows no escape sequences.
    pub dumb_terminal: bool,
}

impl Variables {
    /// Reads them. An empty variable other than GITLAB_TOKEN counts as not set.
    #[must_use]
    pub fn read() -> Self {
        Self {
            gitlab_token: std::env::var("GITLAB_TOKEN").ok().map(Secret::new),
            gitlab_host: text("GITLAB_HOST"),
            ci_server_url: text("CI_SERVER_URL"),
            ci_server_tls_ca_file: path("CI_SERVER_TLS_CA_FILE"),
            sops_age_key: secret("SOPS_AGE_KEY"),
            sops_age_key_file: path("SOPS_AGE_KEY_FILE"),
            sops_age_key_cmd: text("SOPS_AGE_KEY_CMD"),
            sops_age_ssh_private_key_file: path("SOPS_AGE_SSH_PRIVATE_KEY_FILE"),
            sops_age_ssh_private_key_cmd: text("SOPS_AGE_SSH_PRIVATE_KEY_CMD"),
            sops_keyservice: addresses("SOPS_KEYSERVICE"),
            sops_enable_local_keyservice: !is_false("SOPS_ENABLE_LOCAL_KEYSERVICE"),
            xdg_config_home: path("XDG_CONFIG_HOME"),
            xdg_state_home: path("XDG_STATE_HOME"),
            path: std::env::var_os("PATH"),
            browser: text("BROWSER"),
            display: text("DISPLAY").or_else(|| text("WAYLAND_DISPLAY")).is_some(),
            wsl: text("WSL_DISTRO_NAME").is_some(),
            proxies: PROXIES.iter().filter_map(|name| Some((*name, text(name)?))).collect(),
            ssl_cert_file: path("SSL_CERT_FILE"),
            home: path("HOME"),
            no_color: text("NO_COLOR").is_some(),
            dumb_terminal: text("TERM").is_some_and(|term| term == "dumb"),
        }
    }
}

const PROXIES: [&str; 8] = [
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
];

fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn addresses(name: &str) -> Vec<String> {
    let text = text(name).unwrap_or_default();
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// As Go reads a boolean.
fn is_false(name: &str) -> bool {
    text(name).is_some_and(|text| ["0", "f", "F", "false", "FALSE", "False"].contains(&text.as_str()))
}

fn secret(name: &str) -> Option<Secret> {
    text(name).map(Secret::new)
}

fn path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
