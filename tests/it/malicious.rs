//! A repository that somebody prepared: whoever clones it and works in it gives nothing away. Each test is one way to try,
//! and looks at what came of it: the attacker's GitLab, the attacker's key, the files outside, the programs that ran.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use provision::gitlab::emulator::Running;
use provision::sops::{Recipient, generate_identity};

use crate::support::form::{DEV, Form};
use crate::support::gitlab;
use crate::support::lab::{Lab, Said};
use crate::support::newcomer::{FILE, Newcomer};
use crate::support::program;
use crate::support::refusal::State;

/// Secrets of the victim that no command may show or take anywhere.
const CANARY: &str = "canary-of-the-home-directory";

struct Victim {
    lab: Lab,
    attacker: Running,
}

impl Victim {
    fn new() -> Self {
        let lab = Lab::new();
        fs::write(lab.home().join("private.yaml"), format!("{CANARY}: {CANARY}\n")).unwrap();
        Self { lab, attacker: gitlab::start("") }
    }

    /// The same without the environment that the attacker leaves alone, where `--all` would do what it is for.
    fn with_all_at_stake() -> Self {
        let victim = Self::new();
        victim.lab.git(["rm", "-q", "environments/dev.yaml"]);
        victim.lab.commit_all("without dev");
        victim
    }

    /// Every command that reads the repository, as people run them.
    fn commands() -> Vec<Vec<&'static str>> {
        vec![
            vec!["--env", "qa", "--yes"],
            vec!["--all", "--yes"],
            vec!["--env", "qa", "--dry-run"],
            vec!["status"],
            vec!["status", "--live"],
            vec!["check"],
            vec!["diff"],
            vec!["doctor"],
            vec!["adopt", "--yes"],
            vec!["rekey", "--yes"],
            vec!["keys", "list"],
            vec!["show", "--env", "qa"],
            vec!["export", "--env", "qa", "--reveal"],
            vec!["exec", "--env", "qa", "--", "env"],
            vec!["bootstrap", "--yes"],
        ]
    }

    /// Runs all of them; what they all said.
    fn tries_everything(&self) -> String {
        let said = Self::commands().into_iter().map(|args| self.lab.provision(args));
        said.map(|said| format!("{}{}", said.out, said.err)).collect()
    }

    fn attacker_saw(&self) -> usize {
        self.attacker.state()["requests"].as_array().unwrap().len()
    }

    fn outside(&self) -> PathBuf {
        self.lab.home().join("private.yaml")
    }

    /// Nothing of the home was shown, and it is as it was.
    #[track_caller]
    fn lost_nothing(&self, said: &str) {
        assert!(!said.contains(CANARY), "{said}");
        assert!(!said.contains("AGE-SECRET-KEY"), "{said}");
        assert!(!said.contains(self.lab.gitlab.operator_token().expose()), "{said}");
        assert_eq!(fs::read_to_string(self.outside()).unwrap(), format!("{CANARY}: {CANARY}\n"));
        assert_eq!(self.attacker_saw(), 0);
    }

    /// The committed file becomes a symlink out of the repository.
    fn link(&self, path: &str, target: &str) {
        let link = self.lab.repo().join(path);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        if link.is_dir() {
            fs::remove_dir_all(&link).unwrap();
        } else {
            let _ = fs::remove_file(&link);
        }
        symlink(target, &link).unwrap();
        self.lab.commit_all("a link");
    }
}

#[test]
fn profiles_that_name_the_attackers_gitlab_bring_it_no_request() {
    let victim = Victim::new();
    let lab = &victim.lab;
    lab.provision(["--env", "qa", "--yes"]).ok();
    lab.provision(["trust", "--yes"]).ok();
    for file in [
        "environments/qa.yaml",
        "environments/devmode.yaml",
        "environments/dev.yaml",
        "environments/locks/qa.yaml",
    ] {
        lab.write(file, &lab.read(file).replace(lab.gitlab.url(), victim.attacker.url()));
    }
    lab.commit_all("elsewhere");
    let mut said = victim.tries_everything();
    // The same without anything that binds the token.
    for args in Victim::commands() {
        let run = Said::of(&lab.command(args).env_remove("GITLAB_HOST").output().unwrap());
        said += &run.err;
    }
    victim.lost_nothing(&said);
    assert!(said.contains("was not sent to"), "{said}");
}

#[test]
fn an_address_that_only_looks_like_the_approved_one_gets_no_token() {
    let victim = Victim::new();
    let lab = &victim.lab;
    let url = lab.gitlab.url();
    let attacker = victim.attacker.url().trim_start_matches("http://");
    let profile = lab.read("environments/qa.yaml");
    for lookalike in [
        format!("{url}@{attacker}"),
        format!("{url}.evil.example"),
        format!("{url}\\@{attacker}"),
        format!("http://{attacker}/{url}"),
    ] {
        lab.write("environments/qa.yaml", &profile.replace(url, &lookalike));
        lab.commit_all("lookalike");
        let said = lab.provision(["--env", "qa", "--yes"]);
        assert_ne!(said.status, 0, "{lookalike}: {}", said.err);
    }
    victim.lost_nothing("");
}

