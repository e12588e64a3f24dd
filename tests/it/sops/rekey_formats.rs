//! Rekeyed files of every format in the hands of the stock sops.

use age::secrecy::ExposeSecret as _;
use provision::sops::{Encrypted, Format, Recipient, Rule};

use super::workshop::{Workshop, diff, now};

struct Case {
    format: Format,
    ending: &'static str,
    text: &'static str,
}

const CASES: [Case; 5] = [
    Case {
        format: Format::Json,
        ending: "json",
        text: "{\n  \"a\": \"x<y>\",\n  \"data\": {\"b\": [1.50, true, null, -0, 1e3], \"c\": \"\"},\n  \"m_unencrypted\": [\"&<\", 2.50, false, 12],\n  \"kind\": \"k\"\n}\n",
    },
    Case {
        format: Format::Dotenv,
        ending: "env",
        text: "# Credentials\nkind=k\ndata=one\\ntwo\nEMPTY=\n# second\nm_unencrypted='p'\nTOKEN=old\n",
    },
    Case {
        format: Format::Ini,
        ending: "ini",
        text: "; top\nkind = k\n\n# two\n; lines\n[data]\na=\"x\"\nb : `t#t`\n\n; clear\n[m_unencrypted]\nq=1\n[tokens]\ntoken = old\nnothing =\n",
    },
    Case { format: Format::Binary, ending: "pem", text: "-----BEGIN\r\n\tkey = {}\n\n" },
    Case {
        format: Format::Yaml,
        ending: "yaml",
        text: "# top\na: x\nm_unencrypted: 1\n---\n# note\ndata:\n    # inner\n    n: 5\nlist:\n    - b: z\n      c_unencrypted: w\n---\nkind: third\n",
    },
];

/// Somebody whose identity the test has.
struct Guest {
    private: String,
    recipient: Recipient,
}

fn guest() -> Guest {
    let key = age::x25519::Identity::generate();
    let private = key.to_string().expose_secret().to_owned();
    Guest { private, recipient: key.to_public().to_string().parse().unwrap() }
}

impl Case {
    fn file(&self, stem: &str) -> String {
        format!("{stem}.{}", self.ending)
    }

    /// As the stock sops encrypts it under the policy in the directory.
    fn theirs(&self, shop: &Workshop) -> String {
        shop.write(&self.file("plain"), self.text);
        shop.sops(&["encrypt", &self.file("plain")]).stdout
    }

    /// As the stock sops decrypts it, without a word of warning.
    fn decrypted(&self, shop: &Workshop, text: &str) -> String {
        shop.write(&self.file("file"), text);
        let decrypted = shop.sops(&["decrypt", &self.file("file")]);
        assert_eq!(decrypted.stderr, "", "{text}");
        decrypted.stdout
    }

    fn opens_for(&self, shop: &Workshop, text: &str, private: &str) -> bool {
        shop.write(&self.file("file"), text);
        let output = crate::support::sops::command()
            .env("HOME", "/nonexistent")
            .env("SOPS_AGE_KEY", private)
            .args(["decrypt".as_ref(), shop.file(&self.file("file")).as_os_str()])
            .output()
            .unwrap();
        output.status.success()
    }

    fn rekey(&self, shop: &Workshop, text: &str, rule: &Rule) -> String {
        let rekeyed = shop.open_as(self.format, text).rekey(rule, now(), &[]).unwrap();
        let text = String::from_utf8(rekeyed.sealed.bytes().to_vec()).unwrap();
        let again = Encrypted::parse(self.format, text.as_bytes()).unwrap();
        assert!(again.rekey_plan(rule).unwrap().is_empty());
        text
    }

    /// Which lines before the metadata are encrypted.
    fn marks(text: &str) -> Vec<bool> {
        let metadata = ["\nsops_", "\n[sops]", "\"sops\":"];
        let end = metadata.iter().filter_map(|start| text.find(start)).min().unwrap();
        text[..end].lines().map(|line| line.contains("ENC[")).collect()
    }
}

