use jiff::civil::date;

use super::*;

const QA: &str = "\
secrets: { file: secrets/qa.sops.yaml, template: backstage.yaml }
tokens:
  backstage:
    kind: group
    group: alithya-csna
    name: Backstage (qa.alithya-mws.com)
    role: developer
    scopes: [read_api, read_repository, write_repository]
";

fn read(text: &str) -> Result<Environment, ProfileError> {
    Environment::read("qa", "environments/qa.yaml", text)
}

fn problems(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

/// The QA profile with one text replaced, which must be in it.
fn with(from: &str, to: &str) -> String {
    assert!(QA.contains(from), "{from}");
    QA.replace(from, to)
}

#[test]
fn what_a_profile_leaves_out_has_the_documented_defaults() {
    let qa = read(QA).unwrap();
    assert_eq!(qa.gitlab.to_string(), "https://gitlab.com");
    assert_eq!((qa.name.as_str(), qa.path.as_str()), ("qa", "environments/qa.yaml"));
    let [secrets] = qa.secrets.as_slice() else { panic!("one file") };
    assert_eq!((secrets.recipients, secrets.commit), (Recipients::Policy, true));
    let [token] = qa.tokens.as_slice() else { panic!("one token") };
    assert_eq!(token.expires_as_written, "max");
    assert!(matches!(token.expires, Expires::Max));
    assert_eq!(token.renew_before.fieldwise(), 30.days().fieldwise());
    assert_eq!(token.overlap.fieldwise(), 24.hours().fieldwise());
    assert_eq!(token.strategy, Strategy::Replace);
}

#[test]
fn every_field_is_read() {
    let text = "\
gitlab: gitlab.example.com/git
secrets:
  - { file: secrets/a.sops.yaml, template: a.yaml, commit: false }
  - { file: 'deploy/b.sops.yaml', template: b.yaml, recipients: policy }
tokens:
  first:
    project: team/app
    name: First
    role: reporter
    scopes:
      - read_api
    expires: 2027-06-30
    renew_before: P2W
    overlap: 90m
    strategy: in-place
    moved_from: zeroth
  second:
    kind: personal
    name: Second
    scopes: [sudo, read_wiki]
    expires: never
";
    let environment = read(text).unwrap();
    assert_eq!(environment.gitlab.to_string(), "https://gitlab.example.com/git");
    let files: Vec<_> =
        environment.secrets.iter().map(|s| (s.file.as_str(), s.template.as_str(), s.commit)).collect();
    assert_eq!(files, [("secrets/a.sops.yaml", "a.yaml", false), ("deploy/b.sops.yaml", "b.yaml", true)]);
    let first = environment.token("first").unwrap();
    assert_eq!((first.kind, first.owner.as_deref()), (Kind::Project, Some("team/app")));
    assert_eq!((first.name.as_str(), first.role), ("First", Some(Role::Reporter)));
    assert!(matches!(first.expires, Expires::On(day) if day == date(2027, 6, 30)));
    assert_eq!(first.expires_as_written, "2027-06-30");
    assert_eq!(first.renew_before.fieldwise(), 2.weeks().fieldwise());
    assert_eq!(first.overlap.fieldwise(), 90.minutes().fieldwise());
    assert_eq!(first.strategy, Strategy::InPlace);
    assert_eq!(first.moved_from.as_deref(), Some("zeroth"));
    let second = environment.token("second").unwrap();
    assert_eq!((second.kind, second.owner.as_deref(), second.role), (Kind::Personal, None, None));
    assert!(second.scopes.contains("read_wiki"));
    assert!(matches!(second.expires, Expires::Never));
}

#[test]
fn an_unknown_key_is_refused_with_its_place_and_the_key_that_was_meant() {
    assert_eq!(
        problems(&with("    scopes:", "    scope:")),
        "environments/qa.yaml:4:5: token `backstage` lacks the key `scopes`\n\
         environments/qa.yaml:8:5: unknown key `scope`, did you mean `scopes`?"
    );
    assert_eq!(
        problems(&with("tokens:", "colour: red\ntokens:")),
        "environments/qa.yaml:2:1: unknown key `colour`; a profile has gitlab, secrets, tokens"
    );
    assert_eq!(
        problems(&with("backstage.yaml }", "backstage.yaml, recipient: self }")),
        "environments/qa.yaml:1:66: unknown key `recipient`, did you mean `recipients`?"
    );
    let later = problems(&with("    kind: group", "    kind: group\n    moved_by: old"));
    assert!(
        later.starts_with("environments/qa.yaml:5:5: unknown key `moved_by`; token `backstage` has"),
        "{later}"
    );
}

#[test]
fn all_problems_of_a_file_are_reported_at_once_in_its_order() {
    let text = "\
gitlab: http://gitlab.example.com
secrets:
  - { file: ../x, template: a/b, commit: \"true\" }
  - { file: secrets/x.yaml }
tokens:
  my-token:
    kind: groop
    name: ''
    scopes: [read_apis, openid, api, api]
    expires: nevr
    renew_before: 12h
    overlap: 1mo
    strategy: in_place
  empty:
  half:
    group: a
    project: a/b
    role: developer
  mine:
    kind: personal
    group: a
    name: ~
    role: owner
    scopes: []
  ours:
    group: https://gitlab.com/a
    name: Ours
    role: developper
    scopes: read_api
";
    insta::assert_snapshot!(problems(text), @"
        environments/qa.yaml:1:9: plain http is accepted for this machine only; use https://gitlab.example.com
        environments/qa.yaml:3:13: `file: ../x` leaves its folder with `..`
        environments/qa.yaml:3:29: `a/b` is a path; write the name of a file in templates/, such as backstage.yaml
        environments/qa.yaml:3:42: `commit` is true without quotes
        environments/qa.yaml:4:5: an entry of `secrets` lacks the key `template`
        environments/qa.yaml:6:3: `my-token` cannot be the key of a token: templates name it as `tokens.<key>`, so it has letters, digits and `_` only and starts with no digit; write `my_token`
        environments/qa.yaml:7:11: unknown kind `groop`, did you mean `group`?
        environments/qa.yaml:8:11: `name` is empty
        environments/qa.yaml:9:14: unknown scope `read_apis`, did you mean `read_api`?
        environments/qa.yaml:9:25: scope `openid` is not for access tokens: GitLab gives it to OAuth applications or keeps it to itself
        environments/qa.yaml:9:38: scope `api` stands twice
        environments/qa.yaml:10:14: `nevr` is not an expiry; write max, never, a duration such as 90d or P1Y, or a date such as 2027-06-30; did you mean `never`?
        environments/qa.yaml:11:19: `renew_before`: `12h` has hours or smaller units, but GitLab counts whole days; write one such as 30d
        environments/qa.yaml:12:14: `overlap`: `1mo` has months or years, whose length varies; write days or hours such as 7d or 24h
        environments/qa.yaml:13:15: unknown strategy `in_place`, did you mean `in-place`?
        environments/qa.yaml:14:3: token `empty` is empty; it needs kind, name and scopes
        environments/qa.yaml:16:5: token `half` lacks the key `name`
        environments/qa.yaml:16:5: token `half` lacks the key `scopes`
        environments/qa.yaml:17:14: a token belongs to a group or to a project, not to both
        environments/qa.yaml:21:12: `group` does not belong to a personal token
        environments/qa.yaml:22:11: the value is empty; write one or remove the key
        environments/qa.yaml:23:11: `role` does not belong to a personal token: it acts with the rights of its user
        environments/qa.yaml:24:13: `scopes` is empty; a token without scopes can do nothing
        environments/qa.yaml:26:12: `group` is a URL; write the full path alone, such as alithya-csna
        environments/qa.yaml:28:11: unknown role `developper`, did you mean `developer`?
        environments/qa.yaml:29:13: `scopes` must be a list such as [read_api], not a text
        ");
}

#[test]
fn group_and_project_tokens_need_a_role_and_their_owner() {
    assert_eq!(
        problems(&with("    role: developer\n", "")),
        "environments/qa.yaml:4:5: token `backstage` lacks the key `role`"
    );
    assert_eq!(
        problems(&with("    group: alithya-csna\n", "")),
        "environments/qa.yaml:4:5: token `backstage` lacks the key `group`"
    );
    assert_eq!(
        problems(&with("    group: alithya-csna\n", "    project: alithya-csna/x\n")),
        "environments/qa.yaml:4:5: token `backstage` lacks the key `group`\n\
         environments/qa.yaml:5:14: `project` does not belong to a group token"
    );
}

#[test]
fn a_personal_token_is_never_assumed() {
    let text = with("    kind: group\n    group: alithya-csna\n", "").replace("    role: developer\n", "");
    assert_eq!(problems(&text), "environments/qa.yaml:4:5: missing key `kind`: personal, group or project");
}

#[test]
fn read_user_is_refused_for_a_group_token() {
    assert_eq!(
        problems(&with("[read_api,", "[read_user,")),
        "environments/qa.yaml:8:14: scope `read_user` is not for group tokens, only for personal ones"
    );
}

#[test]
fn a_file_stands_once_and_personal_files_do_not_mix_with_common_ones() {
    let text = with(
        "{ file: secrets/qa.sops.yaml, template: backstage.yaml }",
        "\n- { file: a.yaml, template: a.yaml }\n- { file: a.yaml, template: b.yaml }\n\
         - { file: '{user}.yaml', template: b.yaml, recipients: self }",
    );
    assert_eq!(
        problems(&text),
        "environments/qa.yaml:3:3: `file: a.yaml` stands twice in `secrets`\n\
         environments/qa.yaml:4:3: files for everybody and files with `recipients: self` cannot share tokens; make \
         two environments of them"
    );
}

#[test]
fn a_personal_environment_has_a_file_per_user() {
    let file = "'secrets/{user}.sops.yaml', template: backstage.yaml, recipients: self }";
    let text = with("secrets/qa.sops.yaml, template: backstage.yaml }", file);
    let environment = Environment::read("devmode", "environments/devmode.yaml", &text).unwrap();
    let ana: crate::profile::UserName = "ana".parse().unwrap();
    assert!(environment.is_personal());
    assert_eq!(environment.secrets[0].path_for(Some(&ana)).unwrap(), "secrets/ana.sops.yaml");
    assert_eq!(environment.secrets[0].path_for(None), None);
    let qa = read(QA).unwrap();
    assert!(!qa.is_personal());
    assert_eq!(qa.secrets[0].path_for(None).unwrap(), "secrets/qa.sops.yaml");
}

#[test]
fn texts_that_are_no_profile_are_refused() {
    let cases = [
        "",
        "# only a comment\n",
        "just text\n",
        "[a, b]\n",
        "secrets: []\ntokens: {}\n",
        "secrets: x\ntokens: [a]\n",
        "gitlab:\nsecrets: { file: a.yaml, template: !!str a.yaml }\ntokens: {a: }\n",
        "tokens: {a: {name: [x]}\n",
        "tokens: {}\ntokens: {}\n",
        "a: 1\n---\nb: 2\n",
    ];
    insta::assert_snapshot!(cases.map(problems).join("\n\n"), @"
        environments/qa.yaml:1:1: the file is empty

        environments/qa.yaml:1:1: the file is empty

        environments/qa.yaml:1:1: a profile must be a mapping, not a text

        environments/qa.yaml:1:1: a profile must be a mapping, not a list

        environments/qa.yaml:1:10: `secrets` is empty; name at least one file
        environments/qa.yaml:2:9: `tokens` is empty; name at least one token

        environments/qa.yaml:1:10: an entry of `secrets` must be a mapping, not a text
        environments/qa.yaml:2:9: `tokens` must be a mapping of keys to tokens, not a list

        environments/qa.yaml:1:8: the value is empty; write one or remove the key
        environments/qa.yaml:2:42: tags such as !!str have no meaning here
        environments/qa.yaml:3:10: token `a` is empty; it needs kind, name and scopes

        environments/qa.yaml:1:9: unclosed bracket '{'

        environments/qa.yaml:2:1: the key `tokens` is already at line 1

        environments/qa.yaml:2:1: a second document; a profile is one
        ");
    assert!(
        Environment::read("../qa", "p", QA).unwrap_err().to_string().starts_with("p:1:1: `../qa` cannot be")
    );
}

#[test]
fn aliases_share_what_two_tokens_have_in_common() {
    let other = "  other: { group: alithya-csna/other, name: Other, role: guest, scopes: *scopes }\n";
    let text = with("scopes: [", "scopes: &scopes [") + other;
    let environment = read(&text).unwrap();
    assert_eq!(environment.tokens[0].scopes, environment.tokens[1].scopes);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(at in 0usize..QA.len(), text in ".{0,12}") {
        let mut profile = QA.to_owned();
        profile.replace_range(at..at + 1, &text);
        let _ = read(&profile);
    }
}

#[test]
fn an_entry_that_was_renamed_has_left_its_old_key() {
    let text = with("    scopes:", "    moved_from: backstage\n    scopes:");
    assert_eq!(
        problems(&text),
        "environments/qa.yaml:8:17: `backstage` is still an entry of its own; a renamed entry has one key only"
    );
}
