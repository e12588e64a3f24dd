//! `provision exec` and `provision export` on files that stock sops made, with programs that are really started.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use crate::show::encrypted_by_sops;
use crate::support::lab::Lab;

const FLAT: &str =
    "TOKEN: glpat-canary\nPORT: 8080\nRATIO: 1.5\nON: true\nEMPTY: \"\"\nCERT: |\n    a\n    b\n";
const NASTY: &str = "it's $(touch pwned) `touch pwned` \"two\" \\n # not a comment\nsecond line; rm -rf ~\n";

fn rule_for_all(lab: &Lab) {
    lab.write(".sops.yaml", &format!("creation_rules:\n  - age: {}\n", lab.recipient));
}

fn environment(text: &str) -> BTreeMap<String, String> {
    let entries = text.split('\0').filter_map(|entry| entry.split_once('='));
    entries.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn a_program_gets_what_stock_sops_would_give_it() {
    let lab = Lab::new();
    encrypted_by_sops(&lab, "secrets/x.sops.yaml", FLAT);
    let stock = lab.sops(["exec-env", "secrets/x.sops.yaml", "env -0"]).ok();
    let ours = lab.provision(["exec", "--file", "secrets/x.sops.yaml", "--", "env", "-0"]).ok();
    let (stock, ours) = (environment(&stock.out), environment(&ours.out));
    for name in ["TOKEN", "PORT", "RATIO", "ON", "EMPTY", "CERT"] {
        assert!(ours.contains_key(name), "{name}");
        assert_eq!(ours.get(name), stock.get(name), "{name}");
    }
}

#[test]
fn no_shell_is_between_us_and_the_program() {
    let lab = Lab::new();
    encrypted_by_sops(&lab, "secrets/x.sops.yaml", FLAT);
    let said = lab
        .provision(["exec", "-f", "secrets/x.sops.yaml", "--", "printf", "%s|", "$TOKEN", "a b", "--env"])
        .ok();
    assert_eq!(said.out, "$TOKEN|a b|--env|");
    assert_eq!(said.err, "");
}

#[test]
fn status_and_signal_of_the_program_are_ours() {
    let lab = Lab::new();
    encrypted_by_sops(&lab, "secrets/x.sops.yaml", FLAT);
    let run = |script: &str| {
        lab.command(["exec", "-f", "secrets/x.sops.yaml", "--", "sh", "-c", script]).output().unwrap().status
    };
    for status in [0, 1, 2, 7, 125, 255] {
        assert_eq!(run(&format!("exit {status}")).code(), Some(status));
    }
    assert_eq!(run("kill -TERM $$").signal(), Some(15));
    assert_eq!(run("kill -USR1 $$").signal(), Some(10));
    assert_eq!(run("kill -PIPE $$").signal(), Some(13));
}

#[test]
fn the_program_takes_our_place_and_our_input() {
    let lab = Lab::new();
    encrypted_by_sops(&lab, "secrets/x.sops.yaml", FLAT);
    let mut command =
        lab.command(["exec", "-f", "secrets/x.sops.yaml", "--", "sh", "-c", "read line; echo $$ $line"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"hello\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{pid} hello\n"));
}

#[test]
fn keys_and_operator_tokens_are_not_inherited() {
    let lab = Lab::new();
    encrypted_by_sops(&lab, "secrets/x.sops.yaml", FLAT);
    let key = lab.identity().to_owned();
    fs::remove_file(lab.home().join(".config/sops/age/keys.txt")).unwrap();
    let mut command = lab.command(["exec", "-f", "secrets/x.sops.yaml", "--", "env", "-0"]);
    command.env("SOPS_AGE_KEY", &key).env("OAUTH_TOKEN", "x").env("KEPT", "kept");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let given = environment(&String::from_utf8(output.stdout).unwrap());
    for name in ["SOPS_AGE_KEY", "GITLAB_TOKEN", "OAUTH_TOKEN"] {
        assert!(!given.contains_key(name), "{name}");
    }
    assert_eq!(given["KEPT"], "kept");
    assert_eq!(given["TOKEN"], "glpat-canary");
    assert!(!given.values().any(|value| value.contains(&key)));
}

#[test]
fn a_minted_token_takes_the_place_of_the_operators() {
    let lab = Lab::new();
    lab.provision(["--env", "qa", "--yes"]).ok();
    let requests = lab.requests().len();
    let script = "printf %s \"$GITLAB_TOKEN\" | sha256sum | cut -d' ' -f1";
    let said = lab.provision(["exec", "--env", "qa", "--", "sh", "-c", script]).ok();
    let state = lab.gitlab.state();
    let tokens = state["tokens"].as_array().unwrap();
    assert!(tokens.iter().any(|token| token["sha256"] == said.out.trim()), "{}", said.out);
    assert_eq!(lab.requests().len(), requests, "exec needs no network");
}

#[test]
fn several_files_a_prefix_a_choice_and_names_of_ones_own() {
    let lab = Lab::new();
    rule_for_all(&lab);
    encrypted_by_sops(&lab, "secrets/a.sops.yaml", "data:\n    token: one\n    other: two\n");
    encrypted_by_sops(&lab, "secrets/b.sops.json", "{\"list\": [\"x\", \"y\"]}");
    let args = [
        "exec",
        "-f",
        "secrets/a.sops.yaml",
        "-f",
        "secrets/b.sops.json",
        "--prefix",
        "APP_",
        "--only",
        "list",
        "--map",
        "PATH_TO=data.token",
        "--",
        "env",
        "-0",
    ];
    let given = environment(&lab.provision(args).ok().out);
    assert_eq!(given["APP_LIST_0"], "x");
    assert_eq!(given["APP_LIST_1"], "y");
    assert_eq!(given["PATH_TO"], "one");
    assert!(!given.contains_key("APP_DATA_OTHER") && !given.contains_key("APP_DATA_TOKEN"));
}

#[test]
fn nothing_is_started_where_the_values_cannot_be_had() {
    let lab = Lab::new();
    encrypted_by_sops(&lab, "secrets/x.sops.yaml", "open_unencrypted: visible\nTOKEN: glpat-canary\n");
    let tampered = lab.read("secrets/x.sops.yaml").replace("visible", "changed");
    lab.write("secrets/tampered.sops.yaml", &tampered);
    encrypted_by_sops(&lab, "secrets/loader.sops.yaml", "LD_PRELOAD: /tmp/evil.so\n");
    let touch = ["--", "touch", "started"];
    let run = |args: &[&str]| lab.provision([&["exec"], args, &touch].concat());
    run(&["-f", "secrets/tampered.sops.yaml"]).refused(125, "MAC");
    run(&["-f", "secrets/loader.sops.yaml"]).refused(125, "LD_PRELOAD changes what programs load");
    run(&["-f", "secrets/x.sops.yaml", "--only", "nothing"]).refused(125, "there is no nothing");
    run(&["-f", "secrets/x.sops.yaml", "--nonsense"]).refused(125, "unexpected argument");
    run(&["-f", "secrets/x.sops.yaml", "-C", "nowhere"]).refused(125, "cannot work in");
    run(&["-f", "secrets/none.yaml"]).refused(125, "cannot read");
    fs::remove_file(lab.home().join(".config/sops/age/keys.txt")).unwrap();
    run(&["-f", "secrets/x.sops.yaml"]).refused(125, "no age identity");
    assert!(!lab.repo().join("started").exists());
}

#[test]
fn a_program_that_is_not_there_is_127_and_one_that_cannot_run_126() {
    let lab = Lab::new();
    encrypted_by_sops(&lab, "secrets/x.sops.yaml", FLAT);
    let run = |program: &str| lab.provision(["exec", "-f", "secrets/x.sops.yaml", "--", program]);
    run("no-such-program").refused(127, "cannot start no-such-program");
    run("./secrets/x.sops.yaml").refused(126, "Permission denied");
    run("echo hello").refused(127, "words of their own");
}

#[test]
fn a_dangerous_name_given_on_purpose_is_set() {
    let lab = Lab::new();
    encrypted_by_sops(&lab, "secrets/x.sops.yaml", "opts: --no-warnings\n");
    let args =
        ["exec", "-f", "secrets/x.sops.yaml", "--map", "NODE_OPTIONS=opts", "--", "printenv", "NODE_OPTIONS"];
    assert_eq!(lab.provision(args).ok().out, "--no-warnings\n");
}

#[test]
fn shells_read_back_what_export_prints() {
    let lab = Lab::new();
    let plain = format!("NASTY: {}\nTOKEN: glpat-canary\nEMPTY: \"\"\n", serde_json::Value::from(NASTY));
    encrypted_by_sops(&lab, "secrets/x.sops.yaml", &plain);
    let text = lab.provision(["export", "-f", "secrets/x.sops.yaml", "--reveal"]).ok().out;
    for shell in ["sh", "bash", "dash"] {
        let mut command = Command::new(shell);
        command.current_dir(lab.repo()).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        let script = "eval \"$1\"; env -0";
        let output = command.args(["-c", script, shell, &text]).output().unwrap();
        let given = environment(&String::from_utf8(output.stdout).unwrap());
        assert_eq!(given["NASTY"], NASTY, "{shell}");
        assert_eq!(given["TOKEN"], "glpat-canary", "{shell}");
        assert_eq!(given["EMPTY"], "", "{shell}");
    }
    assert!(!lab.repo().join("pwned").exists());
    let json = lab.provision(["export", "-f", "secrets/x.sops.yaml", "--reveal", "--json"]).ok().out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["NASTY"], NASTY);
}

