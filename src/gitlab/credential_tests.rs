//! The table of [`resolve`](super::resolve).

use super::*;

const TOKEN: &str = "glpat-canary0123456789abcd";

fn instance(text: &str) -> Instance {
    text.parse().unwrap()
}

fn from_environment(token: &str, host: Option<&str>, ci_server_url: Option<&str>) -> Sources {
    Sources {
        token: Some(Secret::new(token.to_owned())),
        host: host.map(ToOwned::to_owned),
        ci_server_url: ci_server_url.map(ToOwned::to_owned),
        ..Sources::default()
    }
}

fn ready(sources: &Sources, wanted: &str) -> Credential {
    match resolve(sources, &instance(wanted)) {
        Ok(Resolved::Ready(credential)) => credential,
        other => panic!("{other:?}"),
    }
}

fn refused(sources: &Sources, wanted: &str) -> CredentialError {
    resolve(sources, &instance(wanted)).unwrap_err()
}

#[test]
fn a_bound_token_goes_to_the_origin_that_it_is_bound_to() {
    for (host, ci, wanted) in [
        (Some("gitlab.com"), None, "https://gitlab.com"),
        (Some("https://gitlab.com/"), None, "https://gitlab.com"),
        (Some("https://host.example/root"), None, "https://host.example/root"),
        (Some("http://127.0.0.1:8080"), None, "http://127.0.0.1:8080"),
        (Some("https://host.example/api/v4"), None, "https://host.example"),
        (None, Some("https://gitlab.com"), "https://gitlab.com"),
        (Some(" "), Some("https://gitlab.com"), "https://gitlab.com"),
        (Some("gitlab.com"), Some("https://other.example"), "https://gitlab.com"),
    ] {
        let credential = ready(&from_environment(TOKEN, host, ci), wanted);
        assert_eq!(credential.origin(), instance(wanted).origin());
        assert_eq!(credential.secret().expose(), TOKEN);
        assert_eq!(credential.source(), "GITLAB_TOKEN");
    }
}

#[test]
fn a_token_bound_to_another_origin_is_refused_and_the_error_says_by_what() {
    for (host, ci, wanted, expected) in [
        (
            Some("gitlab.com"),
            None,
            "https://gitlab.example.com",
            "the token from GITLAB_TOKEN is for https://gitlab.com, as GITLAB_HOST says, and was not sent to https://gitlab.example.com",
        ),
        (
            None,
            Some("https://ci.example"),
            "https://gitlab.com",
            "the token from GITLAB_TOKEN is for https://ci.example, as CI_SERVER_URL says, and was not sent to https://gitlab.com",
        ),
        (
            Some("https://gitlab.com:8443"),
            None,
            "https://gitlab.com",
            "the token from GITLAB_TOKEN is for https://gitlab.com:8443, as GITLAB_HOST says, and was not sent to https://gitlab.com",
        ),
        (
            Some("127.0.0.1:8080"),
            None,
            "http://127.0.0.1:8080",
            "the token from GITLAB_TOKEN is for https://127.0.0.1:8080, as GITLAB_HOST says, and was not sent to http://127.0.0.1:8080",
        ),
    ] {
        let mut sources = from_environment(TOKEN, host, ci);
        sources.can_ask = true;
        assert_eq!(refused(&sources, wanted).to_string(), expected);
    }
}