#[test]
fn links_out_of_the_repository_are_neither_read_nor_written() {
    let paths = [
        "environments/qa.yaml",
        "environments/locks/qa.yaml",
        "environments/locks",
        "templates/backstage.yaml",
        "templates",
        "secrets/qa.sops.yaml",
        "secrets",
        ".sops.yaml",
    ];
    for path in paths {
        let victim = Victim::with_all_at_stake();
        victim.lab.provision(["--env", "qa", "--yes"]).ok();
        let home = victim.lab.home();
        let target = if path.contains('.') { victim.outside() } else { home.clone() };
        victim.link(path, target.to_str().unwrap());
        let before = State::of(&victim.lab);
        let said = victim.tries_everything();
        victim.lost_nothing(&said);
        let after = State::of(&victim.lab);
        assert_eq!(after, before, "{path}: {said}");
        assert!(!home.join("qa.sops.yaml").exists() && !home.join("qa.yaml").exists(), "{path}");
    }
}

#[test]
fn a_link_to_a_device_is_not_read_without_end() {
    for path in [
        "environments/qa.yaml",
        "environments/locks/qa.yaml",
        ".sops.yaml",
        "templates/backstage.yaml",
        "secrets/qa.sops.yaml",
    ] {
        let victim = Victim::with_all_at_stake();
        victim.link(path, "/dev/zero");
        let said = victim.tries_everything();
        victim.lost_nothing(&said);
        assert!(victim.lab.minted().is_empty(), "{path}");
    }
}

#[test]
fn paths_in_a_profile_reach_neither_gits_folder_nor_the_home() {
    let victim = Victim::new();
    let lab = &victim.lab;
    let profile = lab.read("environments/qa.yaml");
    for path in [
        "../outside.yaml",
        "/tmp/outside.yaml",
        ".git/config.yaml",
        ".GIT/hooks/pre-commit.yaml",
        "a/.git/x.yaml",
        "git~1/x.yaml",
        "secrets/../../x.yaml",
        "C:/x.yaml",
        "secrets\\x.yaml",
        ".sops.yaml",
        "environments/dev.yaml",
        "secrets/{user}.yaml",
    ] {
        lab.write("environments/qa.yaml", &profile.replace("secrets/qa.sops.yaml", path));
        lab.commit_all("path");
        let before = State::of(lab);
        let said = lab.provision(["--env", "qa", "--yes"]);
        assert!([2, 5].contains(&said.status), "{path}: {}", said.err);
        assert_eq!(State::of(lab), before, "{path}");
    }
    assert!(lab.minted().is_empty());
}

#[test]
fn a_file_of_ones_own_is_for_nobody_that_the_policy_names() {
    let victim = Victim::new();
    let lab = &victim.lab;
    let (_, attacker) = generate_identity();
    lab.write(".sops.yaml", &format!("creation_rules:\n  - age: {attacker}\n"));
    lab.commit_all("everything is for me");
    let newcomer = Newcomer::at(lab);
    let token = newcomer.home.join("token");
    fs::write(&token, Form::by_heart().submit(lab, DEV)).unwrap();
    let mut command = newcomer.command(&["bootstrap", "--yes", "--token-file", token.to_str().unwrap()]);
    Said::of(&command.env("GITLAB_HOST", lab.gitlab.url()).output().unwrap()).ok();
    let file = lab.read(FILE);
    assert!(!file.contains(&attacker.to_string()), "{file}");
    assert_eq!(file.matches("recipient: age1").count(), 1, "{file}");
}

#[test]
fn a_reader_whom_upstream_does_not_have_is_named_in_the_plan() {
    let victim = Victim::new();
    let lab = &victim.lab;
    lab.git(["clone", "-q", "--bare", ".", "../upstream.git"]);
    lab.git(["remote", "add", "origin", "../upstream.git"]);
    lab.git(["fetch", "-q", "origin"]);
    lab.git(["branch", "-q", "--set-upstream-to", "origin/main"]);
    let (_, attacker): (_, Recipient) = generate_identity();
    lab.write(".sops.yaml", &lab.read(".sops.yaml").replace("age: ", &format!("age: {attacker},")));
    // In the work tree alone: refused.
    let before = State::of(lab);
    lab.provision(["--env", "qa", "--yes"]).refused(5, ".sops.yaml");
    assert_eq!(State::of(lab), before);
    lab.commit_all("a reader");
    let plan = lab.provision(["--env", "qa", "--dry-run"]);
    let text = plan.out + &plan.err;
    assert!(text.contains("is a reader in this policy and not in upstream's"), "{text}");
    assert!(lab.minted().is_empty());
}

