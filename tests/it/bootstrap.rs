//! A new developer's first hour: a clone, a home with nothing in it, a terminal.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;

use jiff::SignedDuration;

use crate::support::canaries::Canaries;
use crate::support::form::{DEV, Form};
use crate::support::lab::{Lab, Said};
use crate::support::newcomer::{FILE, Newcomer, PASTE};
use crate::support::people::{Person, policy};
use crate::support::team::Team;
use crate::support::terminal::Terminal;

#[test]
fn from_an_empty_home_to_a_program_that_has_the_token_and_again() {
    let lab = Lab::new();
    let newcomer = Newcomer::at(&lab);
    let mut terminal = newcomer.sits_before(&["bootstrap"]);
    terminal.answer("Make it?", "y");
    terminal.answer("Is that where your account is?", "y");
    terminal.expect("create the token there");
    let token = Form::in_text(terminal.all()).submit(&lab, DEV);
    terminal.expect(PASTE);
    terminal.paste(&token);
    terminal.answer("Go ahead?", "y");
    let (status, said) = terminal.end();
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("next: provision exec --env devmode -- COMMAND"), "{said}");
    assert!(!Canaries::of(&lab, [token.clone()]).are_in(said.as_bytes()));

    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(newcomer.key_file()), 0o600);
    assert_eq!(mode(newcomer.key_file().parent().unwrap().to_owned()), 0o700);
    assert_eq!(newcomer.token(), token);
    let program = ["exec", "--env", "devmode", "--", "sh", "-c", "printf %s \"$GITLAB_TOKEN\""];
    assert_eq!(newcomer.says(&program).ok().out, token);

    let (key, head) = (fs::read(newcomer.key_file()).unwrap(), lab.head());
    let again = newcomer.says(&["bootstrap"]).ok();
    assert!(again.out.contains("is healthy"), "{again:?}");
    assert_eq!((fs::read(newcomer.key_file()).unwrap(), lab.head()), (key, head));
}

#[test]
fn without_a_terminal_every_answer_has_a_flag() {
    let lab = Lab::new();
    let newcomer = Newcomer::at(&lab);
    let token = Form::by_heart().submit(&lab, DEV);
    let file = newcomer.home.join("token");
    fs::write(&file, &token).unwrap();
    let file = file.to_str().unwrap();
    newcomer.says(&["bootstrap"]).refused(2, "no terminal to ask on");
    assert!(!newcomer.key_file().exists());
    newcomer.says(&["bootstrap", "--yes", "--token-file", file]).refused(5, "nothing says that the token");
    let mut command = newcomer.command(&["bootstrap", "--yes", "--token-file", file]);
    Said::of(&command.env("GITLAB_HOST", lab.gitlab.url()).output().unwrap()).ok();
    assert_eq!(newcomer.token(), token);
}

#[test]
fn a_more_powerful_token_is_refused_unless_it_is_accepted() {
    let lab = Lab::new();
    let newcomer = Newcomer::at(&lab);
    let more = Form::by_heart().with("scopes", "read_user,read_api,read_repository,write_repository,api");
    let file = newcomer.home.join("token");
    fs::write(&file, more.submit(&lab, DEV)).unwrap();
    let run = |more: &[&str]| {
        let args = [&["bootstrap", "--yes", "--token-file", file.to_str().unwrap()], more].concat();
        Said::of(&newcomer.command(&args).env("GITLAB_HOST", lab.gitlab.url()).output().unwrap())
    };
    let head = lab.head();
    let said = run(&[]).refused(5, "it also has api");
    assert!(!said.err.contains("commit "), "no plan that cannot be carried out: {said:?}");
    assert_eq!(lab.head(), head);
    // What api may do counts as present.
    fs::write(&file, Form::by_heart().with("scopes", "api").submit(&lab, DEV)).unwrap();
    run(&[]).refused(5, "because: it also has api\n");
    assert_eq!(lab.head(), head);
    run(&["--accept-more"]).ok();
    let again = run(&[]).ok();
    assert!(again.out.contains("is healthy"), "{again:?}");
}

