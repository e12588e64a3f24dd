//! The client against an embedded GitLab with faults: what was handled and what was not, and who may know.

use std::time::Duration;

use provision::gitlab::client::Client;
use provision::gitlab::compare::{Mismatch, compare};
use provision::gitlab::emulator::Running;
use provision::gitlab::errors::{ErrorKind, GitLabError};
use provision::gitlab::tokens::{MintRequest, Revocation};
use provision::instance::Instance;
use provision::secret::Secret;
use provision::token::{Kind, Minted, Owner, Role, TokenId};

use crate::support::gitlab::{Impatient, client, client_over, requests, run, start};
use crate::support::log::captured;

const MARK: &str = "mark-of-this-attempt";

fn request() -> MintRequest {
    MintRequest {
        name: "Backstage".to_owned(),
        description: format!("provision {MARK}"),
        scopes: ["read_api", "read_repository"].map(ToOwned::to_owned).into(),
        role: Some(Role::Developer),
        expires_at: Some("2027-06-30".parse().unwrap()),
    }
}

fn with_fault(rule: &str) -> (Running, Client, Owner) {
    let gitlab = start("");
    let operator = client(&gitlab, &gitlab.operator_token());
    let owner = run(operator.resolve_owner(Kind::Group, "alithya-csna")).unwrap();
    gitlab.add_fault(rule.parse().unwrap());
    (gitlab, operator, owner)
}

/// Creates under a fault; says how it ended, how many tokens with the mark exist then, and how many POSTs there were.
fn create_under(effect: &str) -> (Result<Minted, GitLabError>, usize, usize) {
    let (gitlab, operator, owner) = with_fault(&format!("POST /groups/*/access_tokens x1 {effect}"));
    let outcome = run(operator.create(&owner, &request()));
    let made = run(operator.find_by_mark(&owner, MARK)).unwrap().len();
    (outcome, made, requests(&gitlab, "POST", "/access_tokens"))
}

#[test]
fn a_creation_whose_outcome_is_unknown_is_sent_once_and_found_by_its_mark_where_it_happened() {
    for (effect, expected) in
        [("lose-reply", 1), ("truncate", 1), ("cut", 0), ("refuse", 0), ("500", 0), ("502", 0), ("html", 0)]
    {
        let (outcome, made, posts) = create_under(effect);
        let error = outcome.unwrap_err();
        assert!(error.is_outcome_unknown(), "{effect}: {error:?}");
        assert_eq!((made, posts), (expected, 1), "{effect}");
    }
}

#[test]
fn a_creation_that_was_refused_made_nothing_and_says_so() {
    for (effect, kind) in [
        ("401", ErrorKind::Forbidden),
        ("403", ErrorKind::Forbidden),
        ("404", ErrorKind::NotFound),
        ("429 5", ErrorKind::RateLimited { retry_after: Some(Duration::from_secs(5)) }),
        (
            "redirect https://elsewhere.example/x",
            ErrorKind::Redirected { to: "https://elsewhere.example/x".to_owned() },
        ),
    ] {
        let (outcome, made, posts) = create_under(effect);
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), &kind, "{effect}");
        assert!(error.is_definite_refusal());
        assert_eq!((made, posts), (0, 1), "{effect}");
    }
}

#[test]
fn a_creation_that_gives_less_than_was_asked_for_is_seen_in_the_reply_and_in_the_verification() {
    let (_gitlab, operator, owner) = with_fault("POST /groups/*/access_tokens x1 mismatch");
    run(async {
        let minted = operator.create(&owner, &request()).await.unwrap();
        let verified = operator.verify(&minted.value, "the new token").await.unwrap();
        for record in [&minted.record, &verified] {
            let found = compare(&request(), Some(minted.record.id), record);
            assert!(found.iter().any(|mismatch| matches!(mismatch, Mismatch::Scopes { .. })), "{found:?}");
            assert!(found.iter().any(|mismatch| matches!(mismatch, Mismatch::Expiry { .. })), "{found:?}");
        }
    });
}

#[test]
fn a_question_outlives_three_troubles_of_any_sort() {
    for effect in ["502", "429 7", "refuse", "cut", "lose-reply", "truncate"] {
        let gitlab = start("");
        gitlab.add_fault(format!("GET /personal_access_tokens/self x3 {effect}").parse().unwrap());
        let instance: Instance = gitlab.url().parse().unwrap();
        let transport = Impatient::new(&instance);
        let operator = client_over(transport.clone(), &gitlab, &gitlab.operator_token());
        run(operator.own_token()).unwrap_or_else(|error| panic!("{effect}: {error:?}"));
        assert_eq!(requests(&gitlab, "GET", "/self"), 4, "{effect}");
        let pauses = transport.pauses.borrow();
        let throttled = effect.starts_with("429");
        assert!(pauses.iter().all(|pause| (*pause == Duration::from_secs(7)) == throttled), "{pauses:?}");
    }
}

