//! YAML files of several documents: one MAC over all, and the metadata of the first one in each.

use provision::sops::{Alone, Draft, Encrypted, Format, OpenError, StructureError};

use super::workshop::{Workshop, diff, now, path, secret};

const PLAIN: &str = "a: x\nn_unencrypted: 1\n---\n# note\na: second\nlist:\n    - b: z\n      c_unencrypted: w\n---\na: third\n";

fn assert_decrypts(shop: &Workshop, text: &str, wanted: &[&str]) {
    shop.write("file.yaml", text);
    let decrypted = shop.sops(&["decrypt", "file.yaml"]).stdout;
    for line in wanted {
        assert!(decrypted.lines().any(|have| have.trim() == *line), "{line} in {decrypted}");
    }
}

#[test]
fn a_file_of_several_documents_opens_and_is_edited() {
    let shop = Workshop::new();
    shop.rule("");
    let before = shop.encrypt(PLAIN);
    assert_eq!(before.matches("\nsops:\n").count(), 3);
    assert_eq!(shop.edit(&before, |_| ()), before);
    let at = path(r#"["a"]"#);
    let opened = shop.open(&before);
    assert_eq!(opened.get(&at).unwrap().unwrap().expose(), "x");
    assert_eq!(opened.file().leaf_paths().filter(|known| *known == at).count(), 3);

    let after = shop.edit(&before, |opened| {
        opened.set(&at, &secret("new")).unwrap();
        opened.set(&path(r#"["more"]"#), &secret("added")).unwrap();
    });
    // The value, its new sibling, and the time and the MAC of each document.
    assert_eq!(diff(&before, &after).len(), 2 + 1 + 3 * 4);
    let blocks: Vec<&str> = after
        .split("\n---\n")
        .map(|document| document.split_once("\nsops:\n").unwrap().1.trim_end())
        .collect();
    assert!(blocks.iter().all(|block| *block == blocks[0]));
    assert_decrypts(
        &shop,
        &after,
        &["a: new", "more: added", "a: second", "- b: z", "a: third", "n_unencrypted: 1"],
    );

    let removed = shop.edit(&after, |opened| opened.remove(&at).unwrap());
    assert_decrypts(&shop, &removed, &["more: added", "a: second", "a: third"]);
    shop.sops(&["set", "file.yaml", r#"["more"]"#, r#""by sops""#]);
    let opened = shop.open(&shop.read("file.yaml"));
    assert_eq!(opened.get(&path(r#"["more"]"#)).unwrap().unwrap().expose(), "by sops");
}

#[test]
fn a_new_file_of_several_documents_has_the_block_in_each() {
    let shop = Workshop::new();
    let rule = shop.rule("");
    for plain in [
        PLAIN.to_owned(),
        PLAIN.replace('\n', "\r\n"),
        PLAIN.trim_end().to_owned(),
        format!("\u{feff}---\n{PLAIN}"),
        format!("{}# the end\n", PLAIN.replace("---\n", "\n---   \n\n")),
    ] {
        let mut draft = Draft::parse(Format::Yaml, &plain).unwrap();
        draft.set(&path(r#"["a"]"#), secret("put in")).unwrap();
        let sealed = draft.seal(&rule, &Alone, now(), &[path(r#"["a"]"#)]).unwrap();
        let ours = String::from_utf8(sealed.bytes().to_vec()).unwrap();
        assert_eq!(ours.matches("\nsops:").count(), 3, "{ours}");
        assert_decrypts(
            &shop,
            &ours,
            &["a: put in", "n_unencrypted: 1", "a: second", "- b: z", "c_unencrypted: w", "a: third"],
        );
        shop.sops(&["set", "file.yaml", r#"["a"]"#, r#""by sops""#]);
        let opened = shop.open(&shop.read("file.yaml"));
        assert_eq!(opened.get(&path(r#"["a"]"#)).unwrap().unwrap().expose(), "by sops");
    }
}

#[test]
fn documents_that_were_changed_or_swapped_are_noticed() {
    let shop = Workshop::new();
    shop.rule("");
    let good = shop.encrypt(PLAIN);
    let documents: Vec<&str> = good.trim_end().split("\n---\n").collect();
    let rows = [
        ("clear value", good.replace("c_unencrypted: w", "c_unencrypted: v"), false),
        ("swapped", format!("{}\n---\n{}\n---\n{}\n", documents[0], documents[2], documents[1]), false),
        ("dropped", format!("{}\n---\n{}\n", documents[0], documents[1]), false),
        (
            "metadata of the second",
            {
                let (first, rest) = good.split_once("\n---\n").unwrap();
                format!("{first}\n---\n{}", rest.replacen("    mac: ENC[", "    mac: x[", 1))
            },
            true,
        ),
        ("an empty one more", format!("{good}---\n"), true),
        ("a mapping more", format!("{good}---\n{{}}\n"), true),
    ];
    for (what, text, opens) in rows {
        shop.write("file.yaml", &text);
        let theirs = shop.run(&["decrypt", "file.yaml"]).status.success();
        let ours = Encrypted::parse(Format::Yaml, text.as_bytes()).unwrap().open(&shop.identities());
        assert_eq!((theirs, ours.is_ok()), (opens, opens), "{what}");
        assert!(opens || matches!(ours.unwrap_err(), OpenError::MacMismatch), "{what}");
    }
    let list = format!("{good}---\n- a\n");
    let error = Encrypted::parse(Format::Yaml, list.as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), StructureError::RootNotMapping.to_string());
}
