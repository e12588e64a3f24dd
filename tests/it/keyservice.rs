//! Keys that a key service works with, and a key service of ours, between the program and the stock sops.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::support::gnupg::GnuPg;
use crate::support::http::Answering;
use crate::support::lab::{Lab, Said, said};
use crate::support::sops;

const FILE: &str = "secrets/x.sops.yaml";

/// A repository with a policy of these lines, and a secrets file that the stock sops has encrypted under it.
fn lab(rule: &str, environment: &[(&str, &str)]) -> Lab {
    let lab = Lab::bare(None);
    policy(&lab, &rule.replace("AGE", &format!("'{}'", lab.recipient)));
    lab.write(FILE, "a: one\nb: 2\n");
    stock(&lab, environment, &["encrypt", "-i", FILE]).ok();
    lab.commit_all("base");
    lab
}

fn policy(lab: &Lab, rule: &str) {
    lab.write(".sops.yaml", &format!("creation_rules:\n- path_regex: ^secrets/\n  {rule}\n"));
}

/// The stock sops without an age key, and with these variables.
fn stock(lab: &Lab, environment: &[(&str, &str)], args: &[&str]) -> Said {
    let mut command = sops::command();
    command.env("HOME", "/nonexistent").envs(environment.iter().copied()).current_dir(lab.repo()).args(args);
    said(&mut command)
}

/// The program with the stock sops on its PATH; with the lab's age key, or without any.
fn ours(lab: &Lab, with_key: bool, environment: &[(&str, &str)], args: &[&str]) -> Said {
    let mut command = lab.command(args);
    command.env("PATH", path_with_sops(lab)).envs(environment.iter().copied());
    if !with_key {
        command.env("XDG_CONFIG_HOME", "/nonexistent");
    }
    said(&mut command)
}

