//! A team with tokens and SOPS files that were made by hand, by the stock sops.

use std::fs;

use jiff::SignedDuration;
use provision::gitlab::tokens::MintRequest;
use provision::secret::Secret;
use provision::token::{Kind, Role};

use crate::support::canaries::Canaries;
use crate::support::gitlab::{client, run};
use crate::support::lab::{Lab, Said};
use crate::support::terminal::Terminal;

/// A group token as somebody made it on GitLab's page, which expires in so many days.
pub(crate) fn by_hand(lab: &Lab, name: &str, days: i64) -> String {
    let operator = client(&lab.gitlab, &lab.gitlab.operator_token());
    let owner = run(operator.resolve_owner(Kind::Group, "alithya-csna")).unwrap();
    let request = MintRequest {
        name: name.to_owned(),
        description: String::new(),
        scopes: ["read_api", "read_repository", "write_repository"].map(str::to_owned).into(),
        role: Some(Role::Developer),
        expires_at: Some(lab.in_days(days)),
    };
    run(operator.create(&owner, &request)).unwrap().value.expose().to_owned()
}

const FILES: [&str; 5] = ["secrets/qa.yaml", "deploy/prod.json", "ci/.env", "legacy.ini", "secrets/dev.yaml"];

/// Twelve tokens in five files: one has expired, and one is of no GitLab that we know.
fn team() -> (Lab, Vec<String>) {
    let lab = Lab::bare_today();
    lab.write(".sops.yaml", &format!("creation_rules:\n  - age: {}\n", lab.recipient));
    let mut tokens: Vec<String> =
        (0..10).map(|number| by_hand(&lab, &format!("By hand {number}"), 300)).collect();
    tokens.push(by_hand(&lab, "Expired", 1));
    lab.gitlab.advance(SignedDuration::from_hours(48));
    tokens.push("glpat-aB3dE5gH7jK9mN1pQ3sT".to_owned());
    let t = &tokens;
    lab.write(
        FILES[0],
        &format!(
            "# by hand\nGITLAB_TOKEN: {}\nother:\n  token: {}\n  password: correct horse\nUNKNOWN: {}\n",
            t[0], t[1], t[11]
        ),
    );
    lab.write(
        FILES[1],
        &format!("{{\"gitlab\": {{\"read\": \"{}\", \"write\": \"{}\"}}, \"n\": 1}}\n", t[2], t[3]),
    );
    lab.write(FILES[2], &format!("GITLAB_TOKEN={}\nEXPIRED={}\nURL=https://x.example\n", t[4], t[10]));
    lab.write(FILES[3], &format!("[gitlab]\ntoken = {}\n", t[5]));
    lab.write(FILES[4], &format!("list:\n  - {}\n  - {}\na: {}\nb: {}\n", t[6], t[7], t[8], t[9]));
    for file in FILES {
        lab.sops(["encrypt", "--in-place", file]).ok();
    }
    lab.commit_all("by hand");
    (lab, tokens)
}

#[test]
fn twelve_tokens_made_by_hand_come_under_care_and_no_secret_byte_changes() {
    let (lab, tokens) = team();
    let bytes = || FILES.map(|file| fs::read(lab.repo().join(file)).unwrap());
    let before = bytes();
    let said = lab.provision(["adopt", "--yes"]);
    assert_eq!(said.status, 3, "{said:?}");
    assert_eq!(said.err.matches("left: ").count(), 2, "{said:?}");
    for left in ["left: ci/.env [\"EXPIRED\"]", "left: secrets/qa.yaml [\"UNKNOWN\"]"] {
        assert!(said.err.contains(left), "{said:?}");
    }
    assert_eq!(bytes(), before);
    assert_eq!(lab.git(["status", "--porcelain"]), "");
    let canaries = Canaries::of(&lab, tokens);
    canaries.are_nowhere_in(&lab);
    assert!(!canaries.are_in(said.out.as_bytes()) && !canaries.are_in(said.err.as_bytes()));

    lab.provision(["status", "--live"]).ok();
    let again = lab.provision(["--all"]).ok();
    assert_eq!(again.out.matches("is healthy").count(), 10, "{again:?}");
    assert_eq!(bytes(), before);
    assert!(lab.minted().is_empty(), "nothing was made anew");
}