#[test]
fn stock_sops_and_a_shell_read_back_the_dotenv() {
    let lab = Lab::new();
    rule_for_all(&lab);
    let plain = "TOKEN: glpat-canary_x.01.y\nURL: https://u:p@h:1/a,b%20c+d=e\nWORDS: \"a b # c $d\"\n";
    encrypted_by_sops(&lab, "secrets/x.sops.yaml", plain);
    let dotenv = |args: &[&str]| {
        let base = ["export", "-f", "secrets/x.sops.yaml", "--format", "dotenv", "--reveal"];
        lab.provision([&base, args].concat()).ok().out
    };
    lab.write("bare.env", &dotenv(&["--only", "TOKEN", "--only", "URL"]));
    lab.sops(["encrypt", "-i", "bare.env"]).ok();
    assert_eq!(lab.value("bare.env", "TOKEN"), "glpat-canary_x.01.y");
    assert_eq!(lab.value("bare.env", "URL"), "https://u:p@h:1/a,b%20c+d=e");
    let mut shell = Command::new("sh");
    shell.env_clear().args(["-c", "eval \"$1\"; printf %s \"$WORDS\"", "sh", &dotenv(&[])]);
    assert_eq!(String::from_utf8(shell.output().unwrap().stdout).unwrap(), "a b # c $d");
}