#[test]
fn without_a_binding_a_person_decides_and_without_a_person_it_is_refused() {
    let mut sources = from_environment(TOKEN, None, Some(""));
    assert_eq!(
        refused(&sources, "https://gitlab.com"),
        CredentialError::Unbound {
            source_name: "GITLAB_TOKEN".to_owned(),
            wanted: Box::new(instance("https://gitlab.com"))
        }
    );
    sources.can_ask = true;
    match resolve(&sources, &instance("https://gitlab.com")) {
        Ok(Resolved::NeedsApproval(unapproved)) => {
            assert_eq!(unapproved.origin().to_string(), "https://gitlab.com");
            assert_eq!(unapproved.approve().secret().expose(), TOKEN);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_token_given_by_an_option_comes_first_and_is_bound_like_any_other() {
    let mut sources = from_environment("glpat-other", Some("gitlab.com"), None);
    sources.given =
        Some(Given { value: Secret::new(format!("  {TOKEN}\r\n")), option: "--token-stdin".to_owned() });
    let credential = ready(&sources, "https://gitlab.com");
    assert_eq!(credential.secret().expose(), TOKEN);
    assert_eq!(credential.source(), "--token-stdin");
    // A profile that names another host gets nothing.
    assert!(matches!(
        refused(&sources, "https://gitlab.example.com"),
        CredentialError::BoundElsewhere { source_name, .. } if source_name == "--token-stdin"
    ));
    sources.host = None;
    assert!(matches!(refused(&sources, "https://gitlab.com"), CredentialError::Unbound { .. }));
}

#[test]
fn a_source_that_is_there_and_wrong_is_an_error_not_a_reason_to_try_the_next() {
    let mut sources = from_environment(TOKEN, Some("gitlab.com"), None);
    sources.given = Some(Given { value: Secret::new("\n".to_owned()), option: "--token-file t".to_owned() });
    assert_eq!(
        refused(&sources, "https://gitlab.com").to_string(),
        "the token from --token-file t cannot be used: it is empty"
    );
}

#[test]
fn what_cannot_be_a_token_is_refused_and_not_repeated() {
    for (text, problem) in [
        ("", ValueError::Empty),
        (" \n\t", ValueError::Empty),
        ("glpat-canary\nsecond line", ValueError::NotAToken),
        ("glpat-canary second", ValueError::NotAToken),
        ("glpat-canary\u{7f}", ValueError::NotAToken),
        ("glpat-canäry", ValueError::NotAToken),
        ("glpat-AAECAwQFBgcICQoLDA0OD2M6MQpvOjEKdTo0bQw.01.131yhzfly", ValueError::Damaged),
        ("glpat-AAECAwQFBgcICQoLDA0OD2M6MQpvOjEKdTo0bQw.01.131yhz", ValueError::Damaged),
    ] {
        let error = refused(&from_environment(text, Some("gitlab.com"), None), "https://gitlab.com");
        let (source_name, wanted) = ("GITLAB_TOKEN".to_owned(), Box::new("gitlab.com".parse().unwrap()));
        assert_eq!(error, CredentialError::Value { source_name, problem, wanted });
        let shown = format!("{error} {error:?} {}", error.hint());
        assert!(!shown.contains("canary") && !shown.contains("AAECAw"), "{shown}");
    }
}

#[test]
fn a_binding_that_is_no_address_is_refused() {
    for host in ["http://gitlab.example.com", "https://me:secret@gitlab.com", "https://"] {
        let error = refused(&from_environment(TOKEN, Some(host), None), "https://gitlab.com");
        assert!(matches!(error, CredentialError::Binding { variable: "GITLAB_HOST", .. }), "{error:?}");
        assert!(!error.to_string().contains("secret"));
    }
}

#[test]
fn without_any_source_the_hint_lists_the_ways() {
    let error = refused(&Sources::default(), "https://gitlab.example.com/root");
    assert_eq!(error.to_string(), "no GitLab token was given for https://gitlab.example.com/root");
    for way in
        ["GITLAB_TOKEN", "GITLAB_HOST=https://gitlab.example.com/root", "--token-file", "--token-stdin"]
    {
        assert!(error.hint().contains(way), "{way}");
    }
}

#[test]
fn an_oauth_access_token_is_presented_as_bearer() {
    let origin = instance("https://gitlab.com").origin().clone();
    let oauth = Secret::new("0123456789abcdef".repeat(4));
    assert_eq!(Credential::new(origin.clone(), &oauth, "t").unwrap().scheme(), Scheme::Bearer);
    let personal = Secret::new(TOKEN.to_owned());
    assert_eq!(Credential::new(origin, &personal, "t").unwrap().scheme(), Scheme::PrivateToken);
}

#[test]
fn nothing_that_holds_a_credential_shows_it() {
    let mut sources = from_environment(TOKEN, Some("gitlab.com"), None);
    sources.given = Some(Given { value: Secret::new(TOKEN.to_owned()), option: "--token-stdin".to_owned() });
    let resolved = resolve(&sources, &instance("https://gitlab.com")).unwrap();
    sources.host = None;
    sources.can_ask = true;
    let unapproved = resolve(&sources, &instance("https://gitlab.com")).unwrap();
    for shown in [format!("{sources:?}"), format!("{resolved:?}"), format!("{unapproved:?}")] {
        assert!(!shown.contains("canary"), "{shown}");
    }
}

#[test]
fn what_was_approved_for_the_repository_binds_where_no_variable_does() {
    let mut sources = from_environment(TOKEN, None, None);
    assert!(matches!(refused(&sources, "https://gitlab.com"), CredentialError::Unbound { .. }));
    sources.approved = vec!["https://gitlab.com".to_owned()];
    let credential = ready(&sources, "https://gitlab.com/root");
    assert_eq!((credential.source(), credential.bound_by()), ("GITLAB_TOKEN", "provision trust"));
    for other in ["https://gitlab.com:8443", "https://evil.example", "http://localhost"] {
        assert!(matches!(refused(&sources, other), CredentialError::Unbound { .. }), "{other}");
    }
}

#[test]
fn an_approval_does_not_move_a_token_that_is_bound_elsewhere() {
    let mut sources = from_environment(TOKEN, Some("gitlab.com"), None);
    sources.approved = vec!["https://evil.example".to_owned()];
    assert!(matches!(refused(&sources, "https://evil.example"), CredentialError::BoundElsewhere { .. }));
}

#[test]
fn what_glab_keeps_comes_last_and_needs_an_approval() {
    let glab = || Some(Secret::new("glpat-of-glab0123456789".to_owned()));
    let mut sources = Sources { glab: glab(), ..from_environment(TOKEN, Some("gitlab.com"), None) };
    assert_eq!(ready(&sources, "https://gitlab.com").source(), "GITLAB_TOKEN");
    sources.token = None;
    assert!(matches!(refused(&sources, "https://gitlab.com"), CredentialError::Unbound { .. }));
    sources.approved = vec!["https://gitlab.com".to_owned()];
    assert_eq!(ready(&sources, "https://gitlab.com").source(), "glab");
    sources.can_ask = true;
    assert!(matches!(resolve(&sources, &instance("https://other.example")), Ok(Resolved::NeedsApproval(_))));
}