/// Names by which a file's author would run code, or read along, in the program that is started.
const NAMES: [&str; 24] = [
    "PATH",
    "HOME",
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "DYLD_INSERT_LIBRARIES",
    "BASH_ENV",
    "ENV",
    "PROMPT_COMMAND",
    "NODE_OPTIONS",
    "NODE_EXTRA_CA_CERTS",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PERL5OPT",
    "RUBYOPT",
    "JAVA_TOOL_OPTIONS",
    "GIT_SSH_COMMAND",
    "GIT_CONFIG_COUNT",
    "GIT_EXEC_PATH",
    "SOPS_AGE_KEY_CMD",
    "npm_config_script_shell",
    "https_proxy",
    "SSL_CERT_FILE",
    "EDITOR",
    "BASH_FUNC_ls%%",
];

#[test]
fn no_name_in_a_secrets_file_changes_what_a_program_runs() {
    let victim = Victim::new();
    let lab = &victim.lab;
    let folder = lab.everything().join("evil");
    let ran = lab.everything().join("ran");
    let evil = format!("#!/bin/sh\n: > '{}'\n", ran.display());
    for program in ["sh", "env", "node", "evil.sh"] {
        program::script(&folder.join(program), &evil);
    }
    for name in NAMES {
        // The attacker encrypts for the victim, whose key is public.
        let value = folder.join("evil.sh").display().to_string();
        let value = if name == "PATH" { folder.display().to_string() } else { value };
        lab.write("secrets/qa.sops.yaml", &format!("\"{name}\": \"{value}\"\n"));
        lab.sops(["encrypt", "--in-place", "secrets/qa.sops.yaml"]).ok();
        for args in [
            vec!["exec", "--env", "qa", "--", "sh", "-c", "env"],
            vec!["exec", "--file", "secrets/qa.sops.yaml", "--", "bash", "-c", "true"],
            vec!["export", "--env", "qa", "--reveal"],
            vec!["export", "--env", "qa", "--reveal", "--format", "dotenv"],
        ] {
            let said = lab.provision(&args);
            assert_ne!(said.status, 0, "{name} by {args:?}");
            assert_eq!(said.out, "", "{name} by {args:?}");
        }
    }
    assert!(!ran.exists());
}

#[test]
fn a_value_cannot_leave_the_quotes_of_the_shell_that_reads_it() {
    let victim = Victim::new();
    let lab = &victim.lab;
    let ran = lab.everything().join("ran");
    let inject =
        format!("'; touch {0}; echo '$(touch {0})`touch {0}`\\\"; touch {0} #\n: > {0}\n", ran.display());
    let text = serde_json::json!({ "VALUE": inject }).to_string();
    lab.write("secrets/qa.sops.yaml", &text);
    lab.sops(["encrypt", "--in-place", "secrets/qa.sops.yaml"]).ok();
    let exported = lab.provision(["export", "--env", "qa", "--reveal"]).ok();
    let shell = std::process::Command::new("sh")
        .args(["-c", "eval \"$1\"; printf %s \"$VALUE\"", "sh", &exported.out])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(shell.stdout).unwrap(), inject);
    assert!(!ran.exists());
}

#[test]
fn a_folder_that_looks_like_a_bare_repository_runs_nothing() {
    let victim = Victim::new();
    let lab = &victim.lab;
    let ran = lab.everything().join("ran");
    let evil = lab.everything().join("evil.sh");
    program::script(&evil, &format!("#!/bin/sh\n: > '{}'\n", ran.display()));
    let evil = evil.display();
    // What git does commit: it is no folder called .git.
    lab.write("docs/HEAD", "ref: refs/heads/main\n");
    lab.write("docs/objects/keep", "");
    lab.write("docs/refs/heads/keep", "");
    lab.write(
        "docs/config",
        &format!(
            "[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = ..\n\tfsmonitor = {evil}\n\thooksPath = {evil}\n\
             \tsshCommand = {evil}\n\tpager = {evil}\n[gpg]\n\tprogram = {evil}\n[commit]\n\tgpgSign = true\n"
        ),
    );
    lab.commit_all("docs");
    for args in Victim::commands() {
        let mut command = lab.command(args);
        command.current_dir(lab.repo().join("docs")).output().unwrap();
    }
    assert!(!ran.exists(), "a program of the repository's was run");
    assert!(lab.minted().is_empty());
}

