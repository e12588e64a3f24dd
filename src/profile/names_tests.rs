use super::*;

#[test]
fn the_name_of_an_environment_is_a_file_name_and_the_end_of_a_branch_name() {
    for good in ["qa", "dev-2", "Ana.B_c-9", "_x"] {
        assert_eq!(environment(good), Ok(()));
    }
    let long = "x".repeat(201);
    for bad in [
        "", ".", "..", "a/b", "a\\b", "../x", ".git", "a.lock", "a.GIT", "-x", "a..b", "a.", "a\nb", "é",
        &long,
    ] {
        assert!(environment(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_user_name_is_one_of_gitlab_and_one_path_component() {
    for good in ["ana", "Ana.B_c-9", "_x", ".ana", "ana-", "a.lock"] {
        assert_eq!(good.parse::<UserName>().unwrap().as_str(), good);
    }
    let long = "x".repeat(256);
    for bad in [
        "", ".", "..", "a/b", "a\\b", "../x", ".git", "a.GIT", "a.atom", "-x", "a.", "a\nb", "é", "{user}",
        &long,
    ] {
        assert!(bad.parse::<UserName>().is_err(), "{bad}");
    }
}

#[test]
fn a_token_key_can_be_named_in_a_template() {
    for good in ["backstage", "_a", "A1", "crowdin_integration"] {
        assert_eq!(token_key(good), Ok(()));
    }
    assert!(
        token_key("crowdin-integration").unwrap_err().to_string().ends_with("; write `crowdin_integration`")
    );
    for bad in ["", "1st", "a.b", "a b", "é"] {
        assert!(token_key(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_token_name_fits_gitlab() {
    assert_eq!(token_name("Backstage (qa.alithya-mws.com)"), Ok(()));
    assert_eq!(token_name(&"é".repeat(255)), Ok(()));
    for bad in ["", "  ", " a", "a\nb", "a\u{1b}[31m", &"é".repeat(256)] {
        assert!(token_name(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_secrets_file_stays_in_the_repository_and_away_from_our_files() {
    for good in ["secrets/qa.sops.yaml", "a", "deploy/.env", "x.gitlab/y"] {
        assert_eq!(secrets_path(good, false), Ok(()));
    }
    for bad in [
        "",
        "/etc/passwd",
        "../x",
        "a/../b",
        "./a",
        "a//b",
        "a/",
        ".git/config",
        "sub/.GIT/x",
        "a\\b",
        "C:/x",
        "a\0b",
        "{user}/x",
        "{env}/x",
        ".sops.yaml",
        "environments/locks/qa.yaml",
        "templates/x.yaml",
    ] {
        assert!(secrets_path(bad, false).is_err(), "{bad:?}");
    }
}

#[test]
fn the_user_placeholder_stands_once_and_only_in_personal_files() {
    assert_eq!(secrets_path("secrets/devmode/{user}.sops.yaml", true), Ok(()));
    for bad in ["{user}/{user}.yaml", "{user}/{env}", "x{", "{user}/../y"] {
        assert!(secrets_path(bad, true).is_err(), "{bad}");
    }
    assert_eq!(
        secrets_path("s/{user}.yaml", false).unwrap_err().to_string(),
        "`file: s/{user}.yaml` has `{user}`, which is for files with `recipients: self`"
    );
}

#[test]
fn groups_and_projects_are_full_paths() {
    for good in ["alithya-csna", "a/b/c", "a.b/c_d"] {
        assert_eq!(group_path(good), Ok(()));
    }
    for bad in ["", "/a", "a/", "a//b", "https://gitlab.com/a", "a b", "a/../b", "-a"] {
        assert!(group_path(bad).is_err(), "{bad}");
    }
    assert_eq!(project_path("a/b"), Ok(()));
    assert_eq!(
        project_path("backstage").unwrap_err().to_string(),
        "`backstage` lacks the project's group; write the full path, such as alithya-csna/backstage"
    );
}