/// Everything that can be known without GitLab is known before a person makes a token there.
#[test]
fn what_would_be_refused_here_is_refused_before_a_token_is_made() {
    let without = |break_it: &dyn Fn(&Lab, &Newcomer<'_>), status: i32, says: &str| {
        let lab = Lab::new();
        let newcomer = Newcomer::at(&lab);
        break_it(&lab, &newcomer);
        let mut command = newcomer.command(&["bootstrap", "--yes"]);
        command.env("GITLAB_HOST", lab.gitlab.url());
        let (ended, said) = Terminal::start(command).end();
        assert_eq!(ended, status, "{said}");
        assert!(said.contains(says) && !said.contains("create the token there"), "{said}");
    };
    let profile = |lab: &Lab, from: &str, to: &str| {
        let path = "environments/devmode.yaml";
        lab.write(path, &lab.read(path).replace(from, to));
        lab.commit_all("changed");
    };
    without(&|_, newcomer| fs::write(newcomer.home.join(".gitconfig"), "").unwrap(), 5, "user.email");
    without(
        &|lab, _| lab.write(".git/MERGE_HEAD", &format!("{}\n", lab.git(["rev-parse", "HEAD"]))),
        5,
        "merge",
    );
    without(
        &|lab, _| profile(lab, "backstage.yaml", "nowhere.yaml"),
        2,
        "no template templates/nowhere.yaml",
    );
    without(
        &|lab, _| profile(lab, "recipients: self", "recipients: self\n  commit: false"),
        5,
        "echo '/secrets/devmode/*.sops.yaml' >> .gitignore",
    );
    without(
        &|lab, _| {
            lab.write(".gitignore", "secrets/devmode/\n");
            lab.commit_all("ignored");
        },
        5,
        "is ignored by git",
    );
    without(
        &|lab, _| {
            lab.write("templates/backstage.yaml", "GITLAB_TOKEN_unencrypted: \"{{ tokens.backstage }}\"\n");
            lab.commit_all("in the clear");
        },
        5,
        "in the clear",
    );
}

/// The one that was made in the form proves itself before anything is planned.
#[test]
fn a_token_that_will_not_do_is_asked_for_again() {
    let lab = Lab::new();
    let newcomer = Newcomer::at(&lab);
    let mut command = newcomer.command(&["bootstrap", "--yes"]);
    command.env("GITLAB_HOST", lab.gitlab.url());
    let mut terminal = Terminal::start(command);
    terminal.expect("create the token there");
    let form = Form::in_text(terminal.all());
    terminal.expect(PASTE);
    let more = form.with("scopes", "read_user,read_api,read_repository,write_repository,api");
    let wrong = [
        ("glpat-nobody0123456789ab".to_owned(), "does not accept the pasted token"),
        (form.with("scopes", "read_user").submit(&lab, DEV), "it lacks read_api, read_repository"),
        (form.with("name", "My token").submit(&lab, DEV), "its name is \"My token\""),
        (more.submit(&lab, DEV), "it also has api"),
    ];
    for (token, why) in wrong {
        terminal.paste(&token);
        terminal.expect(why);
        terminal.expect(PASTE);
    }
    assert!(!terminal.all().contains("with the scope api"), "{}", terminal.all());
    let token = form.submit(&lab, DEV);
    terminal.paste(&token);
    let (status, said) = terminal.end();
    assert_eq!(status, 0, "{said}");
    assert!(!said.contains("asked to paste"), "{said}");
    assert_eq!(newcomer.token(), token);
}