#[test]
fn attributes_of_the_repository_start_no_filter_and_change_no_byte() {
    let victim = Victim::new();
    let lab = &victim.lab;
    let ran = lab.everything().join("ran");
    lab.write(".gitattributes", "* filter=evil diff=evil merge=evil ident\n");
    // What a repository would have to bring along, and cannot: git reads no configuration from it.
    lab.write(
        ".gitconfig",
        &format!("[filter \"evil\"]\n\tclean = touch {0}\n\tsmudge = touch {0}\n", ran.display()),
    );
    lab.commit_all("attributes");
    let said = lab.provision(["--env", "qa", "--yes"]);
    assert!(!ran.exists(), "{}", said.err);
    if said.status == 0 {
        let file = "secrets/qa.sops.yaml";
        assert_eq!(lab.git(["show", &format!("HEAD:{file}")]), lab.read(file).trim_end());
        lab.sops(["decrypt", file]).ok();
    } else {
        assert!(lab.minted().iter().all(|token| token["active"] == false), "{}", said.err);
    }
}

#[test]
fn bombs_are_refused_and_not_unfolded() {
    let victim = Victim::new();
    let lab = &victim.lab;
    let aliases = (1..30).fold("a0: &a0 [x, x]\n".to_owned(), |text, n| {
        text + &format!("a{n}: &a{n} [*a{0}, *a{0}, *a{0}, *a{0}, *a{0}, *a{0}, *a{0}, *a{0}]\n", n - 1)
    });
    let deep = format!("a: {}{}\n", "[".repeat(100_000), "]".repeat(100_000));
    let regex = format!(
        "creation_rules:\n  - path_regex: ((((a{{1000}}){{1000}}){{1000}}){{1000}})\n    age: {}\n",
        lab.recipient
    );
    let nested = format!(
        "creation_rules:\n  - path_regex: {}a{}\n    age: {}\n",
        "(".repeat(50_000),
        ")".repeat(50_000),
        lab.recipient
    );
    let files =
        ["environments/qa.yaml", "templates/backstage.yaml", ".sops.yaml", "environments/locks/qa.yaml"];
    let bombs = files.into_iter().flat_map(|file| [(file, &aliases), (file, &deep)]);
    for (file, text) in bombs.chain([(".sops.yaml", &regex), (".sops.yaml", &nested)]) {
        let good = fs::read_to_string(lab.repo().join(file)).ok();
        lab.write(file, text);
        lab.commit_all("a bomb");
        let before = State::of(lab);
        let said = lab.provision(["--env", "qa", "--yes"]);
        assert!([1, 2, 5].contains(&said.status), "{file}: {} {}", said.status, said.err);
        assert!(said.err.len() < 4000, "{file}: {} bytes of error", said.err.len());
        assert_eq!(State::of(lab), before, "{file}");
        match good {
            Some(good) => lab.write(file, &good),
            None => fs::remove_file(lab.repo().join(file)).unwrap(),
        }
        lab.commit_all("as before");
    }
    assert!(lab.minted().is_empty());
}

#[test]
fn names_cannot_write_over_the_plan_that_a_person_reads() {
    let victim = Victim::new();
    let lab = &victim.lab;
    let (_, attacker) = generate_identity();
    // A name that turns the direction of writing, in the profile; one that clears the line, in the policy.
    let profile = lab.read("environments/qa.yaml").replace("name: Backstage", "name: \u{202e}egatskcaB");
    lab.write("environments/qa.yaml", &profile);
    let policy = format!(
        "creation_rules:\n  - path_regex: ^secrets/\n    age:\n      - {} # me\n      - {attacker} # \u{1b}[2K\u{1b}[1A\u{9b}8m\n",
        lab.recipient
    );
    lab.write(".sops.yaml", &policy);
    lab.commit_all("names");
    let mut said = victim.tries_everything();
    for args in [
        vec!["keys", "list"],
        vec!["--env", "qa", "--yes", "--color", "always"],
        vec!["keys", "who", "secrets/qa.sops.yaml"],
    ] {
        let run = lab.provision(args);
        said += &(run.out + &run.err);
    }
    for sequence in ["\u{202e}", "\u{1b}[2K", "\u{1b}[1A", "\u{9b}"] {
        assert!(!said.contains(sequence), "{sequence:?} in {said:?}");
    }
}

#[test]
fn a_gitlab_that_lies_about_a_user_name_chooses_no_path() {
    let seed = "\
users:
  - { username: root, admin: true }
  - { username: ../../../escape }
groups:
  - { path: alithya-csna, members: { ../../../escape: owner } }
tokens:
  - { label: operator, user: ../../../escape, name: t, scopes: [api] }
  - { label: admin, user: root, name: a, scopes: [api, admin_mode, sudo] }
";
    let lab = Lab::with_seed(Some(seed));
    let before = State::of(&lab);
    let said = lab.provision(["--env", "devmode", "--yes"]);
    assert_eq!(said.status, 5, "{}", said.err);
    assert_eq!(State::of(&lab), before);
}