#[test]
fn a_token_behind_the_first_document_of_a_file_is_left_and_the_others_are_taken() {
    let lab = Lab::bare_today();
    lab.write(".sops.yaml", &format!("creation_rules:\n  - age: {}\n", lab.recipient));
    let (one, two) = (by_hand(&lab, "One", 300), by_hand(&lab, "Two", 300));
    lab.write("secrets/x.yaml", &format!("token: {one}\n---\ntoken: {two}\n"));
    lab.sops(["encrypt", "--in-place", "secrets/x.yaml"]).ok();
    lab.commit_all("by hand");
    let said = lab.provision(["adopt", "--yes"]);
    assert_eq!(said.status, 3, "{said:?}");
    let left = "left: secrets/x.yaml document 2: [\"token\"]: it is behind the first document";
    assert!(said.err.contains(left), "{said:?}");
    let again = lab.provision(["--all"]).ok();
    assert_eq!(again.out.matches("is healthy").count(), 1, "{again:?}");
    assert!(lab.minted().is_empty(), "nothing was made anew");
}

#[test]
fn an_adopted_token_is_renewed_where_it_stands_when_it_is_due() {
    let (lab, tokens) = team();
    lab.provision(["adopt", "--yes", "secrets/qa.yaml"]);
    lab.gitlab.advance(SignedDuration::from_hours(24 * 280));
    lab.provision(["--env", "qa", "--yes"]).ok();
    let value = |key: &str| lab.sops(["decrypt", "--extract", key, "secrets/qa.yaml"]).ok().out;
    assert_ne!(value("[\"GITLAB_TOKEN\"]"), tokens[0]);
    assert_eq!(value("[\"other\"][\"password\"]"), "correct horse");
    assert_eq!(value("[\"UNKNOWN\"]"), tokens[11]);
    assert!(lab.read("secrets/qa.yaml").starts_with("#ENC["), "{}", lab.read("secrets/qa.yaml"));
}

/// How many of these values GitLab still takes.
fn living(lab: &Lab, tokens: &[String]) -> usize {
    let operator = client(&lab.gitlab, &lab.gitlab.operator_token());
    let lives = |token: &&String| run(operator.verify(&Secret::new((*token).clone()), "it")).is_ok();
    tokens.iter().filter(lives).count()
}

#[test]
fn a_replaced_token_that_was_made_by_hand_ends_itself_once_its_overlap_is_over() {
    let (lab, tokens) = team();
    lab.provision(["adopt", "--yes", "secrets/qa.yaml"]);
    lab.gitlab.advance(SignedDuration::from_hours(24 * 280));
    lab.provision(["--env", "qa", "--yes"]).ok();
    assert!(lab.read("environments/locks/qa.yaml").contains("superseded:"));
    lab.gitlab.advance(SignedDuration::from_hours(25));
    let plan = lab.provision(["--env", "qa", "--dry-run"]).ok();
    assert!(plan.out.contains("made by hand, it ends itself"), "{plan:?}");
    let done = lab.provision(["--env", "qa", "--yes"]).ok();
    assert_eq!(done.out.matches("is revoked").count(), 2, "{done:?}");
    assert_eq!(living(&lab, &tokens[..2]), 0);
    assert_eq!(living(&lab, &tokens[2..8]), 6, "those that were not replaced");
    assert!(!lab.read("environments/locks/qa.yaml").contains("superseded:"));
    // It revoked itself: nobody asked GitLab to revoke a token by its number.
    assert!(
        !lab.requests().iter().any(|request| request.starts_with("DELETE /groups")),
        "{:?}",
        lab.requests()
    );
    let again = lab.provision(["--env", "qa"]).ok();
    assert!(again.out.contains("is healthy"), "{again:?}");
}