#[test]
fn a_second_request_says_that_the_first_one_is_open() {
    let (team, lab) = Team::with_clone();
    lab.provision(["--env", "qa", "--yes", "--push"]).ok();
    let newcomer = Newcomer::at(&lab);
    let token = newcomer.home.join("token");
    fs::write(&token, Form::by_heart().submit(&lab, DEV)).unwrap();
    let says = |args: &[&str]| {
        let mut command = newcomer.command(args);
        Said::of(&command.env("GITLAB_HOST", lab.gitlab.url()).output().unwrap())
    };
    let args = ["bootstrap", "--yes", "--token-file", token.to_str().unwrap(), "--request-access", "qa"];
    says(&args).ok();
    let tip = team.git(["rev-parse", "provision/access-dev"]);
    let said = says(&args).ok();
    assert!(said.err.contains("asked already: provision/access-dev waits for a maintainer"), "{said:?}");
    assert!(!said.err.contains("is a reader already"), "{said:?}");
    assert_eq!(team.git(["rev-parse", "provision/access-dev"]), tip);
    let request = |env: &str, name: &str| says(&["keys", "request", "--env", env, "--name", name, "--yes"]);
    let said = request("devmode", "dev").ok();
    assert!(said.err.contains("devmode is for each person alone"), "{said:?}");
    lab.git(["push", "-q", "origin", "main"]);
    team.merge("provision/access-dev");
    lab.git(["pull", "-q"]);
    let said = request("qa", "dev").ok();
    assert!(said.err.contains("access: this key is a reader already"), "{said:?}");
}

#[test]
fn the_result_with_a_request_is_one_json_document() {
    let (_team, lab) = Team::with_clone();
    let newcomer = Newcomer::at(&lab);
    let token = newcomer.home.join("token");
    fs::write(&token, Form::by_heart().submit(&lab, DEV)).unwrap();
    let run = |more: &[&str]| {
        let file = token.to_str().unwrap();
        let args = ["bootstrap", "--json", "--token-file", file, "--request-access", "qa"];
        let mut command = newcomer.command(&[&args, more].concat());
        let said = Said::of(&command.env("GITLAB_HOST", lab.gitlab.url()).output().unwrap()).ok();
        serde_json::from_str::<serde_json::Value>(&said.out)
            .unwrap_or_else(|error| panic!("{error}: {said:?}"))
    };
    let made = run(&["--yes"]);
    assert_eq!(made["environments"][0]["environment"], "devmode", "{made}");
    assert_eq!(made["access"]["to"], "provision/access-dev at origin", "{made}");
    assert_eq!(made["access"]["name"], "dev", "{made}");
    // Looking at it shows the request too.
    let planned = run(&["--dry-run", "--name", "desk"]);
    assert_eq!(planned["plans"][0]["environment"], "devmode", "{planned}");
    assert!(planned.get("access").is_some(), "{planned}");
}

#[test]
fn a_key_file_is_never_overwritten() {
    let lab = Lab::new();
    let newcomer = Newcomer::at(&lab);
    fs::create_dir_all(newcomer.key_file().parent().unwrap()).unwrap();
    fs::write(newcomer.key_file(), "# lost\n").unwrap();
    newcomer.says(&["bootstrap", "--yes"]).refused(5, "holds no key of yours");
    assert_eq!(fs::read_to_string(newcomer.key_file()).unwrap(), "# lost\n");
}

#[test]
fn a_repository_that_comes_to_name_another_gitlab_gets_no_token() {
    let lab = Lab::new();
    let newcomer = Newcomer::at(&lab);
    let token = newcomer.home.join("token");
    fs::write(&token, Form::by_heart().submit(&lab, DEV)).unwrap();
    let mut command = newcomer.command(&["bootstrap", "--yes", "--token-file", token.to_str().unwrap()]);
    Said::of(&command.env("GITLAB_HOST", lab.gitlab.url()).output().unwrap()).ok();

    let attacker = crate::support::gitlab::start("");
    for file in ["environments/devmode.yaml", "environments/locks/devmode/dev.yaml"] {
        lab.write(file, &lab.read(file).replace(lab.gitlab.url(), attacker.url()));
    }
    lab.commit_all("evil");
    newcomer.says(&["bootstrap"]).refused(5, "nothing says that the token");
    let terminal = newcomer.sits_before(&["bootstrap"]);
    let mut terminal = terminal;
    terminal.answer(&format!("are made at {}", attacker.url()), "n");
    assert_eq!(terminal.end().0, 130);
    assert!(attacker.state()["requests"].as_array().unwrap().is_empty());
}

