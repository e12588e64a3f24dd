//! Names that a secrets file may not set by itself, and names that a started program does not inherit.
//!
//! Whoever can write a secrets file chooses its keys. A key called LD_PRELOAD or GIT_SSH_COMMAND would run code in the
//! program that is started, or send its requests elsewhere, so such names have to be given on purpose.

/// What a name does that makes it dangerous; `None` for all others. Upper and lower case count as the same, as some
/// programs take both (`http_proxy`, `npm_config_…`).
#[must_use]
pub fn danger(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_uppercase();
    let listed = |names: &[&str]| names.contains(&name.as_str());
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    if begins(LOADER_PREFIXES) || listed(LOADER) {
        return Some("changes what programs load");
    }
    if begins(SHELL_PREFIXES) || listed(SHELL) {
        return Some("changes which programs are started");
    }
    if begins(LANGUAGE_PREFIXES) || listed(LANGUAGE) {
        return Some("changes which code an interpreter runs");
    }
    if begins(TOOL_PREFIXES) {
        return Some("changes what git, sops or a package manager does");
    }
    listed(NETWORK).then_some("changes where requests go or whom they trust")
}

const LOADER_PREFIXES: &[&str] = &["LD_", "DYLD_", "GLIBC_", "MALLOC_", "BASH_FUNC_"];
const LOADER: &[&str] =
    &["GCONV_PATH", "LOCPATH", "NLSPATH", "OPENSSL_CONF", "OPENSSL_ENGINES", "OPENSSL_MODULES"];

const SHELL_PREFIXES: &[&str] = &["XDG_", "LESS"];
const SHELL: &[&str] = &[
    "PATH",
    "PATHEXT",
    "HOME",
    "SHELL",
    "COMSPEC",
    "SYSTEMROOT",
    "WINDIR",
    "USERPROFILE",
    "APPDATA",
    "LOCALAPPDATA",
    "TMPDIR",
    "TEMP",
    "TMP",
    "ENV",
    "BASH_ENV",
    "BASHOPTS",
    "SHELLOPTS",
    "CDPATH",
    "IFS",
    "PS4",
    "PROMPT_COMMAND",
    "ZDOTDIR",
    "EDITOR",
    "VISUAL",
    "PAGER",
    "MANPAGER",
    "BROWSER",
    "SSH_ASKPASS",
    "SUDO_ASKPASS",
    "SSH_AUTH_SOCK",
    "TERMINFO",
    "TERMCAP",
];

const LANGUAGE_PREFIXES: &[&str] =
    &["PYTHON", "PERL5", "RUBY", "BUNDLE_", "LUA_", "DOTNET_", "CORECLR_", "COR_", "PHP_INI", "PSMODULE"];
const LANGUAGE: &[&str] = &[
    "NODE_OPTIONS",
    "NODE_PATH",
    "NODE_REPL_EXTERNAL_MODULE",
    "JAVA_TOOL_OPTIONS",
    "_JAVA_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "JAVA_HOME",
    "CLASSPATH",
    "MAVEN_OPTS",
    "GRADLE_OPTS",
    "PERLLIB",
    "GEM_HOME",
    "GEM_PATH",
    "PHPRC",
    "GOFLAGS",
    "MAKEFLAGS",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
    "ERL_AFLAGS",
    "ERL_FLAGS",
    "R_PROFILE",
];

const TOOL_PREFIXES: &[&str] = &["GIT_", "SOPS_", "NPM_CONFIG_", "YARN_", "PIP_", "CARGO_", "RUSTUP_"];

const NETWORK: &[&str] = &[
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "FTP_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "NODE_TLS_REJECT_UNAUTHORIZED",
    "SSLKEYLOGFILE",
    "HOSTALIASES",
    "RES_OPTIONS",
    "KRB5_CONFIG",
];

/// Whether a started program must not inherit this variable: what opens secrets files, and tokens of the operator.
/// A secrets file may set the latter for the program.
#[must_use]
pub fn is_withheld(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    name.starts_with("SOPS_AGE_") || OPERATOR_TOKENS.contains(&name.as_str())
}

/// Where an operator keeps a GitLab token: ours and glab's, and what scripts call it.
const OPERATOR_TOKENS: &[&str] = &[
    "GITLAB_TOKEN",
    "GITLAB_ACCESS_TOKEN",
    "GITLAB_PRIVATE_TOKEN",
    "GITLAB_API_TOKEN",
    "GL_TOKEN",
    "OAUTH_TOKEN",
    "PRIVATE_TOKEN",
];
