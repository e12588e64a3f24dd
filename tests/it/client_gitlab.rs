//! The client against the embedded GitLab: the routes, and what each refusal becomes.

use jiff::SignedDuration;
use provision::gitlab::client::Client;
use provision::gitlab::compare::compare;
use provision::gitlab::emulator::Seed;
use provision::gitlab::errors::{ErrorKind, GitLabError};
use provision::gitlab::tokens::{MintRequest, Revocation};
use provision::secret::Secret;
use provision::token::{Kind, Owner, Role, TokenId};

use crate::support::gitlab::{client, requests, run, start, start_with};

fn request(scopes: &[&str]) -> MintRequest {
    MintRequest {
        name: "Backstage (qa.alithya-mws.com)".to_owned(),
        description: "provision mark-1".to_owned(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        role: Some(Role::Developer),
        expires_at: Some("2027-06-30".parse().unwrap()),
    }
}

async fn group(client: &Client) -> Owner {
    client.resolve_owner(Kind::Group, "alithya-csna").await.unwrap()
}

async fn refusal(client: &Client, request: &MintRequest) -> GitLabError {
    let owner = group(client).await;
    client.create(&owner, request).await.unwrap_err()
}

#[test]
fn a_token_lives_its_whole_life_with_and_without_a_relative_root() {
    for root in ["", "/gitlab", "/a/b"] {
        let gitlab = start(root);
        let operator = client(&gitlab, &gitlab.operator_token());
        for (kind, path) in [
            (Kind::Group, "alithya-csna"),
            (Kind::Group, "alithya-csna/platform"),
            (Kind::Project, "alithya-csna/platform/charts"),
        ] {
            run(live(&operator, kind, path));
        }
        let admin = client(&gitlab, &gitlab.admin_token());
        run(live(&admin, Kind::Personal, "dev"));
    }
}

async fn live(client: &Client, kind: Kind, path: &str) {
    let owner = client.resolve_owner(kind, path).await.unwrap();
    assert_eq!((owner.kind, owner.path.as_str()), (kind, path));
    let request = request(&["read_api", "read_repository"]);

    let minted = client.create(&owner, &request).await.unwrap();
    let id = minted.record.id;
    assert_eq!(compare(&request, None, &minted.record), []);
    assert_eq!(minted.record.description.as_deref(), Some("provision mark-1"));
    let verified = client.verify(&minted.value, "the new token").await.unwrap();
    assert_eq!(compare(&request, Some(id), &verified), []);
    assert_eq!(verified.user_id, minted.record.user_id);

    let read = client.get(&owner, id).await.unwrap().unwrap();
    assert_eq!(compare(&request, Some(id), &read), []);
    assert!(read.last_used_at.is_some(), "the verification was a use");
    let has = |records: &[provision::token::Record]| records.iter().any(|record| record.id == id);
    assert!(has(&client.list_active(&owner).await.unwrap()));
    assert!(has(&client.find_by_mark(&owner, "mark-1").await.unwrap()));
    assert!(client.find_by_mark(&owner, "mark-2").await.unwrap().is_empty());

    assert_eq!(client.revoke(&owner, id).await.unwrap(), Revocation::Done);
    let dead = client.verify(&minted.value, "the new token").await.unwrap_err();
    assert_eq!(dead.kind(), &ErrorKind::TokenRevoked);
    assert!(dead.condemns_credential());
    assert!(!has(&client.list_active(&owner).await.unwrap()));
    let found = client.find_by_mark(&owner, "mark-1").await.unwrap();
    assert!(found.iter().any(|record| record.id == id && record.revoked && !record.active));
}

#[test]
fn a_token_that_gitlab_does_not_know_is_none_and_already_gone() {
    let gitlab = start("");
    let operator = client(&gitlab, &gitlab.operator_token());
    run(async {
        let owner = group(&operator).await;
        assert_eq!(operator.get(&owner, TokenId(999_999)).await.unwrap(), None);
        assert_eq!(operator.revoke(&owner, TokenId(999_999)).await.unwrap(), Revocation::AlreadyGone);
        let gone = Owner { id: 999_999, ..owner };
        assert_eq!(operator.get(&gone, TokenId(1)).await.unwrap_err().kind(), &ErrorKind::NotFound);
        assert_eq!(operator.revoke(&gone, TokenId(1)).await.unwrap_err().kind(), &ErrorKind::NotFound);
        let admin = client(&gitlab, &gitlab.admin_token());
        let dev = admin.resolve_owner(Kind::Personal, "dev").await.unwrap();
        assert_eq!(admin.get(&dev, TokenId(999_999)).await.unwrap(), None);
        assert_eq!(admin.revoke(&dev, TokenId(999_999)).await.unwrap(), Revocation::AlreadyGone);
    });
}

#[test]
fn what_is_hidden_is_answered_like_what_is_missing() {
    let gitlab = start("");
    let operator = client(&gitlab, &gitlab.operator_token());
    run(async {
        for (kind, path) in [
            (Kind::Group, "elsewhere"),
            (Kind::Group, "no-such-group"),
            (Kind::Project, "alithya-csna/none"),
            (Kind::Personal, "nobody"),
        ] {
            let error = operator.resolve_owner(kind, path).await.unwrap_err();
            assert_eq!(error.kind(), &ErrorKind::NotFound, "{path}");
            assert!(error.hint().unwrap().contains(path));
        }
    });
}

#[test]
fn the_operator_is_told_who_they_are_as_far_as_scopes_allow() {
    let gitlab = start("");
    let (operator, admin) = (gitlab.operator_token(), gitlab.admin_token());
    run(async {
        let user = client(&gitlab, &operator).whoami().await.unwrap();
        assert_eq!((user.username.as_deref(), user.bot), (Some("maude"), Some(false)));
        assert_ne!(user.is_admin, Some(true));
        let admin = client(&gitlab, &admin);
        assert_eq!(admin.whoami().await.unwrap().is_admin, Some(true));

        let owner = group(&client(&gitlab, &operator)).await;
        let minted = client(&gitlab, &operator).create(&owner, &request(&["read_repository"])).await.unwrap();
        let narrow = client(&gitlab, &minted.value).whoami().await.unwrap();
        assert_eq!((narrow.id, narrow.username), (minted.record.user_id, None));
        let minted = client(&gitlab, &operator).create(&owner, &request(&["read_api"])).await.unwrap();
        assert_eq!(client(&gitlab, &minted.value).whoami().await.unwrap().bot, Some(true));
    });
}

#[test]
fn the_servers_clock_is_the_emulators() {
    let gitlab = start("");
    let operator = client(&gitlab, &gitlab.operator_token());
    run(operator.own_token()).unwrap();
    assert_eq!(operator.server_time(), Some(gitlab.now()));
    gitlab.advance(SignedDuration::from_hours(10));
    run(operator.own_token()).unwrap();
    assert_eq!(operator.server_time(), Some(gitlab.now()));
}

#[test]
fn an_expiry_too_far_away_names_the_latest_which_is_then_accepted() {
    let gitlab = start("");
    let operator = client(&gitlab, &gitlab.operator_token());
    run(async {
        let mut wanted =
            MintRequest { expires_at: Some("2030-01-01".parse().unwrap()), ..request(&["read_api"]) };
        let error = refusal(&operator, &wanted).await;
        let ErrorKind::ExpiryTooFar { latest } = *error.kind() else { panic!("{error:?}") };
        wanted.expires_at = Some(latest);
        let owner = group(&operator).await;
        assert_eq!(operator.create(&owner, &wanted).await.unwrap().record.expires_at, Some(latest));
    });
}

#[test]
fn never_is_turned_into_a_date_by_an_instance_that_demands_one_and_compare_says_so() {
    let gitlab = start("");
    let operator = client(&gitlab, &gitlab.operator_token());
    run(async {
        let never = MintRequest { expires_at: None, ..request(&["read_api"]) };
        let owner = group(&operator).await;
        let minted = operator.create(&owner, &never).await.unwrap();
        let found: Vec<String> =
            compare(&never, None, &minted.record).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["it expires 2027-11-21, not never"]);
    });
}

