use super::*;
use crate::checks::State;
use crate::error::Kind;
use crate::journal::Replay;
use crate::token;

const NOW: &str = "2026-11-21T08:00:00Z";

fn well() -> Observed {
    Observed {
        now: NOW.parse().unwrap(),
        repository: Ok(Repository {
            root: "/home/ana/team".to_owned(),
            branch: Some("main".to_owned()),
            in_progress: None,
            upstream: Ok(Some("origin/main".to_owned())),
            commit: Ok(()),
            uncommitted: Vec::new(),
            own: BTreeMap::new(),
            hook: Hook::Ours,
            has_policy: true,
            check: Ok((0, None)),
            environments: vec![("qa".to_owned(), None)],
            personal: Vec::new(),
            files: vec![File {
                environment: "qa".to_owned(),
                path: "secrets/qa.sops.yaml".to_owned(),
                ours: true,
                readers: 2,
                personal: false,
            }],
            tokens: vec![row(State::Healthy)],
            lacking: Vec::new(),
            journals: Vec::new(),
            scheduled: Some(".gitlab-ci.yml".to_owned()),
        }),
        keys: Keys {
            read: Ok(ReadKeys {
                sources: vec!["keys.txt".to_owned()],
                recipients: vec!["age1x".to_owned()],
                unusable: Vec::new(),
            }),
            default: Some(("/home/ana/.config/sops/age/keys.txt".to_owned(), Some(0o100_600))),
        },
        instances: vec![Instance {
            address: "https://gitlab.com".to_owned(),
            environments: vec!["qa".to_owned()],
            needs_api: true,
            credential: Ok(Source {
                name: "GITLAB_TOKEN".to_owned(),
                bound_by: "GITLAB_HOST".to_owned(),
                own: None,
            }),
            reached: None,
            asked: Some(Asked {
                token: Ok(Operator { name: "ana".to_owned(), scopes: scopes(&["api"]), expires: None }),
                version: Some((19, 6)),
                time: Some(NOW.parse().unwrap()),
            }),
        }],
        approvals: Ok(Vec::new()),
        machine: Machine {
            sops: Some(("/usr/bin/sops".to_owned(), Some("sops 3.11.0".to_owned()))),
            ..Machine::default()
        },
    }
}

fn row(state: State) -> Row {
    Row {
        environment: "qa".to_owned(),
        user: None,
        key: "backstage".to_owned(),
        kind: token::Kind::Group,
        owner: None,
        id: None,
        expires: None,
        state,
        superseded: Vec::new(),
    }
}