fn path_with_sops(lab: &Lab) -> std::ffi::OsString {
    let bin = lab.home().join("bin");
    if !bin.exists() {
        fs::create_dir_all(&bin).unwrap();
        std::os::unix::fs::symlink(sops::binary(), bin.join("sops")).unwrap();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths([bin].into_iter().chain(std::env::split_paths(&path))).unwrap()
}

fn rekey(lab: &Lab, environment: &[(&str, &str)], rule: &str) {
    policy(lab, rule);
    lab.commit_all("policy");
    ours(lab, true, environment, &["rekey", "--yes", "--quiet"]).ok();
}

#[test]
fn a_pgp_key_beside_age_is_added_read_and_renewed() {
    let gpg = GnuPg::new();
    let environment = [("GNUPGHOME", gpg.home())];
    let lab = lab("age: [AGE]", &[]);
    let age = lab.recipient.clone();
    assert!(lab.read(FILE).contains(&age));
    rekey(&lab, &environment, &format!("age: ['{age}']\n  pgp: {}", gpg.fingerprint));
    let added = lab.read(FILE);
    assert!(
        added.contains(&format!("fp: {}", gpg.fingerprint)) && added.contains("BEGIN PGP MESSAGE"),
        "{added}"
    );
    // Each of the two keys alone opens it, on either side.
    assert_eq!(stock(&lab, &environment, &["decrypt", "--extract", "[\"a\"]", FILE]).ok().out, "one");
    assert_eq!(lab.value(FILE, "a"), "one");
    assert_eq!(ours(&lab, false, &environment, &["show", FILE, "a", "--reveal"]).ok().out.trim(), "one");
    // What the stock sops sets with the PGP key we read; it finds nothing to update.
    stock(&lab, &environment, &["set", FILE, "[\"a\"]", "\"two\""]).ok();
    let before = lab.read(FILE);
    stock(&lab, &environment, &["updatekeys", "-y", FILE]).ok();
    assert_eq!(lab.read(FILE), before);
    lab.commit_all("set");
    // Whoever goes takes the data key along, so the PGP key gets the new one.
    rekey(&lab, &environment, &format!("pgp: {}", gpg.fingerprint));
    let alone = lab.read(FILE);
    assert!(!alone.contains(&age) && !alone.contains("age:"), "{alone}");
    assert_eq!(stock(&lab, &environment, &["decrypt", "--extract", "[\"a\"]", FILE]).ok().out, "two");
    // And back, in one step: the PGP key is asked for as the version of the policy before has it.
    rekey(&lab, &environment, &format!("age: ['{age}']"));
    assert_eq!(lab.value(FILE, "a"), "two");
    assert!(!lab.read(FILE).contains(&gpg.fingerprint));
}

#[test]
fn a_group_of_age_and_one_of_pgp_open_a_file_together() {
    let gpg = GnuPg::new();
    let environment = [("GNUPGHOME", gpg.home())];
    let lab = lab("age: [AGE]", &[]);
    let rule = format!("key_groups: [{{age: ['{}']}}, {{pgp: ['{}']}}]", lab.recipient, gpg.fingerprint);
    rekey(&lab, &environment, &rule);
    let shown = |with_key, environment: &[(&str, &str)]| {
        ours(&lab, with_key, environment, &["show", FILE, "a", "--reveal"])
    };
    assert_eq!(shown(true, &environment).ok().out.trim(), "one");
    shown(false, &environment).refused(7, "2 of 2 groups of keys, of which 1 opened");
    stock(&lab, &environment, &["decrypt", FILE]).refused(128, "");
    let mut both = sops::command();
    both.envs(environment)
        .env("SOPS_AGE_KEY", lab.identity())
        .current_dir(lab.repo())
        .args(["decrypt", FILE]);
    assert!(said(&mut both).ok().out.contains("a: one"));
}

#[test]
fn a_vault_is_asked_through_the_key_service_and_only_where_the_policy_names_it() {
    let vault = Answering::vault();
    let environment = [("VAULT_TOKEN", "root"), ("VAULT_ADDR", vault.url())];
    let key = format!("{}/v1/transit/keys/k", vault.url());
    let lab = lab("age: [AGE]", &[]);
    let both = format!("age: ['{}']\n  hc_vault_transit_uri: [{key}]", lab.recipient);
    rekey(&lab, &environment, &both);
    assert_eq!(vault.seen(), ["PUT /v1/transit/encrypt/k"]);
    assert_eq!(stock(&lab, &environment, &["decrypt", "--extract", "[\"a\"]", FILE]).ok().out, "one");
    assert_eq!(vault.seen(), ["PUT /v1/transit/decrypt/k"]);
    assert_eq!(ours(&lab, false, &environment, &["show", FILE, "a", "--reveal"]).ok().out.trim(), "one");
    assert_eq!(vault.seen(), ["PUT /v1/transit/decrypt/k"]);
    // Who moves away from it does that in one step, with nothing but the key that goes.
    let eva = provision::sops::generate_identity().1;
    policy(&lab, &format!("age: ['{eva}']"));
    lab.commit_all("policy");
    policy(&lab, &format!("age: ['{eva}'] # Eva"));
    lab.commit_all("and a name");
    ours(&lab, false, &environment, &["rekey", "--yes"]).ok();
    assert_eq!(vault.seen(), ["PUT /v1/transit/decrypt/k"]);
    assert!(lab.read(FILE).contains(eva.as_str()) && !lab.read(FILE).contains("hc_vault"));
}

/// Whoever can write a file can put any address into it.
#[test]
fn a_vault_that_stands_in_a_file_alone_is_never_contacted() {
    let (vault, attacker) = (Answering::vault(), Answering::vault());
    let environment = [("VAULT_TOKEN", "root"), ("VAULT_ADDR", vault.url())];
    let lab = lab("age: [AGE]", &[]);
    let rule =
        format!("age: ['{}']\n  hc_vault_transit_uri: [{}/v1/transit/keys/k]", lab.recipient, vault.url());
    rekey(&lab, &environment, &rule);
    lab.write(FILE, &lab.read(FILE).replace(vault.url(), attacker.url()));
    lab.commit_all("an address of the attacker's");
    vault.seen();
    let commands: [&[&str]; 12] = [
        &["show", FILE, "--reveal"],
        &["exec", "--file", FILE, "--", "true"],
        &["export", "--file", FILE],
        &["check"],
        &["doctor"],
        &["status"],
        &["keys", "list"],
        &["keys", "who", FILE],
        &["keyservice", "--", "sops", "decrypt", FILE],
        &["keyservice", "--", "sops", "rotate", "-i", FILE],
        &["rekey", "--check"],
        &["rekey", "--yes"],
    ];
    for with_key in [false, true] {
        for args in commands {
            ours(&lab, with_key, &environment, args);
            assert_eq!(attacker.seen(), [""; 0], "{args:?}");
        }
    }
    assert_eq!(vault.seen(), ["PUT /v1/transit/encrypt/k"], "the rekey with the age key");
    assert!(!lab.read(FILE).contains(attacker.url()));
}

#[test]
fn aws_is_asked_through_the_key_service() {
    let aws = Answering::kms();
    let environment = [
        ("AWS_ENDPOINT_URL", aws.url()),
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "b"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    let lab = lab("age: [AGE]", &[]);
    let arn = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    rekey(&lab, &environment, &format!("age: ['{}']\n  kms: {arn}", lab.recipient));
    assert_eq!(aws.seen(), ["TrentService.Encrypt"]);
    assert_eq!(ours(&lab, false, &environment, &["show", FILE, "a", "--reveal"]).ok().out.trim(), "one");
    assert_eq!(aws.seen(), ["TrentService.Decrypt"]);
    assert_eq!(stock(&lab, &environment, &["decrypt", "--extract", "[\"a\"]", FILE]).ok().out, "one");
}

#[test]
fn the_program_that_is_missing_the_key_and_the_file_are_named() {
    let gpg = GnuPg::new();
    let environment = [("GNUPGHOME", gpg.home())];
    let lab = lab("age: [AGE]", &[]);
    rekey(&lab, &environment, &format!("age: ['{}']\n  pgp: {} # Ben", lab.recipient, gpg.fingerprint));
    let mut command = lab.command(["show", FILE, "a", "--reveal"]);
    command.env("PATH", "/nonexistent").env("XDG_CONFIG_HOME", "/nonexistent").envs(environment);
    let said = said(&mut command).refused(7, "the program sops is not on the PATH");
    assert!(said.err.contains("secrets/x.sops.yaml cannot be opened"), "{}", said.err);
    assert!(said.err.contains("Ben (pgp "), "{}", said.err);
    assert!(said.err.contains("install sops"), "{}", said.err);
}

/// A program that prints the lab's key, and a line into a file for each time that it does.
fn key_command(lab: &Lab) -> String {
    let program = lab.home().join("key");
    let text =
        format!("#!/bin/sh\necho x >>{}\necho {}\n", lab.home().join("calls").display(), lab.identity());
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program.display().to_string()
}

fn calls(home: &Path) -> usize {
    fs::read_to_string(home.join("calls")).map_or(0, |text| text.lines().count())
}

#[test]
fn every_command_of_the_stock_sops_uses_the_identity_that_is_unlocked_once() {
    let lab = lab("age: [AGE]", &[]);
    let (command, home) = (key_command(&lab), lab.home());
    let editor = home.join("editor");
    fs::write(&editor, "#!/bin/sh\nsed -i 's/one/edited/' \"$1\"\n").unwrap();
    fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).unwrap();
    let script = format!(
        "set -e; sops decrypt {FILE}; sops edit {FILE}; sops set {FILE} '[\"b\"]' '\"new\"'; sops rotate -i {FILE}; \
         sops updatekeys -y {FILE}; sops decrypt --extract '[\"b\"]' {FILE}; echo; echo $SOPS_KEYSERVICE >&2; exit 7"
    );
    let environment = [
        ("SOPS_AGE_KEY_CMD", command.as_str()),
        ("EDITOR", editor.to_str().unwrap()),
        ("HOME", "/nonexistent"),
        ("SOPS_DISABLE_VERSION_CHECK", "1"),
    ];
    let said = ours(&lab, false, &environment, &["keyservice", "--", "sh", "-c", &script]);
    assert_eq!(said.status, 7, "{}{}", said.out, said.err);
    assert!(said.out.starts_with("a: one\n") && said.out.trim_end().ends_with("new"), "{}", said.out);
    assert_eq!(calls(&home), 1);
    assert_eq!(lab.value(FILE, "a"), "edited");
    let socket = said.err.lines().last().unwrap().strip_prefix("unix://").unwrap().to_owned();
    assert!(!Path::new(&socket).exists() && !Path::new(&socket).parent().unwrap().exists());
}

#[test]
fn the_socket_is_in_a_folder_that_nobody_else_can_enter() {
    let lab = lab("age: [AGE]", &[]);
    let script = "stat -c %a \"$(dirname \"${SOPS_KEYSERVICE#unix://}\")\"";
    assert_eq!(ours(&lab, true, &[], &["keyservice", "--", "sh", "-c", script]).ok().out, "700\n");
}

#[test]
fn the_command_inherits_neither_the_identity_nor_the_operators_token() {
    let lab = Lab::new();
    let mut command = lab.command(["keyservice", "--", "env"]);
    let said = said(command.env("SOPS_AGE_KEY", lab.identity())).ok();
    assert!(said.out.contains("SOPS_KEYSERVICE="), "{}", said.out);
    for name in ["SOPS_AGE", "GITLAB_TOKEN"] {
        assert!(!said.out.contains(name), "{name} is there");
    }
}

#[test]
fn what_the_command_ends_with_is_what_we_end_with() {
    let lab = lab("age: [AGE]", &[]);
    let run = |args: &[&str]| ours(&lab, true, &[], args);
    assert_eq!(run(&["keyservice", "--", "sh", "-c", "exit 42"]).status, 42);
    assert_eq!(run(&["keyservice", "--", "sh", "-c", "kill -9 $$"]).status, 137);
    assert_eq!(run(&["keyservice", "--", "no-such-program"]).status, 127);
}

/// What is asked of us for a key that we do not have is refused, and sops says so.
#[test]
fn a_file_for_somebody_else_stays_closed() {
    let lab = lab("age: [AGE]", &[]);
    let (identity, _) = provision::sops::generate_identity();
    let environment = [("SOPS_AGE_KEY", identity.expose()), ("SOPS_DISABLE_VERSION_CHECK", "1")];
    let said = ours(&lab, false, &environment, &["keyservice", "--", "sops", "decrypt", FILE]);
    assert_eq!(said.status, 128, "{}", said.err);
    assert!(said.err.contains("provision has no identity"), "{}", said.err);
}

/// The service that we start ends with us, also where a program takes our place: it is started through a program of ours
/// that holds a pipe open for as long as it runs, and the end of that pipe is waited for.
#[test]
fn no_key_service_is_left_behind() {
    let gpg = GnuPg::new();
    let environment = [("GNUPGHOME", gpg.home()), ("TMPDIR", gpg.home())];
    let lab = lab("age: [AGE]", &[]);
    rekey(&lab, &environment, &format!("age: ['{}']\n  pgp: {}", lab.recipient, gpg.fingerprint));
    let (bin, pipe) = (lab.home().join("held"), lab.home().join("pipe"));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    fs::create_dir(&bin).unwrap();
    let held =
        format!("#!/bin/sh\nexec 9>'{}'\nexec '{}' \"$@\"\n", pipe.display(), sops::binary().display());
    fs::write(bin.join("sops"), held).unwrap();
    fs::set_permissions(bin.join("sops"), fs::Permissions::from_mode(0o755)).unwrap();
    let path =
        std::env::join_paths([bin].into_iter().chain(std::env::split_paths(&path_with_sops(&lab)))).unwrap();
    let end = std::thread::spawn(move || fs::read(pipe).unwrap());
    let mut command = lab.command(["exec", "--file", FILE, "--", "sh", "-c", "echo \"$a\""]);
    command.env("PATH", path).env("XDG_CONFIG_HOME", "/nonexistent").envs(environment);
    assert_eq!(said(&mut command).ok().out, "one\n");
    assert_eq!(end.join().unwrap(), b"");
    let left = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with("provision-");
    assert!(!fs::read_dir(gpg.home()).unwrap().flatten().any(|entry| left(&entry)));
}