#[test]
fn an_instance_without_descriptions_gives_back_a_record_without_the_mark() {
    let seed = "
settings: { version: 17.6.0, descriptions: false }
users: [{ username: maude }, { username: root, admin: true }]
groups: [{ path: alithya-csna, members: { maude: owner } }]
tokens:
  - { label: operator, user: maude, name: operator, scopes: [api] }
  - { label: admin, user: root, name: admin, scopes: [api] }
";
    let gitlab = start_with(Some(Seed::parse(seed).unwrap()), "");
    let operator = client(&gitlab, &gitlab.operator_token());
    run(async {
        let owner = group(&operator).await;
        let request = request(&["read_api"]);
        let minted = operator.create(&owner, &request).await.unwrap();
        assert_eq!(minted.record.description, None);
        assert_eq!(compare(&request, None, &minted.record), []);
        assert!(operator.find_by_mark(&owner, "mark-1").await.unwrap().is_empty());
    });
}

#[test]
fn scopes_that_a_kind_does_not_have_are_refused_with_the_reason() {
    let gitlab = start("");
    let operator = client(&gitlab, &gitlab.operator_token());
    for scope in ["read_user", "read_apis"] {
        let error = run(refusal(&operator, &request(&[scope])));
        assert!(matches!(error.kind(), ErrorKind::Invalid { .. }), "{error:?}");
        assert!(error.hint().unwrap().contains("read_user is for personal tokens only"), "{error:?}");
    }
}

