//! `provision show` on files that stock sops made.

use std::fs;

use crate::support::lab::Lab;

/// A file as stock sops encrypts it.
pub(crate) fn encrypted_by_sops(lab: &Lab, path: &str, plain: &str) {
    lab.write(path, plain);
    lab.sops(["encrypt", "-i", path]).ok();
}

const PLAIN: &str = "\
# of qa
host: https://gitlab.com # where
data:
    # the token
    token: glpat-canary
    port: 8080
    ratio: 1.5
    \"on\": true
    day: 2001-12-14
    none: null
    empty: \"\"
    cert: |
        -----BEGIN-----
        abc
        -----END-----
    # at the end of data
list:
    # in the list
    - one
    # before two
    - two: 2
      # inside
      three: \"3\"
open_unencrypted: visible
# last
";

#[test]
fn without_reveal_only_keys_are_shown_and_no_key_is_needed() {
    let lab = Lab::new();
    encrypted_by_sops(&lab, "secrets/x.sops.yaml", PLAIN);
    fs::remove_file(lab.home().join(".config/sops/age/keys.txt")).unwrap();
    let said = lab.provision(["show", "secrets/x.sops.yaml"]).ok();
    assert!(said.out.contains("[\"data\"][\"token\"]"), "{}", said.out);
    assert!(said.out.contains("encrypted int"));
    assert!(!said.out.contains("visible") && !said.out.contains("glpat"), "{}", said.out);
    assert!(said.err.contains("--reveal prints the values"));

    let json = lab.provision(["show", "secrets/x.sops.yaml", "--json"]).ok();
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["files"][0]["recipients"][0], lab.recipient);
    assert!(
        json["files"][0]["keys"].as_array().unwrap().iter().any(|key| key["path"] == "[\"data\"][\"port\"]"
            && key["encrypted"] == true
            && key["type"] == "int")
    );
}

#[test]
fn one_value_without_reveal_is_refused_with_the_way_out() {
    let lab = Lab::new();
    encrypted_by_sops(&lab, "secrets/x.sops.yaml", PLAIN);
    let said = lab.provision(["show", "secrets/x.sops.yaml", "data.token"]);
    assert_eq!(said.out, "");
    said.refused(2, "--reveal");
    lab.provision(["show", "secrets/x.sops.yaml", "nothing", "--reveal"]).refused(2, "there is no nothing");
    lab.provision(["show", "secrets/x.sops.yaml", "data", "--reveal"]).refused(2, "--json");
    lab.provision(["show", "secrets/none.yaml"]).refused(2, "cannot read secrets/none.yaml");
    lab.provision(["show"]).refused(2, "which file?");
    lab.provision(["show", "environments/qa.yaml"]).refused(1, "not encrypted with sops");
}

#[test]
fn one_value_is_its_bytes_as_stock_sops_extracts_them() {
    let lab = Lab::new();
    encrypted_by_sops(&lab, "secrets/x.sops.yaml", PLAIN);
    for (ours, path) in [
        ("data.token", "[\"data\"][\"token\"]"),
        ("[\"data\"][\"cert\"]", "[\"data\"][\"cert\"]"),
        ("open_unencrypted", "[\"open_unencrypted\"]"),
        ("data.empty", "[\"data\"][\"empty\"]"),
    ] {
        let said = lab.provision(["show", "secrets/x.sops.yaml", ours, "--reveal"]).ok();
        let stock = lab.sops(["decrypt", "--extract", path, "secrets/x.sops.yaml"]).ok();
        assert_eq!(said.out, stock.out, "{path}");
        assert_eq!(said.err, "");
    }
    let number = lab.provision(["show", "secrets/x.sops.yaml", "data.port", "--reveal"]).ok();
    assert_eq!(number.out, "8080");
    let truth = lab.provision(["show", "secrets/x.sops.yaml", "data.on", "--reveal"]).ok();
    assert_eq!(truth.out, "true");
}

#[test]
fn the_whole_document_is_what_stock_sops_decrypts() {
    let lab = Lab::new();
    encrypted_by_sops(&lab, "secrets/x.sops.yaml", PLAIN);
    let ours = lab.provision(["show", "secrets/x.sops.yaml", "--reveal"]).ok().out;
    let stock = lab.sops(["decrypt", "secrets/x.sops.yaml"]).ok().out;
    assert_eq!(ours, stock);
    let json = lab.provision(["show", "secrets/x.sops.yaml", "--reveal", "--json"]).ok().out;
    let stock = lab.sops(["decrypt", "--output-type", "json", "secrets/x.sops.yaml"]).ok().out;
    let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(read(&json), read(&stock));
}