#[test]
fn where_nothing_proves_that_a_token_without_a_mark_is_ours_it_is_reported_and_left() {
    let (lab, tokens) = team();
    lab.provision(["adopt", "--yes", "secrets/qa.yaml"]);
    lab.gitlab.advance(SignedDuration::from_hours(24 * 280));
    lab.provision(["--env", "qa", "--yes"]).ok();
    // A history that does not go back to the old values, as in a shallow clone.
    lab.git(["checkout", "-q", "--orphan", "fresh"]);
    lab.commit_all("squashed");
    let said = lab.provision(["--env", "qa", "--yes"]);
    assert_eq!(said.status, 3, "{said:?}");
    assert!(said.err.contains("it has no mark, so it cannot be proved to be ours"), "{said:?}");
    assert_eq!(living(&lab, &tokens[..2]), 2);
}

#[test]
fn a_token_of_somebody_elses_that_a_lock_calls_replaced_is_left_alone() {
    let (lab, tokens) = team();
    lab.provision(["adopt", "--yes", "secrets/qa.yaml"]);
    lab.gitlab.advance(SignedDuration::from_hours(24 * 280));
    lab.provision(["--env", "qa", "--yes"]).ok();
    // Whoever can write to the repository turns the note to a token whose value they do not have.
    let state = lab.gitlab.state();
    let victim =
        state["tokens"].as_array().unwrap().iter().find(|token| token["name"] == "By hand 4").unwrap();
    let lock = lab.read("environments/locks/qa.yaml");
    let start = lock.find("superseded:").unwrap();
    let old = &lock[start..];
    let id = old.lines().find_map(|line| line.trim().strip_prefix("- id: ")).unwrap();
    let forged = old.replacen(&format!("id: {id}"), &format!("id: {}", victim["id"]), 1);
    let forged = forged.replacen("name: By hand 0", "name: By hand 4", 1);
    lab.write("environments/locks/qa.yaml", &format!("{}{forged}", &lock[..start]));
    lab.commit_all("forged");
    let said = lab.provision(["--env", "qa", "--yes"]);
    assert_eq!(living(&lab, &tokens[4..5]), 1, "{said:?}");
}

#[test]
fn what_a_person_pastes_with_sops_is_taken_over_into_the_lock() {
    let lab = Lab::today();
    lab.provision(["--env", "qa", "--yes"]).ok();
    let token = by_hand(&lab, "Backstage (qa.alithya-mws.com)", 365);
    let quoted = format!("\"{token}\"");
    lab.sops(["set", "secrets/qa.sops.yaml", "[\"GITLAB_TOKEN\"]", &quoted]).ok();
    lab.commit_all("by hand");
    let before = lab.read("secrets/qa.sops.yaml");
    lab.provision(["adopt", "--yes"]).ok();
    assert_eq!(lab.read("secrets/qa.sops.yaml"), before);
    assert!(lab.read("environments/locks/qa.yaml").contains("superseded:"));
    let plan = lab.provision(["--env", "qa"]).ok();
    assert!(plan.out.contains("is healthy"), "{plan:?}");
    assert_eq!(lab.value("secrets/qa.sops.yaml", "GITLAB_TOKEN"), token);
}

#[test]
fn values_are_shown_to_gitlab_only_after_a_yes() {
    let (lab, _) = team();
    let seen = lab.requests().len();
    lab.provision(["adopt"]).refused(2, "no terminal to ask on");
    let mut terminal = Terminal::start(lab.command(["adopt"]));
    terminal.answer("to ask whose they are?", "n");
    assert_eq!(terminal.end().0, 130);
    assert_eq!(lab.requests().len(), seen, "{:?}", lab.requests());
    assert_eq!(lab.git(["status", "--porcelain"]), "");
}