#[test]
fn a_role_that_is_too_low_may_neither_create_nor_read() {
    let gitlab = start("");
    let developer = client(&gitlab, &gitlab.token("developer").unwrap());
    run(async {
        let error = refusal(&developer, &request(&["read_api"])).await;
        assert_eq!(error.kind(), &ErrorKind::NotPermittedToCreate);
        assert!(error.hint().unwrap().contains("role Owner in `alithya-csna`"));
        let owner = group(&developer).await;
        let error = developer.list_active(&owner).await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (&ErrorKind::Forbidden, Some(401)));

        let operator = client(&gitlab, &gitlab.operator_token());
        let minted = operator.create(&owner, &request(&["read_api"])).await.unwrap();
        let error = developer.revoke(&owner, minted.record.id).await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (&ErrorKind::Forbidden, Some(400)));
        assert!(operator.get(&owner, minted.record.id).await.unwrap().unwrap().active);
    });
}

#[test]
fn a_personal_token_by_api_takes_an_administrator() {
    let gitlab = start("/gitlab");
    let operator = client(&gitlab, &gitlab.operator_token());
    run(async {
        let maude = operator.resolve_owner(Kind::Personal, "maude").await.unwrap();
        let error = operator.create(&maude, &request(&["read_user"])).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::AdministratorOnly { .. }), "{error:?}");
        let form =
            format!("{}/-/user_settings/personal_access_tokens/legacy/new?name=Backstage", gitlab.url());
        assert!(error.hint().unwrap().contains(&form), "{:?}", error.hint());
    });
}

#[test]
fn a_missing_scope_is_named() {
    let gitlab = start("");
    run(async {
        let operator = client(&gitlab, &gitlab.operator_token());
        let owner = group(&operator).await;
        let narrow = operator.create(&owner, &request(&["read_api"])).await.unwrap();
        let narrow = client(&gitlab, &narrow.value);
        let error = narrow.create(&owner, &request(&["read_api"])).await.unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::InsufficientScope { needed: vec!["api".to_owned()] });
    });
}

#[test]
fn a_dead_operator_token_is_told_from_a_lack_of_rights() {
    let gitlab = start("");
    run(async {
        let operator = client(&gitlab, &gitlab.operator_token());
        let owner = group(&operator).await;
        let unknown = client(&gitlab, &Secret::new("glpat-abcdefghij0123456789".to_owned()));
        let error = unknown.list_active(&owner).await.unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::TokenUnknown);

        let admin = client(&gitlab, &gitlab.admin_token());
        let maude = admin.resolve_owner(Kind::Personal, "maude").await.unwrap();
        let own = admin.create(&maude, &request(&["api"])).await.unwrap();
        let own_client = client(&gitlab, &own.value);
        own_client.list_active(&owner).await.unwrap();
        admin.revoke(&maude, own.record.id).await.unwrap();
        let error = own_client.list_active(&owner).await.unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::TokenRevoked);

        let own = admin.create(&maude, &request(&["api"])).await.unwrap();
        let own_client = client(&gitlab, &own.value);
        gitlab.set_time("2027-06-30T00:00:00Z".parse().unwrap());
        let error = own_client.create(&owner, &request(&["api"])).await.unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::TokenExpired);
    });
}

#[test]
fn a_list_of_several_pages_is_read_whole() {
    let gitlab = start("/gitlab");
    let operator = client(&gitlab, &gitlab.operator_token());
    run(async {
        let owner = group(&operator).await;
        for _ in 0..201 {
            operator.create(&owner, &request(&["read_api"])).await.unwrap();
        }
        let all = operator.list_active(&owner).await.unwrap();
        let mut ids: Vec<u64> = all.iter().map(|record| record.id.0).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 201);
    });
    assert_eq!(requests(&gitlab, "GET", "/access_tokens"), 3);
}