#[test]
fn a_key_with_a_passphrase_opens_what_it_closed() {
    let lab = Lab::new();
    let newcomer = Newcomer::at(&lab);
    let token = newcomer.home.join("token");
    fs::write(&token, Form::by_heart().submit(&lab, DEV)).unwrap();
    let args = ["bootstrap", "--yes", "--passphrase", "--token-file", token.to_str().unwrap()];
    let mut command = newcomer.command(&args);
    command.env("GITLAB_HOST", lab.gitlab.url());
    let mut terminal = Terminal::start(command);
    for (question, answer) in [("Passphrase of the new key", "one"), ("The same again", "two")] {
        terminal.expect(question);
        terminal.paste(answer);
    }
    terminal.expect("they are not the same");
    for question in ["Passphrase of the new key", "The same again", "Passphrase of "] {
        terminal.expect(question);
        terminal.paste("correct horse");
    }
    let (status, said) = terminal.end();
    assert_eq!(status, 0, "{said}");
    assert!(fs::read_to_string(newcomer.key_file()).unwrap().starts_with("-----BEGIN AGE ENCRYPTED FILE"));
    let mut terminal = newcomer.sits_before(&["show", "--reveal", FILE, "GITLAB_HOST"]);
    terminal.expect("Passphrase of ");
    terminal.paste("correct horse");
    let (status, said) = terminal.end();
    assert_eq!(status, 0, "{said}");
}

#[test]
fn a_request_to_read_more_changes_the_policy_alone_and_opens_qa_once_it_is_merged_and_rekeyed() {
    let (team, lab) = Team::with_clone();
    lab.provision(["--env", "qa", "--yes", "--push"]).ok();
    let newcomer = Newcomer::at(&lab);
    let token = newcomer.home.join("token");
    fs::write(&token, Form::by_heart().submit(&lab, DEV)).unwrap();
    let args = ["bootstrap", "--yes", "--token-file", token.to_str().unwrap(), "--request-access", "qa"];
    let mut command = newcomer.command(&args);
    let said =
        Said::of(&command.env("GITLAB_HOST", lab.gitlab.url()).stdin(Stdio::null()).output().unwrap()).ok();
    assert!(said.out.contains("access: pushed to provision/access-dev at origin"), "{said:?}");
    let key = fs::read_to_string(newcomer.key_file()).unwrap();
    let public = key.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap().to_owned();
    let asked = team.show("provision/access-dev", ".sops.yaml");
    assert!(asked.contains(&public), "{asked}");
    assert!(!team.show("main", ".sops.yaml").contains(&public));
    let changed = team.git(["diff", "--name-only", "main", "provision/access-dev"]);
    assert!(changed.lines().any(|line| line == ".sops.yaml"), "{changed}");
    assert!(!lab.read(".sops.yaml").contains(&public), "the policy here is as it was");

    // A maintainer merges it, and somebody who can read rekeys; then it opens for the newcomer.
    lab.git(["push", "-q", "origin", "main"]);
    team.merge("provision/access-dev");
    lab.git(["pull", "-q"]);
    let qa = ["show", "--reveal", "secrets/qa.sops.yaml", "GITLAB_TOKEN"];
    newcomer.says(&qa).refused(7, "");
    lab.provision(["rekey", "--yes", "--push"]).ok();
    assert_eq!(newcomer.says(&qa).ok().out, lab.value("secrets/qa.sops.yaml", "GITLAB_TOKEN"));
}