#[test]
fn tokens_that_only_gitlab_lists_are_replaced_neither_before_nor_after_their_values_are_pasted() {
    let lab = Lab::bare_today();
    lab.write(".sops.yaml", &format!("creation_rules:\n  - age: {}\n", lab.recipient));
    lab.commit_all("policy");
    let deploy = by_hand(&lab, "Deploy", 300);
    by_hand(&lab, "Mirror (old)", 300);
    let adopt = ["adopt", "--yes", "--gitlab", lab.gitlab.url(), "--from-group", "alithya-csna"];
    let said = lab.provision(adopt).ok();
    assert!(said.err.contains("sops edit secrets/alithya-csna.sops.yaml"), "{said:?}");
    assert!(lab.read("templates/alithya-csna.yaml").contains("mirror_old: '{{ tokens.mirror_old }}'"));
    let head = lab.head();
    for args in [["--env", "alithya-csna", "--yes"], ["--all", "--yes", "--quiet"]] {
        let said = lab.provision(args);
        assert_eq!(said.status, 3, "{said:?}");
    }
    assert!(lab.provision(["--all"]).err.contains("its value is not here"));
    lab.provision(["check"]).ok();
    let status = lab.provision(["status"]);
    assert_eq!((status.status, status.out.matches(" awaited").count()), (3, 2), "{status:?}");
    assert_eq!((lab.head(), lab.minted().len()), (head, 0));

    // One of the two values is at hand.
    let file = "secrets/alithya-csna.sops.yaml";
    lab.write(file, &format!("deploy: {deploy}\n"));
    lab.sops(["encrypt", "--in-place", file]).ok();
    lab.commit_all("by hand");
    let before = lab.read(file);
    lab.provision(["adopt", "--yes"]).ok();
    assert_eq!(lab.read(file), before);
    let said = lab.provision(["--all", "--yes"]);
    assert_eq!(said.status, 3, "{said:?}");
    assert_eq!((lab.read(file), lab.minted().len()), (before, 0));
    assert!(said.err.contains("mirror_old is token"), "{said:?}");

    // The other one is lost, so it gets a successor.
    lab.provision(["rotate", "--env", "alithya-csna", "--token", "mirror_old", "--yes"]).ok();
    assert_eq!(lab.minted().len(), 1);
    assert_eq!(lab.value(file, "deploy"), deploy);
    assert!(lab.value(file, "mirror_old").starts_with("glpat-"));
    let again = lab.provision(adopt).ok();
    assert!(again.err.contains("nothing to take over"), "{again:?}");
}

#[test]
fn a_list_is_not_taken_over_where_its_file_could_not_be_encrypted() {
    let lab = Lab::bare_today();
    lab.write(".sops.yaml", &format!("creation_rules:\n  - path_regex: ^x/\n    age: {}\n", lab.recipient));
    lab.commit_all("policy");
    by_hand(&lab, "Deploy", 300);
    let args = ["adopt", "--yes", "--gitlab", lab.gitlab.url(), "--from-group", "alithya-csna"];
    lab.provision(args).refused(5, "secrets/alithya-csna.sops.yaml could not be encrypted");
    assert_eq!(lab.git(["status", "--porcelain"]), "");
}

/// The id of a token that was made by hand.
fn id_of(lab: &Lab, name: &str) -> u64 {
    let state = lab.gitlab.state();
    let token = state["tokens"].as_array().unwrap().iter().find(|token| token["name"] == name);
    token.unwrap()["id"].as_u64().unwrap()
}

#[test]
fn a_leaked_token_that_was_made_by_hand_is_revoked_and_its_slot_blanked() {
    let (lab, tokens) = team();
    lab.provision(["adopt", "--yes", "secrets/qa.yaml"]);
    let plan = lab.provision(["revoke", "--env", "qa", "--token", "gitlab_token", "--dry-run"]).ok();
    assert!(plan.out.contains("made by hand, it ends itself with its value"), "{plan:?}");
    let said = lab.provision(["revoke", "--env", "qa", "--token", "gitlab_token", "--yes"]).ok();
    assert!(said.out.contains("is revoked; GitLab refuses its value"), "{said:?}");
    assert_eq!((living(&lab, &tokens[..1]), living(&lab, &tokens[1..10])), (0, 9));
    let value = lab.sops(["decrypt", "--extract", "[\"GITLAB_TOKEN\"]", "secrets/qa.yaml"]).ok().out;
    assert_eq!(value, "");
    assert!(!lab.read("environments/locks/qa.yaml").contains("By hand 0"));
}