fn scopes(names: &[&str]) -> Scopes {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// What needs care after this change, as `check: grade`.
fn care(change: impl FnOnce(&mut Observed)) -> Vec<String> {
    let mut observed = well();
    change(&mut observed);
    let findings = diagnose(&observed).into_iter().filter(|finding| finding.grade.needs_care());
    findings
        .map(|finding| {
            assert!(finding.mend.is_some(), "{} says no way out", finding.check);
            format!("{}: {}", finding.check, finding.grade)
        })
        .collect()
}

fn repository(change: impl FnOnce(&mut Repository)) -> Vec<String> {
    care(|observed| change(observed.repository.as_mut().unwrap()))
}

fn operator(change: impl FnOnce(&mut Operator)) -> Vec<String> {
    care(|observed| change(observed.instances[0].asked.as_mut().unwrap().token.as_mut().unwrap()))
}

#[test]
fn where_all_is_well_everything_is_named_and_nothing_needs_care() {
    assert_eq!(care(|_| {}), [""; 0]);
    let findings = diagnose(&well());
    for topic in ["git", "policy", "environments", "keys", "gitlab", "machine"] {
        assert!(findings.iter().any(|finding| finding.topic == topic), "{topic}");
    }
}

#[test]
fn trouble_in_the_repository_is_graded_and_has_a_way_out() {
    let error = || Error::new(Kind::Failed, "broken").hint("mend it");
    assert_eq!(care(|observed| observed.repository = Err(error())), ["repository: wrong"]);
    assert_eq!(repository(|repo| repo.in_progress = Some("a merge")), ["repository: warning"]);
    assert_eq!(repository(|repo| repo.commit = Err(error())), ["commit: wrong"]);
    assert_eq!(
        repository(|repo| repo.upstream = Err(("why".to_owned(), "mend".to_owned()))),
        ["upstream: warning"]
    );
    assert_eq!(repository(|repo| repo.uncommitted = vec![error()]), ["own-files: warning"]);
    assert_eq!(repository(|repo| repo.has_policy = false), ["policy: wrong"]);
    assert_eq!(repository(|repo| repo.check = Ok((2, Some("x".to_owned())))), ["files: wrong"]);
    assert_eq!(repository(|repo| repo.environments = Vec::new()), ["profiles: wrong"]);
    assert_eq!(repository(|repo| repo.environments[0].1 = Some(error())), ["profiles: wrong"]);
    assert_eq!(
        repository(|repo| repo.journals = vec![("qa".to_owned(), Ok(Replay::default()))]),
        ["interrupted: warning"]
    );
    assert_eq!(repository(|repo| repo.hook = Hook::None), [""; 0]);
}

#[test]
fn a_dead_token_is_wrong_a_due_one_a_warning_and_one_never_minted_a_note() {
    let with = |state| repository(|repo| repo.tokens = vec![row(state)]);
    assert_eq!(with(State::Expired), ["tokens: wrong"]);
    assert_eq!(with(State::Revoked), ["tokens: wrong"]);
    assert_eq!(with(State::Due), ["tokens: warning"]);
    assert_eq!(with(State::Unlisted), ["tokens: warning"]);
    assert_eq!(with(State::Missing), [""; 0]);
}

#[test]
fn replaced_tokens_need_somebody_who_retires_them() {
    let waiting = |scheduled: Option<&str>| {
        repository(|repo| {
            repo.scheduled = scheduled.map(str::to_owned);
            repo.tokens[0].superseded = vec![token::TokenId(7)];
        })
    };
    assert_eq!(waiting(None), ["schedule: warning"]);
    assert_eq!(waiting(Some(".gitlab-ci.yml")), [""; 0]);
    assert_eq!(repository(|repo| repo.scheduled = None), [""; 0]);
}

#[test]
fn a_key_that_others_may_read_and_one_that_is_missing_need_care() {
    let open = |observed: &mut Observed| observed.keys.default.as_mut().unwrap().1 = Some(0o100_644);
    assert_eq!(care(open), ["key-file: warning"]);
    assert_eq!(care(|observed| observed.keys.read = Ok(ReadKeys::default())), ["identities: warning"]);
    let others = File {
        environment: "dev".to_owned(),
        path: "secrets/dev.sops.yaml".to_owned(),
        ours: false,
        readers: 1,
        personal: false,
    };
    assert_eq!(repository(|repo| repo.files.push(others)), [""; 0]);
}

#[test]
fn who_has_no_key_reads_the_command_that_makes_what_they_need() {
    let mend = |change: fn(&mut Repository)| {
        let mut observed = well();
        observed.keys.read = Ok(ReadKeys::default());
        change(observed.repository.as_mut().unwrap());
        let findings = diagnose(&observed);
        findings.into_iter().find(|finding| finding.check == "identities").unwrap().mend.unwrap().to_string()
    };
    assert!(mend(|repo| repo.personal = vec!["devmode".to_owned()]).starts_with("provision bootstrap"));
    assert!(mend(|repo| repo.environments = Vec::new()).starts_with("provision init"));
    assert!(mend(|_| {}).starts_with("age-keygen -o /home/ana/.config"));
}

#[test]
fn a_token_that_lacks_a_scope_of_its_profile_needs_care_and_a_developers_own_needs_no_api() {
    let lacking = || {
        let (environment, key) = ("qa".to_owned(), "backstage".to_owned());
        vec![Lacking { environment, key, scopes: vec!["write_repository".to_owned()] }]
    };
    assert_eq!(repository(|repo| repo.lacking = lacking()), ["scopes: warning"]);
    let own = |observed: &mut Observed| {
        let instance = &mut observed.instances[0];
        instance.credential.as_mut().unwrap().own = Some("qa".to_owned());
        instance.asked.as_mut().unwrap().token.as_mut().unwrap().scopes = scopes(&["read_api"]);
    };
    assert_eq!(care(own), [""; 0]);
}

#[test]
fn the_troubles_of_a_token_are_told_apart() {
    assert_eq!(operator(|token| token.scopes = scopes(&["read_api"])), ["token: wrong"]);
    assert_eq!(operator(|token| token.expires = Some("2026-11-30".parse().unwrap())), ["token: warning"]);
    assert_eq!(operator(|token| token.expires = Some("2027-11-30".parse().unwrap())), [""; 0]);
    let error = || Error::new(Kind::Unreachable, "cannot reach").hint("check the network");
    assert_eq!(
        care(|observed| observed.instances[0].asked.as_mut().unwrap().token = Err(error())),
        ["token: wrong"]
    );
    assert_eq!(care(|observed| observed.instances[0].credential = Err(error())), ["credential: warning"]);
    assert_eq!(care(|observed| observed.instances[0].asked = None), [""; 0]);
}

#[test]
fn an_old_gitlab_and_a_clock_that_is_wrong_need_care() {
    let asked =
        |change: fn(&mut Asked)| care(|observed| change(observed.instances[0].asked.as_mut().unwrap()));
    assert_eq!(asked(|asked| asked.version = Some((17, 6))), ["version: warning"]);
    assert_eq!(asked(|asked| asked.version = Some((18, 8))), [""; 0]);
    assert_eq!(asked(|asked| asked.version = None), [""; 0]);
    assert_eq!(asked(|asked| asked.time = Some("2026-11-21T08:10:00Z".parse().unwrap())), ["clock: warning"]);
    assert_eq!(asked(|asked| asked.time = Some("2026-11-21T08:01:00Z".parse().unwrap())), [""; 0]);
}

#[test]
fn on_windows_linux_a_repository_on_a_drive_of_windows_needs_care() {
    let at = |root: &str| {
        care(|observed| {
            observed.machine.wsl = true;
            observed.repository.as_mut().unwrap().root = root.to_owned();
        })
    };
    assert_eq!(at("/mnt/c/Users/ana/team"), ["wsl: warning"]);
    assert_eq!(at("/mnt/data/team"), [""; 0]);
    assert_eq!(at("/home/ana/team"), [""; 0]);
}

#[test]
fn certificates_that_cannot_be_read_are_wrong() {
    let named = |why: Option<&str>| {
        care(|observed| {
            let why = why.map(str::to_owned);
            observed.machine.certificates = vec![("SSL_CERT_FILE".to_owned(), "ca.pem".to_owned(), why)];
        })
    };
    assert_eq!(named(Some("not there")), ["certificates: wrong"]);
    assert_eq!(named(None), [""; 0]);
}