#[test]
fn a_reader_who_is_added_reads_and_nothing_but_his_lines_is_new() {
    for case in CASES {
        let (shop, ben) = (Workshop::new(), guest());
        let rule = shop.rule("");
        let before = case.theirs(&shop);
        let readers = rule.recipients().iter().cloned().chain([ben.recipient.clone()]);
        let after = case.rekey(&shop, &before, &Rule::own(readers));
        let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
        let changed = diff(&before, &after);
        assert!(new.len() > old.len());
        assert_eq!(changed.iter().filter(|line| line.starts_with('-')).count(), 0, "{changed:#?}");
        assert!(!case.opens_for(&shop, &before, &ben.private));
        assert!(case.opens_for(&shop, &after, &ben.private), "{after}");
        assert_eq!(case.decrypted(&shop, &before), case.decrypted(&shop, &after));
        // The stock sops goes on from there.
        shop.write(&case.file("file"), &after);
        shop.sops(&["rotate", "-i", &case.file("file")]);
        shop.open_as(case.format, &shop.read(&case.file("file")));
    }
}

#[test]
fn a_reader_who_goes_reads_nothing_and_his_old_data_key_opens_nothing() {
    for case in CASES {
        let (shop, ben) = (Workshop::new(), guest());
        let rule = shop.rule("");
        // He stands first, in the middle and last.
        for at in 0..=rule.recipients().len() {
            let mut with = rule.recipients().to_vec();
            with.insert(at, ben.recipient.clone());
            let list: Vec<&str> = with.iter().map(Recipient::as_str).collect();
            shop.write(".sops.yaml", &format!("creation_rules:\n  - age: {}\n", list.join(",")));
            let before = case.theirs(&shop);
            let values = case.decrypted(&shop, &before);
            let after = case.rekey(&shop, &before, &rule);
            assert!(!after.contains(ben.recipient.as_str()));
            assert!(!case.opens_for(&shop, &after, &ben.private));
            assert_eq!(case.decrypted(&shop, &after), values);
            let is_kept = |line: &&str| line.contains("ENC[") && before.contains(*line);
            assert_eq!(after.lines().filter(is_kept).count(), 0, "{after}");
            // The entries that wrap the old data key, put back, open nothing.
            let old = shop.open_as(case.format, &before);
            let file = Encrypted::parse(case.format, after.as_bytes()).unwrap();
            let mut forged = after.clone();
            for recipient in rule.recipients() {
                let enc = |text: &str| entry(text, recipient.as_str());
                forged = forged.replace(&enc(&forged), &enc(&before));
            }
            assert_ne!(forged, after);
            let identities = shop.identities();
            let forged = Encrypted::parse(case.format, forged.as_bytes());
            assert!(forged.is_ok_and(|forged| forged.open(&identities).is_err()), "{after}");
            assert_eq!(old.file().leaf_paths().len(), file.leaf_paths().len());
            // Whatever the stock sops does next, it can.
            shop.rule("");
            shop.write(&case.file("file"), &after);
            assert!(
                shop.sops(&["updatekeys", "-y", &case.file("file")]).stderr.contains("already up to date")
            );
            shop.sops(&["rotate", "-i", &case.file("file")]);
        }
    }
}

/// What wraps the data key for somebody: an armor without its last line.
fn entry(text: &str, recipient: &str) -> String {
    let line = text.lines().find(|line| line.contains(recipient)).unwrap();
    let from = match line.split_once("__map_recipient") {
        Some((key, _)) => text.find(&format!("{key}__map_enc")),
        None => text.find(recipient),
    };
    let start = from.unwrap() + text[from.unwrap()..].find("-----BEGIN AGE").unwrap();
    let end = start + text[start..].find("-----END AGE").unwrap();
    text[start..end].to_owned()
}

#[test]
fn changed_rules_end_where_the_stock_sops_would_encrypt_anew() {
    let rules = [
        "",
        "encrypted_regex: ^data$",
        "unencrypted_regex: ^(kind|m_)",
        "encrypted_suffix: ata",
        "mac_only_encrypted: true",
        "encrypted_regex: '^\\w+$'\n    mac_only_encrypted: true",
    ];
    for case in CASES {
        let shop = Workshop::new();
        for from in rules {
            shop.rule(from);
            let before = case.theirs(&shop);
            for to in rules {
                let rule = shop.rule(to);
                let after = case.rekey(&shop, &before, &rule);
                let theirs = case.theirs(&shop);
                let what = format!("{}: {from} -> {to}", case.ending);
                assert_eq!(case.decrypted(&shop, &after), case.decrypted(&shop, &theirs), "{what}\n{after}");
                if !matches!(case.format, Format::Yaml | Format::Json) {
                    assert_eq!(Case::marks(&after), Case::marks(&theirs), "{what}\n{after}\n{theirs}");
                }
                let ends =
                    |text: &str| Encrypted::parse(case.format, text.as_bytes()).unwrap().rekey_plan(&rule);
                assert!(ends(&theirs).unwrap().is_empty(), "{what}");
            }
        }
    }
}