#[test]
fn a_leaked_token_that_was_made_by_hand_is_replaced_and_revoked_in_one_run() {
    let (lab, tokens) = team();
    lab.provision(["adopt", "--yes", "secrets/qa.yaml"]);
    let mut terminal = Terminal::start(lab.command(["rotate", "--leaked", "--yes"]));
    terminal.expect("The token that leaked");
    terminal.paste(&tokens[0]);
    let (status, said) = terminal.end();
    assert_eq!(status, 0, "{said}");
    assert_eq!((living(&lab, &tokens[..1]), living(&lab, &tokens[1..10])), (0, 9));
    let value = lab.sops(["decrypt", "--extract", "[\"GITLAB_TOKEN\"]", "secrets/qa.yaml"]).ok().out;
    assert!(value.starts_with("glpat-") && value != tokens[0]);
    lab.provision(["--env", "qa"]).ok();
}

/// Whoever can write to the repository turns the note to a token whose value they do not have.
#[test]
fn a_token_of_somebody_elses_that_a_lock_calls_current_is_never_revoked() {
    let (lab, tokens) = team();
    lab.provision(["adopt", "--yes", "secrets/qa.yaml"]);
    let (own, victim) = (id_of(&lab, "By hand 0"), id_of(&lab, "By hand 4"));
    let path = "environments/locks/qa.yaml";
    let lock = lab.read(path);
    let forged = lock.replacen(&format!("id: {own}"), &format!("id: {victim}"), 1);
    lab.write(path, &forged.replacen("name: By hand 0", "name: By hand 4", 1));
    lab.commit_all("forged");
    let revoke = ["revoke", "--env", "qa", "--token", "gitlab_token", "--yes"];
    let said = lab.provision(revoke);
    assert_ne!(said.status, 0, "{said:?}");
    // And with the time of the victim's creation as well.
    let state = lab.gitlab.state();
    let created = |name: &str| {
        let token = state["tokens"].as_array().unwrap().iter().find(|token| token["name"] == name);
        token.unwrap()["created_at"].as_str().unwrap().to_owned()
    };
    let lock = lab.read(path).replacen(&created("By hand 0"), &created("By hand 4"), 1);
    lab.write(path, &lock);
    lab.git(["commit", "-q", "--allow-empty", "-am", "forged better"]);
    let said = lab.provision(revoke).refused(5, "what the file holds, or held, is not its value");
    assert!(!said.out.contains("is revoked"), "{said:?}");
    assert_eq!(living(&lab, &tokens[..10]), 10);
}

#[test]
fn a_leaked_token_whose_value_was_never_in_a_file_is_ended_with_the_value_that_is_given() {
    for fails in [false, true] {
        let lab = Lab::bare_today();
        lab.write(".sops.yaml", &format!("creation_rules:\n  - age: {}\n", lab.recipient));
        lab.commit_all("policy");
        let leaked = [by_hand(&lab, "Deploy", 300)];
        lab.provision(["adopt", "--yes", "--gitlab", lab.gitlab.url(), "--from-group", "alithya-csna"]).ok();
        let run = || {
            let mut terminal = Terminal::start(lab.command(["rotate", "--leaked", "--yes"]));
            terminal.expect("The token that leaked");
            terminal.paste(&leaked[0]);
            terminal.end()
        };
        if fails {
            lab.gitlab.add_fault("DELETE /personal_access_tokens/self x1 403".parse().unwrap());
            let (status, said) = run();
            assert_eq!(status, 4, "{said}");
            assert!(said.contains("run it again, with the same token"), "{said}");
            let plain = lab.provision(["--env", "alithya-csna", "--yes"]);
            assert_eq!((plain.status, living(&lab, &leaked)), (3, 1), "{plain:?}");
            assert!(plain.err.contains("provision rotate --leaked"), "{plain:?}");
        }
        let (status, said) = run();
        assert_eq!((status, living(&lab, &leaked)), (0, 0), "{said}");
        assert!(said.contains("as it is in the wrong hands") && said.contains("it ends itself"), "{said}");
        assert_eq!(lab.minted().len(), 1);
        let successor = lab.value("secrets/alithya-csna.sops.yaml", "deploy");
        assert_eq!(living(&lab, &[successor]), 1);
        lab.provision(["--env", "alithya-csna", "--yes"]).ok();
        assert!(!lab.read("environments/locks/alithya-csna.yaml").contains("superseded:"));
        assert!(lab.provision(["--env", "alithya-csna"]).ok().out.contains("is healthy"));
    }
}