#[test]
fn a_question_that_keeps_failing_says_how() {
    for (effect, kind) in [
        ("502", ErrorKind::ServerError),
        ("500", ErrorKind::ServerError),
        ("429 3600", ErrorKind::RateLimited { retry_after: Some(Duration::from_secs(3600)) }),
        ("html", ErrorKind::NotGitLab { what: "an HTML page".to_owned() }),
        ("401", ErrorKind::TokenUnknown),
        ("redirect /login", ErrorKind::Redirected { to: "/login".to_owned() }),
    ] {
        let (_gitlab, operator, _) = with_fault(&format!("GET /personal_access_tokens/self {effect}"));
        let error = run(operator.own_token()).unwrap_err();
        assert_eq!(error.kind(), &kind, "{effect}");
    }
    let (_gitlab, operator, _) = with_fault("GET /personal_access_tokens/self cut");
    let error = run(operator.own_token()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unreachable { .. }), "{error:?}");
}

#[test]
fn a_failed_verification_is_an_unknown_answer_and_not_a_refusal() {
    let (gitlab, operator, owner) = with_fault("GET /personal_access_tokens/self 502");
    run(async {
        let minted = operator.create(&owner, &request()).await.unwrap();
        let error = operator.verify(&minted.value, "the new token").await.unwrap_err();
        assert!(!error.condemns_credential() && !error.is_definite_refusal() && error.is_temporary());
        gitlab.clear_faults();
        operator.verify(&minted.value, "the new token").await.unwrap();
    });
}

#[test]
fn a_revocation_is_repeated_until_it_is_known_to_have_happened() {
    for effect in ["lose-reply", "cut", "502", "refuse"] {
        let (_gitlab, operator, owner) = with_fault(&format!("DELETE /groups/*/access_tokens/* x2 {effect}"));
        run(async {
            let minted = operator.create(&owner, &request()).await.unwrap();
            let ended = operator.revoke(&owner, minted.record.id).await.unwrap();
            assert!(matches!(ended, Revocation::Done | Revocation::AlreadyGone));
            let dead = operator.verify(&minted.value, "the new token").await.unwrap_err();
            assert_eq!(dead.kind(), &ErrorKind::TokenRevoked, "{effect}");
        });
    }
    let (_gitlab, operator, owner) = with_fault("DELETE /groups/*/access_tokens/* 502");
    assert!(run(operator.revoke(&owner, TokenId(1))).unwrap_err().is_outcome_unknown());
}

#[test]
fn a_credential_of_another_emulator_goes_nowhere() {
    let (here, there) = (start(""), start(""));
    let foreign: Instance = there.url().parse().unwrap();
    let credential = provision::gitlab::credential::Credential::new(
        foreign.origin().clone(),
        &there.operator_token(),
        "GITLAB_TOKEN",
    );
    let instance: Instance = here.url().parse().unwrap();
    let client = Client::new(Impatient::new(&instance), instance, credential.unwrap().into());
    let error = run(client.whoami()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WrongOrigin { .. }), "{error:?}");
    assert!(here.state()["requests"].as_array().unwrap().is_empty());
}

/// Everything that can be printed in a run with good and bad ends.
async fn say_everything(gitlab: &Running, values: &mut Vec<Secret>) -> String {
    let operator = client(gitlab, &gitlab.operator_token());
    let mut shown = format!("{:?}", operator.credential());
    let owner = operator.resolve_owner(Kind::Group, "alithya-csna").await.unwrap();
    for effect in ["truncate", "lose-reply", "500", "mismatch", "delay 1ms"] {
        gitlab.clear_faults();
        gitlab.add_fault(format!("POST * x1 {effect}").parse().unwrap());
        match operator.create(&owner, &request()).await {
            Ok(minted) => {
                shown += &format!("{minted:?} {:?}", operator.verify(&minted.value, "the new token").await);
                operator.revoke(&owner, minted.record.id).await.unwrap();
                let dead = operator.verify(&minted.value, "the new token").await.unwrap_err();
                shown += &format!("{dead} {dead:?} {:?}", dead.hint());
                values.push(minted.value);
            }
            Err(error) => shown += &format!("{error} {error:?} {:?}", error.hint()),
        }
    }
    shown
}

#[test]
fn no_text_and_no_log_line_of_a_whole_run_holds_a_token() {
    let gitlab = start("");
    let mut values = vec![gitlab.operator_token()];
    let (shown, log) = captured(|| run(say_everything(&gitlab, &mut values)));
    assert!(log.contains("method=POST"), "{log}");
    assert_eq!(values.len(), 3);
    for value in &values {
        // The prefix is common to all; what follows is the token's own.
        let own_part = &value.expose()[6..26];
        assert!(!shown.contains(own_part) && !log.contains(own_part));
    }
    assert!(!log.contains("glpat-") && !shown.contains("glpat-"));
}
