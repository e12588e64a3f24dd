//! Files with groups of keys (Shamir) between us and the stock sops.

use provision::sops::{Draft, Encrypted, Format, Identities, Policy, Rule};

use super::workshop::{Workshop, now, path, secret};
use crate::support::guest::{Guest, guest};

const FORMATS: [(Format, &str, &str); 5] = [
    (Format::Yaml, "file.yaml", "a: one\n# two\nb:\n  - 2\n"),
    (Format::Json, "file.json", "{\n  \"a\": \"one\"\n}\n"),
    (Format::Dotenv, "file.env", "a=one\n"),
    (Format::Ini, "file.ini", "[a]\na = one\n"),
    (Format::Binary, "file.bin", "one"),
];

fn policy(threshold: usize, groups: &[&[&Guest]]) -> String {
    let mut text = format!("creation_rules:\n- shamir_threshold: {threshold}\n  key_groups:\n");
    for group in groups {
        text += "  - age:\n";
        for guest in *group {
            text += &format!("    - {}\n", guest.recipient);
        }
    }
    text
}

fn rule(policy: &str) -> Rule {
    Policy::parse(policy).unwrap().rule_for("x").unwrap().clone()
}

fn identities(people: &[&Guest]) -> Identities {
    Identities::parse(people.iter().map(|guest| ("keys", secret(&guest.private)))).unwrap()
}

fn parsed(format: Format, text: &str) -> Encrypted {
    Encrypted::parse(format, text.as_bytes()).unwrap()
}

/// Runs the stock sops with these people's keys.
fn run(shop: &Workshop, people: &[&Guest], arguments: &[&str]) -> Option<String> {
    let keys: Vec<&str> = people.iter().map(|guest| guest.private.as_str()).collect();
    let output = crate::support::sops::command()
        .current_dir(shop.file("."))
        .env("HOME", shop.file("nowhere"))
        .env("SOPS_AGE_KEY", keys.join("\n"))
        .args(arguments)
        .output()
        .unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// People, and whether they can read the file together.
type Who<'a> = (Vec<&'a Guest>, bool);