#[test]
fn a_superseded_personal_token_withdraws_itself_where_its_owner_may_revoke_nothing() {
    let lab = Lab::today();
    let newcomer = Newcomer::at(&lab);
    let file = newcomer.home.join("token");
    let old = Form::by_heart().with("description", "provision devmode/backstage pv-0123456789abcdef0123");
    fs::write(&file, old.submit(&lab, DEV)).unwrap();
    let run = |token: &[&str]| {
        let args = [&["bootstrap", "--yes"], token].concat();
        Said::of(&newcomer.command(&args).env("GITLAB_HOST", lab.gitlab.url()).output().unwrap()).ok()
    };
    let given = ["--token-file", file.to_str().unwrap()];
    run(&given);
    let profile = lab.read("environments/devmode.yaml").replace("(localhost)", "(laptop)");
    lab.write("environments/devmode.yaml", &profile);
    lab.commit_all("rename");
    fs::write(&file, Form::by_heart().with("name", "Backstage (laptop)").submit(&lab, DEV)).unwrap();
    run(&given);
    let alive = || lab.minted().iter().filter(|token| token["active"] == true).count();
    assert_eq!(alive(), 1, "the old one lives on for the overlap");
    lab.gitlab.advance(SignedDuration::from_hours(25));
    let said = run(&[]);
    assert!(said.out.contains("is revoked"), "{said:?}");
    assert_eq!(alive(), 0);
    assert!(!lab.read("environments/locks/devmode/dev.yaml").contains("superseded"));
}

#[test]
fn on_a_second_machine_the_own_file_is_left_as_it_is_and_the_way_out_is_named() {
    let lab = Lab::new();
    let newcomer = Newcomer::at(&lab);
    let token = newcomer.home.join("token");
    fs::write(&token, Form::by_heart().submit(&lab, DEV)).unwrap();
    let run = || {
        let mut command = newcomer.command(&["bootstrap", "--yes", "--token-file", token.to_str().unwrap()]);
        Said::of(&command.env("GITLAB_HOST", lab.gitlab.url()).output().unwrap())
    };
    run().ok();
    // The home of another machine: no key yet.
    let key = fs::read(newcomer.key_file()).unwrap();
    fs::remove_file(newcomer.key_file()).unwrap();
    let before = (lab.head(), lab.read(FILE));
    let mut terminal = newcomer.sits_before(&["bootstrap"]);
    terminal.answer("Make it?", "y");
    // The origin is bound to nothing on this machine yet.
    terminal.answer("Is that where your account is?", "y");
    terminal.expect("create the token there");
    let second = Form::in_text(terminal.all()).submit(&lab, DEV);
    terminal.expect(PASTE);
    terminal.paste(&second);
    let (status, said) = terminal.end();
    assert_eq!(status, 7, "{said}");
    for text in ["is yours, and no key here opens it", "add that key to", "is not used: revoke it at"] {
        assert!(said.contains(text), "{text}: {said}");
    }
    assert_eq!((lab.head(), lab.read(FILE)), before);
    // With the key from the other machine all is well; without it for good, a new token takes the old one's place.
    let new = fs::read(newcomer.key_file()).unwrap();
    fs::write(newcomer.key_file(), [new.clone(), key].concat()).unwrap();
    let said = run();
    assert!(said.out.contains("is healthy"), "{said:?}");
    fs::write(newcomer.key_file(), new).unwrap();
    run().refused(7, "no key here opens it");
    lab.git(["rm", "-q", FILE]);
    lab.git(["commit", "-q", "-m", "lost"]);
    fs::write(&token, Form::by_heart().submit(&lab, DEV)).unwrap();
    assert_ne!(run().status, 5);
    assert!(lab.read(FILE).contains("sops"));
}

