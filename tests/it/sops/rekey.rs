//! Rekeyed files in the hands of the stock sops: who reads them, and what they hold.

use provision::sops::{Encrypted, Format, Identities, Recipient, RekeyError, Rekeyed, Rule, SealError};

use super::workshop::{Workshop, diff, now, path, secret};
use crate::support::guest::guest;

const DOCUMENT: &str =
    "# word\na: one\nb: 2\nf: 1.5\nlist:\n  - p\n  - q: true # inner\nd: 2001-12-14\nm_unencrypted: clear\n";

fn bytes(rekeyed: &Rekeyed) -> String {
    String::from_utf8(rekeyed.sealed.bytes().to_vec()).unwrap()
}

fn rekey(shop: &Workshop, text: &str, rule: &Rule) -> String {
    bytes(&shop.open(text).rekey(rule, now(), &[]).unwrap())
}

/// What the stock sops decrypts with only this key.
fn read_as(shop: &Workshop, text: &str, private: &str) -> Option<String> {
    shop.write("file.yaml", text);
    let output = crate::support::sops::command()
        .env("HOME", "/nonexistent")
        .env("SOPS_AGE_KEY", private)
        .args(["decrypt", "--input-type", "yaml", "--output-type", "yaml", "/dev/stdin"])
        .stdin(std::fs::File::open(shop.file("file.yaml")).unwrap())
        .output()
        .unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_reader_who_is_added_reads_with_the_stock_sops_and_only_lines_are_added() {
    let (shop, ben) = (Workshop::new(), guest());
    shop.rule("");
    for before in [shop.encrypt(DOCUMENT), Workshop::seal(DOCUMENT, &shop.rule(""))] {
        let had = Encrypted::parse(Format::Yaml, before.as_bytes()).unwrap();
        let readers = had.recipients().into_iter().cloned().chain([ben.recipient.clone()]);
        let after = rekey(&shop, &before, &Rule::own(readers));
        assert!(diff(&before, &after).iter().all(|line| line.starts_with('+')));
        assert!(read_as(&shop, &before, &ben.private).is_none());
        assert_eq!(
            read_as(&shop, &after, &ben.private).unwrap(),
            shop.sops(&["decrypt", "file.yaml"]).stdout
        );
    }
}

#[test]
fn a_reader_who_goes_reads_nothing_more_and_the_values_stay() {
    let (shop, ben) = (Workshop::new(), guest());
    shop.rule("");
    let both = Rule::own([ben.recipient.clone(), shop.recipient.clone()]);
    let only = Rule::own([shop.recipient.clone()]);
    for start in [shop.encrypt(DOCUMENT), Workshop::seal(DOCUMENT, &both)] {
        let before = rekey(&shop, &start, &both);
        let values = read_as(&shop, &before, &ben.private).unwrap();
        let after = rekey(&shop, &before, &only);
        assert!(read_as(&shop, &after, &ben.private).is_none());
        shop.write("file.yaml", &after);
        let ours = shop.sops(&["decrypt", "file.yaml"]);
        assert_eq!((ours.stdout, ours.stderr.as_str()), (values, ""));
        // Nothing that was encrypted stands there as it was.
        let kept = |line: &&str| line.contains("ENC[") && before.contains(*line);
        assert_eq!(after.lines().filter(kept).count(), 0, "{after}");
        // Whatever the stock sops does next, it can.
        shop.sops(&["set", "file.yaml", "[\"a\"]", "\"two\""]);
        shop.sops(&["rotate", "-i", "file.yaml"]);
        let end = shop.open(&shop.read("file.yaml"));
        assert_eq!(end.get(&path(r#"["a"]"#)).unwrap().unwrap().expose(), "two");
    }
}

/// He kept what the file was encrypted with: his entry of the old file, put into the new one, opens nothing.
#[test]
fn the_old_data_key_opens_nothing_new() {
    let (shop, ben) = (Workshop::new(), guest());
    let both = Rule::own([shop.recipient.clone(), ben.recipient.clone()]);
    let before = Workshop::seal(DOCUMENT, &both);
    let after = rekey(&shop, &before, &Rule::own([shop.recipient.clone()]));
    let entry = |text: &str| {
        let start = text.find("    age:\n").unwrap();
        start..text.find("    lastmodified").unwrap()
    };
    let mut forged = after.clone();
    forged.replace_range(entry(&after), &before[entry(&before)]);
    assert!(read_as(&shop, &before, &ben.private).is_some());
    assert!(read_as(&shop, &forged, &ben.private).is_none());
    let identities = Identities::parse([("ben", secret(&ben.private))]).unwrap();
    assert!(Encrypted::parse(Format::Yaml, forged.as_bytes()).unwrap().open(&identities).is_err());
}

#[test]
fn changed_rules_end_where_the_stock_sops_would_encrypt_anew() {
    let shop = Workshop::new();
    let document =
        "# top\nkind: Secret\ndata:\n  # inner\n  a: one\n  n: 5\n  f: 2.0\nmeta_unencrypted:\n  x: y\n";
    let rules = [
        "",
        "encrypted_regex: ^data$",
        "unencrypted_regex: ^(kind|meta)",
        "encrypted_suffix: data",
        "unencrypted_suffix: ind",
        "mac_only_encrypted: true",
        "encrypted_regex: '^\\w+$'\n    mac_only_encrypted: true",
    ];
    for from in rules {
        shop.rule(from);
        let before = shop.encrypt(document);
        for to in rules {
            let rule = shop.rule(to);
            let after = rekey(&shop, &before, &rule);
            shop.write("file.yaml", &after);
            let decrypted = shop.sops(&["decrypt", "file.yaml"]);
            assert_eq!(decrypted.stderr, "", "{from} -> {to}");
            shop.write("theirs.yaml", &shop.encrypt(document));
            assert_eq!(decrypted.stdout, shop.sops(&["decrypt", "theirs.yaml"]).stdout, "{from} -> {to}");
            let marks = |text: &str| {
                let body = text.split("\nsops:").next().unwrap();
                body.lines().map(|line| line.contains("ENC[")).collect::<Vec<_>>()
            };
            assert_eq!(marks(&after), marks(&shop.read("theirs.yaml")), "{from} -> {to}\n{after}");
        }
    }
}

/// The stock sops hands the new data key to whoever put himself into the file; we put him out.
#[test]
fn a_recipient_that_was_put_in_is_put_out() {
    let (shop, eve) = (Workshop::new(), guest());
    let rule = shop.rule("");
    let good = shop.encrypt(DOCUMENT);
    let entry = format!("    age:\n        - recipient: {}\n          enc: x\n", eve.recipient);
    let bad = good.replacen("    age:\n", &entry, 1);
    shop.write("theirs.yaml", &bad);
    shop.sops(&["rotate", "-i", "theirs.yaml"]);
    assert!(read_as(&shop, &shop.read("theirs.yaml"), &eve.private).is_some());
    let after = rekey(&shop, &bad, &rule);
    assert!(read_as(&shop, &after, &eve.private).is_none());
    assert_eq!(shop.decrypt(&after)["a"], "one");
}

#[test]
fn a_file_that_was_tampered_with_is_never_rekeyed() {
    let shop = Workshop::new();
    shop.rule("");
    let bad = shop.encrypt(DOCUMENT).replace("m_unencrypted: clear", "m_unencrypted: other");
    assert!(Encrypted::parse(Format::Yaml, bad.as_bytes()).unwrap().open(&shop.identities()).is_err());
}

#[test]
fn a_key_of_another_type_stays_or_the_rekey_is_refused_by_name() {
    let (shop, ben) = (Workshop::new(), guest());
    let rule = shop.rule("");
    let pgp =
        "    pgp:\n        - created_at: \"2020-01-01T00:00:00Z\"\n          enc: x\n          fp: ABCD\n";
    let before = shop.encrypt(DOCUMENT).replacen("    lastmodified", &format!("{pgp}    lastmodified"), 1);
    let policy = |people: &[&Recipient]| {
        let people: Vec<&str> = people.iter().map(|one| one.as_str()).collect();
        let text = format!("creation_rules:\n- age: {}\n  pgp: abcd\n", people.join(","));
        provision::sops::Policy::parse(&text).unwrap().rule_for("x").unwrap().clone()
    };
    let mut people: Vec<&Recipient> = rule.recipients().iter().collect();
    let less = policy(&people[..1]);
    people.push(&ben.recipient);
    let after = rekey(&shop, &before, &policy(&people));
    assert!(after.contains(pgp) && read_as(&shop, &after, &ben.private).is_some());
    // Alone there is no key service.
    let error = shop.open(&before).rekey(&less, now(), &[]).unwrap_err();
    assert!(matches!(&error, RekeyError::Seal(SealError::Wrap { recipient, .. }) if recipient == "pgp abcd"));
}

/// From the policy to the file: who comes is added to both, who goes is taken out of both, and the stock sops agrees
/// that nothing is left to do.
#[test]
fn an_edited_policy_and_the_rekeyed_file_agree_in_the_stock_sops() {
    use provision::sops::{Policy, PolicyEdit};
    let (shop, ben) = (Workshop::new(), guest());
    let text = format!(
        "keys:\n  - &ana {}\ncreation_rules:\n  - path_regex: file # all\n    age:\n      - *ana\n",
        shop.recipient
    );
    let before = Workshop::seal(DOCUMENT, &Rule::own([shop.recipient.clone()]));
    let rules = vec![Policy::parse(&text).unwrap().rule_for("file.yaml").unwrap().position().unwrap()];
    let add = PolicyEdit::Add {
        recipient: ben.recipient.clone(),
        name: Some("ben".to_owned()),
        rules,
        group: None,
    };
    let more = add.apply(&text).unwrap();
    let less = PolicyEdit::Remove { recipient: ben.recipient.clone() }.apply(&more).unwrap();
    assert_eq!(less, text);
    let mut file = before;
    for (policy, reads) in [(more, true), (less, false)] {
        let rule = Policy::parse(&policy).unwrap().rule_for("file.yaml").unwrap().clone();
        file = rekey(&shop, &file, &rule);
        assert_eq!(read_as(&shop, &file, &ben.private).is_some(), reads);
        shop.write(".sops.yaml", &policy);
        let said = shop.sops(&["updatekeys", "-y", "file.yaml"]);
        assert!(said.stderr.contains("already up to date"), "{}", said.stderr);
        assert_eq!(shop.read("file.yaml"), file);
    }
}