#[test]
fn a_listed_token_that_nobody_asked_to_replace_is_not_replaced_for_its_file() {
    let lab = Lab::bare_today();
    lab.write(".sops.yaml", &format!("creation_rules:\n  - age: {}\n", lab.recipient));
    lab.commit_all("policy");
    let tokens = ["Deploy", "Mirror"].map(|name| by_hand(&lab, name, 300));
    let adopt = ["adopt", "--yes", "--gitlab", lab.gitlab.url(), "--from-group", "alithya-csna"];
    lab.provision(adopt).ok();
    let rotate =
        |tokens: &str| lab.provision(["rotate", "--env", "alithya-csna", "--yes", "--token", tokens]);
    let head = lab.head();
    rotate("mirror").refused(5, "the value of deploy, which it takes too, was never here");
    assert_eq!((lab.head(), lab.minted().len(), living(&lab, &tokens)), (head, 0, 2));
    // As the error says: the file with what is at hand, which is nothing of these.
    let file = "secrets/alithya-csna.sops.yaml";
    lab.write(file, "note: by hand\n");
    lab.sops(["encrypt", "--in-place", file]).ok();
    lab.commit_all("the file");
    rotate("mirror").ok();
    assert_eq!((lab.minted().len(), living(&lab, &tokens)), (1, 2));
    assert!(lab.value(file, "mirror").starts_with("glpat-"));
    let said = lab.provision(["--all", "--yes"]);
    assert_eq!((said.status, lab.minted().len()), (3, 1), "{said:?}");
    rotate("deploy").refused(3, "it cannot be proved to be ours");
    assert_eq!((lab.minted().len(), living(&lab, &tokens)), (2, 2));
}

/// Commits a secrets file with this token alone, as the stock sops encrypts it.
fn stores(lab: &Lab, file: &str, token: &str) {
    lab.write(file, &format!("token: {token}\n"));
    lab.sops(["encrypt", "--in-place", file]).ok();
    lab.commit_all("by hand");
}

fn leaked(lab: &Lab, value: &str) -> Said {
    super::rotate::fed(lab.command(["rotate", "--leaked", "--yes"]), value)
}

#[test]
fn a_token_that_a_lock_has_is_not_taken_over_again() {
    let lab = Lab::bare_today();
    lab.write(".sops.yaml", &format!("creation_rules:\n  - age: {}\n", lab.recipient));
    let token = by_hand(&lab, "Shared", 300);
    stores(&lab, "secrets/one.yaml", &token);
    let adopt = ["adopt", "--yes", "--gitlab", lab.gitlab.url()];
    lab.provision(adopt).ok();
    stores(&lab, "secrets/two.yaml", &token);
    let said = lab.provision(adopt);
    let why = format!("token {} is that of one/token; add this file to its profile", id_of(&lab, "Shared"));
    said.refused(3, &format!("left: secrets/two.yaml [\"token\"]: {why}"));
    assert!(!lab.repo().join("environments/two.yaml").exists());
    leaked(&lab, &token).ok();
    assert_eq!(living(&lab, &[token]), 0);
}

#[test]
fn a_leaked_token_that_two_locks_have_is_revoked_once_both_have_replaced_it() {
    let lab = Lab::bare_today();
    lab.write(".sops.yaml", &format!("creation_rules:\n  - age: {}\n", lab.recipient));
    let token = by_hand(&lab, "Shared", 300);
    for file in ["secrets/one.yaml", "secrets/two.yaml"] {
        stores(&lab, file, &token);
    }
    // Each was taken over on a branch of its own.
    lab.git(["branch", "other"]);
    for (branch, file) in [("main", "secrets/one.yaml"), ("other", "secrets/two.yaml")] {
        lab.git(["checkout", "-q", branch]);
        lab.provision(["adopt", "--yes", "--gitlab", lab.gitlab.url(), file]).ok();
    }
    lab.git(["checkout", "-q", "main"]);
    lab.git(["merge", "-q", "-m", "both", "other"]);
    leaked(&lab, &token).refused(4, "provision rotate --env two --leaked");
    leaked(&lab, &token).ok();
    assert_eq!(living(&lab, &[token]), 0);
    lab.provision(["--all", "--yes"]).ok();
}