/// Nothing is to be done when a policy only names the same readers in another order.
#[test]
fn the_order_of_readers_is_of_no_account() {
    for case in CASES {
        let shop = Workshop::new();
        let rule = shop.rule("");
        let before = case.theirs(&shop);
        let turned = Rule::own(rule.recipients().iter().rev().cloned());
        assert_eq!(case.rekey(&shop, &before, &turned), before);
    }
}

#[test]
fn a_recipient_that_was_put_in_is_put_out() {
    for case in CASES {
        let (shop, eve) = (Workshop::new(), guest());
        let rule = shop.rule("");
        let good = case.theirs(&shop);
        // She takes the place of somebody who cannot read any more, and waits.
        let bad = good.replace(shop.others[0].as_str(), eve.recipient.as_str());
        shop.write(&case.file("theirs"), &bad);
        shop.sops(&["rotate", "-i", &case.file("theirs")]);
        assert!(case.opens_for(&shop, &shop.read(&case.file("theirs")), &eve.private));
        let after = case.rekey(&shop, &bad, &rule);
        assert!(!after.contains(eve.recipient.as_str()));
        assert!(!case.opens_for(&shop, &after, &eve.private));
        assert_eq!(case.decrypted(&shop, &after), case.decrypted(&shop, &good));
    }
}

/// Stock sops looks for ciphertext at the beginning of a comment, and does not care what somebody wrote behind it.
#[test]
fn a_comment_with_something_behind_its_ciphertext_gets_the_new_data_key_too() {
    for case in CASES.iter().filter(|case| ["env", "ini", "yaml"].contains(&case.ending)) {
        for behind in [" ", "\t", " TODO ana"] {
            let (shop, ben) = (Workshop::new(), guest());
            let rule = shop.rule("");
            let list: Vec<&str> =
                rule.recipients().iter().chain([&ben.recipient]).map(Recipient::as_str).collect();
            shop.write(".sops.yaml", &format!("creation_rules:\n  - age: {}\n", list.join(",")));
            let sealed = case.theirs(&shop);
            let before = sealed.replace("type:comment]\n", &format!("type:comment]{behind}\n"));
            assert_ne!(before, sealed, "{}", case.ending);
            let after = case.rekey(&shop, &before, &rule);
            assert_eq!(
                case.decrypted(&shop, &after),
                case.decrypted(&shop, &sealed),
                "{}{behind:?}",
                case.ending
            );
            assert_eq!(after.matches("TODO ana").count(), before.matches("TODO ana").count());
        }
    }
}

/// Stock sops does not encrypt empty values, and a file may have no others.
#[test]
fn a_file_with_nothing_but_empty_values_changes_its_readers() {
    for (format, ending, text) in [
        (Format::Yaml, "yaml", "TOKEN: \"\"\n"),
        (Format::Json, "json", "{\"TOKEN\": \"\", \"n\": null}"),
        (Format::Dotenv, "env", "TOKEN=\n"),
        (Format::Ini, "ini", "[a]\nTOKEN =\n"),
        (Format::Binary, "bin", ""),
    ] {
        let case = Case { format, ending, text };
        let (shop, ben) = (Workshop::new(), guest());
        let rule = shop.rule("");
        let readers = rule.recipients().iter().cloned().chain([ben.recipient.clone()]);
        let before = case.theirs(&shop);
        let with = case.rekey(&shop, &before, &Rule::own(readers));
        assert!(case.opens_for(&shop, &with, &ben.private), "{ending}");
        let without = case.rekey(&shop, &with, &rule);
        assert!(!case.opens_for(&shop, &without, &ben.private), "{ending}");
        assert_eq!(case.decrypted(&shop, &without), case.decrypted(&shop, &before), "{ending}");
    }
}