#[test]
fn export_shows_names_until_it_is_asked_for_values_and_needs_no_key_for_them() {
    let lab = Lab::new();
    encrypted_by_sops(&lab, "secrets/x.sops.yaml", FLAT);
    fs::remove_file(lab.home().join(".config/sops/age/keys.txt")).unwrap();
    let said = lab.provision(["export", "-f", "secrets/x.sops.yaml"]).ok();
    assert_eq!(said.out, "# TOKEN\n# PORT\n# RATIO\n# ON\n# EMPTY\n# CERT\n");
    assert!(said.err.contains("--reveal"));
    let json = lab.provision(["export", "-f", "secrets/x.sops.yaml", "--json"]).ok().out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["variables"][0], "TOKEN");
}

/// What `init` makes: environments of one template, whose values have the same names.
#[test]
fn two_environments_of_one_template_go_into_one_program() {
    let lab = Lab::new();
    lab.provision(["--env", "dev,qa", "--yes"]).ok();
    let both = |more: &[&str]| {
        let program = ["--", "sh", "-c", "printf %s \"$GITLAB_TOKEN|$QA_TOKEN|$GITLAB_HOST\""];
        lab.provision([&["exec", "--env", "dev,qa"], more, &program].concat())
    };
    both(&[]).refused(125, "--map QA_GITLAB_HOST=qa:GITLAB_HOST");
    both(&["--map", "QA_TOKEN=GITLAB_TOKEN"]).refused(125, "dev:GITLAB_TOKEN or qa:GITLAB_TOKEN");
    let value = |name: &str, key: &str| lab.value(&format!("secrets/{name}.sops.yaml"), key);
    let said = both(&["--only", "dev:", "--map", "QA_TOKEN=qa:GITLAB_TOKEN"]).ok();
    let expected =
        [value("dev", "GITLAB_TOKEN"), value("qa", "GITLAB_TOKEN"), value("dev", "GITLAB_HOST")].join("|");
    assert_eq!(said.out, expected);
    let by_file = both(&["--only", "dev:", "--map", "QA_TOKEN=secrets/qa.sops.yaml:GITLAB_TOKEN"]).ok();
    assert_eq!(by_file.out, expected);
}