/// Whether exactly those who shall can read the file, by the stock sops and by us.
fn check(shop: &Workshop, format: Format, name: &str, who: &[Who<'_>]) {
    for (people, reads) in who {
        assert_eq!(run(shop, people, &["decrypt", name]).is_some(), *reads, "{name}");
        assert_eq!(parsed(format, &shop.read(name)).open(&identities(people)).is_ok(), *reads, "{name}");
    }
}

#[test]
fn two_of_three_groups_read_what_either_side_has_written() {
    let (shop, ana, ben, eva) = (Workshop::new(), guest(), guest(), guest());
    let text = policy(2, &[&[&ana], &[&ben], &[&eva]]);
    shop.write(".sops.yaml", &text);
    let who: [Who<'_>; 5] = [
        (vec![&ana, &ben], true),
        (vec![&eva, &ana], true),
        (vec![&ana, &ben, &eva], true),
        (vec![&ana], false),
        (vec![], false),
    ];
    for (format, name, draft) in FORMATS {
        let sealed = Draft::parse(format, draft)
            .unwrap()
            .seal(&rule(&text), &provision::sops::Alone, now(), &[])
            .unwrap();
        shop.write(name, str::from_utf8(sealed.bytes()).unwrap());
        check(&shop, format, name, &who);
        shop.write(name, draft);
        run(&shop, &[], &["encrypt", "-i", name]).unwrap();
        check(&shop, format, name, &who);
        assert!(parsed(format, &shop.read(name)).differences(&rule(&text)).is_empty());
    }
}

#[test]
fn what_we_change_in_such_a_file_the_stock_sops_goes_on_with() {
    let (shop, ana, ben, eva) = (Workshop::new(), guest(), guest(), guest());
    let text = policy(2, &[&[&ana], &[&ben], &[&eva]]);
    shop.write(".sops.yaml", &text);
    for (format, name, draft) in FORMATS {
        if format == Format::Binary {
            continue;
        }
        shop.write(name, draft);
        run(&shop, &[], &["encrypt", "-i", name]).unwrap();
        let at = if format == Format::Ini { r#"["a"]["a"]"# } else { r#"["a"]"# };
        let mut opened = parsed(format, &shop.read(name)).open(&identities(&[&ana, &eva])).unwrap();
        opened.set(&path(at), &secret("two")).unwrap();
        let sealed = opened.seal(now(), &[]).unwrap();
        shop.write(name, str::from_utf8(sealed.bytes()).unwrap());
        assert_eq!(run(&shop, &[&ben, &eva], &["decrypt", "--extract", at, name]).unwrap().trim(), "two");
        let renewed = parsed(format, &shop.read(name)).open(&identities(&[&ana, &ben])).unwrap();
        let renewed = renewed.rotate_data_key(&rule(&text), now(), &[]).unwrap();
        shop.write(name, str::from_utf8(renewed.sealed.bytes()).unwrap());
        run(&shop, &[&ben, &eva], &["set", name, at, "\"three\""]).unwrap();
        run(&shop, &[&ben, &ana], &["rotate", "-i", name]).unwrap();
        let opened = parsed(format, &shop.read(name)).open(&identities(&[&ana, &eva])).unwrap();
        assert_eq!(opened.get(&path(at)).unwrap().unwrap().expose(), "three");
    }
}

/// Stock `sops updatekeys` says "already up to date" when only the threshold has changed.
#[test]
fn a_rekey_changes_groups_and_threshold_and_the_stock_sops_agrees() {
    let (shop, ana, ben, eva, ian) = (Workshop::new(), guest(), guest(), guest(), guest());
    let steps: [(String, Vec<Who<'_>>); 5] = [
        (policy(2, &[&[&ana], &[&ben], &[&eva]]), vec![(vec![&ana, &ben], true), (vec![&ana], false)]),
        (
            policy(3, &[&[&ana], &[&ben], &[&eva]]),
            vec![(vec![&ana, &ben], false), (vec![&ana, &ben, &eva], true)],
        ),
        (policy(2, &[&[&ana, &ian], &[&ben]]), vec![(vec![&ian, &ben], true), (vec![&ana, &eva], false)]),
        (policy(0, &[&[&ana, &ben]]), vec![(vec![&ana], true), (vec![&ben], true), (vec![&ian], false)]),
        (policy(2, &[&[&ian], &[&eva], &[&ben]]), vec![(vec![&ian, &eva], true), (vec![&ana], false)]),
    ];
    let everybody = [&ana, &ben, &eva, &ian];
    for (format, name, draft) in FORMATS {
        shop.write(".sops.yaml", &steps[4].0);
        shop.write(name, draft);
        run(&shop, &[], &["encrypt", "-i", name]).unwrap();
        let plain = run(&shop, &everybody, &["decrypt", name]).unwrap();
        for (text, who) in &steps {
            shop.write(".sops.yaml", text);
            let opened = parsed(format, &shop.read(name)).open(&identities(&everybody)).unwrap();
            let rekeyed = opened.rekey(&rule(text), now(), &[]).unwrap();
            shop.write(name, str::from_utf8(rekeyed.sealed.bytes()).unwrap());
            check(&shop, format, name, who);
            assert_eq!(run(&shop, &everybody, &["decrypt", name]).unwrap(), plain, "{name}");
            let before = shop.read(name);
            run(&shop, &everybody, &["updatekeys", "-y", name]).unwrap();
            assert_eq!(shop.read(name), before);
        }
    }
}

#[test]
fn groups_may_merge_others() {
    let (shop, ana, ben, eva) = (Workshop::new(), guest(), guest(), guest());
    let text = format!(
        "people: &people\n  merge:\n  - age: [{}]\n  age: [{}]\ncreation_rules:\n- key_groups:\n  - merge: [*people]\n  - age: [{}]\n",
        ana.recipient, ben.recipient, eva.recipient
    );
    shop.write(".sops.yaml", &text);
    shop.write("file.yaml", "a: one\n");
    run(&shop, &[], &["encrypt", "-i", "file.yaml"]).unwrap();
    assert!(parsed(Format::Yaml, &shop.read("file.yaml")).differences(&rule(&text)).is_empty());
    check(
        &shop,
        Format::Yaml,
        "file.yaml",
        &[(vec![&ben, &eva], true), (vec![&ana, &eva], true), (vec![&ana, &ben], false)],
    );
}