#[test]
fn a_document_of_any_format_is_what_stock_sops_decrypts() {
    let lab = Lab::new();
    lab.write(".sops.yaml", &format!("creation_rules:\n  - age: {}\n", lab.recipient));
    for (name, plain) in [
        ("secrets/x.json", "{\n\t\"a\": {\n\t\t\"b\": \"x\\n\",\n\t\t\"n\": 1\n\t}\n}\n"),
        ("secrets/x.env", "A=one\n# note\nB=l1\\nl2\n"),
        ("secrets/x.ini", "[s]\n; note\na = one\n\n[t]\nb = `two;`\n"),
        ("secrets/x.yaml", "a: one\n---\n# note\nb: two\n"),
        ("secrets/key.pem", "-----BEGIN-----\nabc\n"),
    ] {
        encrypted_by_sops(&lab, name, plain);
        let said = lab.provision(["show", name, "--reveal"]).ok();
        assert_eq!((said.out.as_str(), said.err.as_str()), (plain, ""), "{name}");
        assert_eq!(lab.sops(["decrypt", name]).ok().out, plain, "{name}");
        let ours = lab.provision(["show", name, "--reveal", "--json"]).ok().out;
        let stock = lab.sops(["decrypt", "--output-type", "json", name]).ok().out;
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let mut stock = read(&stock);
        stock.as_object_mut().unwrap().retain(|key, _| key != "DEFAULT");
        // Of several documents it prints the first one.
        let ours = if plain.contains("---\n#") { read(&ours)[0].clone() } else { read(&ours) };
        assert_eq!(ours, stock, "{name}");
    }
}

#[test]
fn several_documents_are_told_apart() {
    let lab = Lab::new();
    encrypted_by_sops(&lab, "secrets/x.sops.yaml", "a: one\n---\na: two\nb: three\n");
    let json = |args: &[&str]| {
        let said = lab.provision([&["show", "secrets/x.sops.yaml", "--json"][..], args].concat()).ok();
        serde_json::from_str::<serde_json::Value>(&said.out).unwrap()
    };
    let keys = json(&[])["files"][0]["keys"].clone();
    let places: Vec<_> =
        keys.as_array().unwrap().iter().map(|key| (&key["document"], &key["path"])).collect();
    let place = |document: u32, path: &str| (document.into(), path.into());
    let wanted: [(serde_json::Value, serde_json::Value); 3] =
        [place(1, r#"["a"]"#), place(2, r#"["a"]"#), place(2, r#"["b"]"#)];
    assert_eq!(places, wanted.each_ref().map(|(document, path)| (document, path)));
    assert_eq!(json(&["--reveal"]), serde_json::json!([{"a": "one"}, {"a": "two", "b": "three"}]));
    assert_eq!(json(&["--reveal", "a"]), "one");
    lab.provision(["show", "secrets/x.sops.yaml", "b", "--reveal"]).refused(2, "there is no b");
    encrypted_by_sops(&lab, "secrets/y.sops.yaml", "a: one\n");
    let said = lab.provision(["show", "secrets/y.sops.yaml", "--json"]).ok();
    assert!(!said.out.contains("document"), "{}", said.out);
}

#[test]
fn a_changed_file_shows_nothing() {
    let lab = Lab::new();
    encrypted_by_sops(&lab, "secrets/x.sops.yaml", PLAIN);
    let tampered = lab.read("secrets/x.sops.yaml").replace("visible", "changed");
    lab.write("secrets/x.sops.yaml", &tampered);
    for path in ["open_unencrypted", "data.token"] {
        let said = lab.provision(["show", "secrets/x.sops.yaml", path, "--reveal"]);
        assert_eq!(said.out, "");
        said.refused(5, "MAC");
    }
}

#[test]
fn a_file_for_others_says_who_can_read_it() {
    let lab = Lab::new();
    encrypted_by_sops(&lab, "secrets/x.sops.yaml", PLAIN);
    fs::remove_file(lab.home().join(".config/sops/age/keys.txt")).unwrap();
    let said = lab.provision(["show", "secrets/x.sops.yaml", "--reveal"]);
    assert_eq!(said.out, "");
    let recipient = &lab.recipient;
    said.refused(7, &format!("it is for {}…{}", &recipient[..12], &recipient[recipient.len() - 8..]));
}

#[test]
fn an_environment_stands_for_its_file_and_a_personal_one_for_the_readers_own() {
    let lab = Lab::new();
    lab.provision(["--env", "qa", "--yes"]).ok();
    let said = lab.provision(["show", "--env", "qa", "GITLAB_TOKEN", "--reveal"]).ok();
    assert_eq!(said.out, lab.value("secrets/qa.sops.yaml", "GITLAB_TOKEN"));
    lab.provision(["show", "--env", "devmode"]).refused(2, "no secrets file yet");

    lab.provision_as_admin(["--env", "devmode", "--yes"]).ok();
    let (_, other) = provision::sops::generate_identity();
    let strangers = lab.read("secrets/devmode/root.sops.yaml").replace(&lab.recipient, &other.to_string());
    lab.write("secrets/devmode/zoe.sops.yaml", &strangers);
    let said = lab.provision(["show", "--env", "devmode", "GITLAB_TOKEN", "--reveal"]).ok();
    assert!(said.out.starts_with("glpat-"));
    lab.provision(["show", "--env", "qa", "a", "b"]).refused(2, "--env and FILE");
}

#[test]
fn what_was_shown_is_nowhere_on_disk() {
    let lab = Lab::new();
    encrypted_by_sops(&lab, "secrets/x.sops.yaml", PLAIN);
    for args in [
        &["show", "secrets/x.sops.yaml", "--reveal"][..],
        &["show", "secrets/x.sops.yaml", "data.token", "--reveal"],
        &["diff", "--textconv", "secrets/x.sops.yaml", "--reveal"],
    ] {
        assert!(lab.provision(args).ok().out.contains("glpat-canary"));
    }
    let mut folders = vec![lab.everything().to_owned()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(bytes) = fs::read(&path) {
                files += 1;
                assert!(!bytes.windows(12).any(|window| window == b"glpat-canary"), "{}", path.display());
            }
        }
    }
    assert!(files > 10);
}