/// The whole way of an access request: who asks, who merges and who rekeys have a home of their own each.
#[test]
fn a_newcomer_asks_a_maintainer_merges_ci_rekeys_with_its_own_key_and_the_newcomer_reads() {
    let (team, lab) = Team::with_clone();
    let (identity, ci) = provision::sops::generate_identity();
    lab.write(".sops.yaml", &lab.read(".sops.yaml").replace("age: ", &format!("age: {ci},")));
    lab.commit_all("CI reads");
    lab.provision(["--env", "qa", "--yes", "--push"]).ok();

    let newcomer = Newcomer::at(&lab);
    let theirs = team.another_clone("newcomer");
    let token = newcomer.home.join("token");
    fs::write(&token, Form::by_heart().submit(&lab, DEV)).unwrap();
    let at = |args: &[&str]| {
        let mut command = newcomer.command(args);
        Said::of(&command.env("GITLAB_HOST", lab.gitlab.url()).current_dir(theirs.folder()).output().unwrap())
    };
    let token = token.to_str().unwrap();
    at(&["bootstrap", "--yes", "--token-file", token, "--request-access", "qa"]).ok();
    let qa = ["show", "--reveal", "secrets/qa.sops.yaml", "GITLAB_TOKEN"];
    at(&qa).refused(7, "");

    // The maintainer merges it, and does nothing else.
    team.merge("provision/access-dev");

    // A job: a fresh clone, an empty home, the key in a variable.
    let home = lab.everything().join("ci");
    fs::create_dir(&home).unwrap();
    fs::write(home.join(".gitconfig"), crate::support::lab::GIT_CONFIG).unwrap();
    let job = team.another_clone("job");
    let mut rekey = job.command(&lab, &["rekey", "--yes", "--push"]);
    rekey.env("HOME", &home).env("SOPS_AGE_KEY", identity.expose()).env_remove("GITLAB_TOKEN");
    Said::of(&rekey.output().unwrap()).ok();

    theirs.git(&lab, &["pull", "-q", "--rebase"]);
    assert_eq!(at(&qa).ok().out, lab.value("secrets/qa.sops.yaml", "GITLAB_TOKEN"));
}

/// Laptop and desktop: two keys of one person, both readers of the team's files.
#[test]
fn a_second_key_of_one_person_becomes_a_reader_under_a_name_of_its_own() {
    let (team, lab) = Team::with_clone();
    let ana = Person::owner_of(&lab);
    lab.write(".sops.yaml", &policy(&[&ana], &[("^secrets/[^/]+\\.sops\\.yaml$", &["ana"])]));
    lab.commit_all("names");
    lab.provision(["--env", "qa", "--yes", "--push"]).ok();
    let newcomer = Newcomer::at(&lab);
    let token = newcomer.home.join("token");
    fs::write(&token, Form::by_heart().submit(&lab, DEV)).unwrap();
    let says = |args: &[&str]| {
        let mut command = newcomer.command(args);
        Said::of(&command.env("GITLAB_HOST", lab.gitlab.url()).output().unwrap())
    };
    let request = ["--yes", "--token-file", token.to_str().unwrap(), "--request-access", "qa"];
    let admitted = |branch: &str| {
        team.merge(branch);
        lab.git(["pull", "-q", "--rebase"]);
        lab.provision(["rekey", "--yes", "--push"]).ok();
    };
    says(&[&["bootstrap"], &request[..]].concat()).ok();
    admitted("provision/access-dev");
    let qa = ["show", "--reveal", "secrets/qa.sops.yaml", "GITLAB_TOKEN"];
    says(&qa).ok();

    // On the desktop there is another key, and the name is taken by the laptop's.
    let laptop = fs::read(newcomer.key_file()).unwrap();
    fs::remove_file(newcomer.key_file()).unwrap();
    says(&["keys", "request", "--env", "qa", "--name", "dev", "--yes"]).refused(7, "bootstrap");
    says(&["bootstrap", "--yes"]).refused(6, "no GitLab token was given");
    assert_ne!(fs::read(newcomer.key_file()).unwrap(), laptop);
    says(&qa).refused(7, "");
    says(&["keys", "request", "--env", "qa", "--name", "dev", "--yes"]).refused(5, "such as dev-laptop");
    says(&["keys", "request", "--env", "qa", "--name", "dev-desktop", "--yes"]).ok();
    admitted("provision/access-dev-desktop");
    let desktop = says(&qa).ok().out;
    assert_eq!(desktop, lab.value("secrets/qa.sops.yaml", "GITLAB_TOKEN"));
    let list = lab.provision(["keys", "list"]).ok().out;
    for name in ["dev ", "dev-desktop "] {
        let line = list.lines().find(|line| line.starts_with(name));
        assert!(line.is_some_and(|line| line.contains("secrets/qa.sops.yaml")), "{name}: {list}");
    }
    // The one that is given up is taken out, and the other one goes on reading.
    lab.provision(["keys", "remove", "dev", "--yes", "--push"]);
    assert_eq!(says(&qa).ok().out, desktop);
    fs::write(newcomer.key_file(), laptop).unwrap();
    says(&qa).refused(7, "");
}
