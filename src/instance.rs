//! A GitLab instance and its origin: what a credential is bound to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

/// Scheme, host and port (RFC 6454). A credential goes to its own origin and to no other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl Origin {
    /// The origin of `url`; `None` where it has no host or is neither http nor https.
    #[must_use]
    pub fn of(url: &Url) -> Option<Self> {
        if !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        Some(Self {
            scheme: url.scheme().to_owned(),
            host: url.host_str()?.to_ascii_lowercase(),
            port: url.port_or_known_default()?,
        })
    }

    /// The host, in lower case.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let default = if self.scheme == "https" { 443 } else { 80 };
        write!(f, "{}://{}", self.scheme, self.host)?;
        if self.port == default { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// The base URL of a GitLab instance, with a relative root where it has one (`https://host/gitlab`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Instance {
    base: Url,
    origin: Origin,
}

/// Why a text is not the address of a GitLab instance.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstanceError {
    /// Not a URL, or without a host.
    #[error("`{0}` is not a URL such as https://gitlab.example.com")]
    NotAUrl(String),
    /// A user name or password stands in the URL.
    #[error("a GitLab address must not contain a user name or password")]
    WithUserinfo,
    /// A query or fragment stands in the URL.
    #[error("`{0}` has a query or a fragment; give the address alone")]
    WithQuery(String),
    /// Plain http to a host that is not this machine would show the credential to the network.
    #[error("plain http is accepted for this machine only; use https://{0}")]
    PlainHttp(String),
}

impl Instance {
    /// Scheme, host and port.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Host, with the port where it is not the scheme's own: what Backstage and glab call "host".
    #[must_use]
    pub fn host(&self) -> String {
        match self.base.port() {
            Some(port) => format!("{}:{port}", self.origin.host),
            None => self.origin.host.clone(),
        }
    }

    /// The URL of an API v4 route. `segments` are percent-encoded one by one, so that `a/b` becomes `a%2Fb`.
    #[must_use]
    pub fn api<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v4"]).extend(segments);
        }
        url
    }

    /// The URL of a page for people, such as `-/user_settings/personal_access_tokens`.
    #[must_use]
    pub fn page(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().extend(path.split('/'));
        }
        url
    }
}

impl FromStr for Instance {
    type Err = InstanceError;

    /// Reads `https://host[:port][/root]`, or `host[:port]` which means https. A trailing `/api/v4` is dropped,
    /// as scripts keep it in their GITLAB_API_URL.
    fn from_str(text: &str) -> Result<Self, InstanceError> {
        let not_a_url = || InstanceError::NotAUrl(text.to_owned());
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let mut base = Url::parse(&with_scheme).map_err(|_| not_a_url())?;
        if !base.username().is_empty() || base.password().is_some() {
            return Err(InstanceError::WithUserinfo);
        }
        let origin = Origin::of(&base).ok_or_else(not_a_url)?;
        if base.query().is_some() || base.fragment().is_some() {
            return Err(InstanceError::WithQuery(text.to_owned()));
        }
        if base.scheme() == "http" && !is_loopback(&base) {
            return Err(InstanceError::PlainHttp(origin.host));
        }
        let path = base.path().trim_end_matches('/');
        let path = path.strip_suffix("/api/v4").unwrap_or(path).to_owned();
        base.set_path(&path);
        Ok(Self { base, origin })
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Without a trailing slash, as people write it.
impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base.as_str().trim_end_matches('/'))
    }
}

impl Serialize for Instance {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Instance {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(text: &str) -> Instance {
        text.parse().unwrap()
    }

    #[test]
    fn a_bare_host_means_https() {
        assert_eq!(instance("gitlab.com").to_string(), "https://gitlab.com");
        assert_eq!(instance("gitlab.com"), instance("https://GitLab.com/"));
    }

    #[test]
    fn a_relative_root_survives_and_an_api_suffix_does_not() {
        let gitlab = instance("https://example.com/git/api/v4/");
        assert_eq!(gitlab.to_string(), "https://example.com/git");
        let url = gitlab.api(["groups", "a/b", "access_tokens"]);
        assert_eq!(url.as_str(), "https://example.com/git/api/v4/groups/a%2Fb/access_tokens");
        assert_eq!(gitlab.page("-/profile").as_str(), "https://example.com/git/-/profile");
    }

    #[test]
    fn plain_http_goes_to_loopback_only() {
        assert_eq!(instance("http://127.0.0.1:8080").host(), "127.0.0.1:8080");
        let error = "http://gitlab.example.com".parse::<Instance>().unwrap_err();
        assert_eq!(error, InstanceError::PlainHttp("gitlab.example.com".to_owned()));
    }

    #[test]
    fn userinfo_is_refused_and_not_repeated() {
        let error = "https://oauth2:glpat-canary@gitlab.com".parse::<Instance>().unwrap_err();
        assert!(!error.to_string().contains("canary"));
    }

    #[test]
    fn default_ports_make_one_origin() {
        assert_eq!(instance("https://a.example:443").origin(), instance("https://a.example").origin());
        assert_ne!(instance("https://a.example:8443").origin(), instance("https://a.example").origin());
    }
}
