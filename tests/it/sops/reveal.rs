//! A document in the clear: what stock sops prints for its own files, and the very draft for ours.

use provision::sops::{Alone, Draft, Encrypted, Format, Path};

use super::workshop::{Workshop, now};

/// Documents in the layout of stock sops, by the ending of their file.
const STOCK: &[(&str, &str)] = &[
    ("yaml", "a: 1\n---\nb: x\n# note\nc:\n    - z\n---\n{}\n---\n{}\n"),
    ("yaml", "a: x\nm:\n    !!merge <<:\n        b: x\n    \"y\": |\n        l1\n        l2\n"),
    (
        "json",
        "{\n\t\"a\": \"x\\n\\u0001\\\"é\",\n\t\"n\": {\n\t\t\"b\": [\n\t\t\t1.5,\n\t\t\ttrue,\n\t\t\tnull,\n\t\t\t-0,\n\t\t\t1000,\n\t\t\t{}\n\t\t],\n\t\t\"c\": \"\"\n\t},\n\t\"l_unencrypted\": []\n}\n",
    ),
    ("json", "{\n\t\"only\": \"one\"\n}\n"),
    ("env", "A=1\nB=two words\n# note\nC=\"q\"\nD=l1\\nl2\nE=\nF_unencrypted=a=b\n"),
    ("env", "\u{feff}A=1\r\n# note\r\nB=2\r\n"),
    ("ini", "top = 1\n\n[s]\n; note\na = 1\nb = q\n\n[t]\nc = `x;y`\n; more\nd = e\n\n[empty]\n"),
    ("ini", "[s]\na_unencrypted = 1\n"),
    ("txt", "any\r\nthing"),
    ("txt", ""),
];

/// Values equal, written otherwise: `&` is `&` in JSON, and no exponent is used.
const VALUES: &[(&str, &str)] = &[
    (
        "json",
        "{\n\t\"a\": \"x<y>&\\u2028\\u007f\\b\\f\",\n\t\"n\": [\n\t\t1e+21,\n\t\t1e-7,\n\t\t12345678901\n\t]\n}\n",
    ),
    ("yaml", "a: 0x10\nb: 'quoted'\nc: [1, 1.50, 2001-12-14]\n"),
];

/// Drafts of ours, which come back byte for byte.
const OURS: &[(Format, &str)] = &[
    (Format::Yaml, "---\n# note\na:   x # why\n\nb:\n  - one\n\n  - two\n"),
    (Format::Yaml, "a: x\r\nb: |\r\n    l1\r\n    l2\r\nc: z\r\n"),
    (Format::Yaml, "l: [&a \"x\", *a]\nb_unencrypted: &b {x: 1}\nm_unencrypted:\n  <<: *b # why\n"),
    (Format::Json, "{ \"a\": \"x\",\r\n  \"b\": [1, 2] }\r\n"),
    (Format::Json, "{\"a\":{\"b\":\"c\"}}"),
    (Format::Dotenv, "\u{feff}A=1\n\n# note\n\nB=x y\r\n"),
    (Format::Dotenv, "# only\n\nA=1\n"),
    (Format::Ini, "\u{feff}[s]\r\n\r\n; note\r\na=1\r\nb : 2\r\n"),
    (Format::Ini, "top = x\n\n\n[s]\n; one\n; two\na   = `x;y`\n"),
];

fn encrypted(shop: &Workshop, name: &str, text: &str) -> Encrypted {
    shop.write(name, text);
    shop.sops(&["encrypt", "-i", name]);
    Encrypted::parse(Format::of_path(name), shop.read(name).as_bytes()).unwrap()
}

fn shown(shop: &Workshop, file: Encrypted) -> String {
    String::from_utf8(file.open(&shop.identities()).unwrap().document().unwrap().to_vec()).unwrap()
}

#[test]
fn what_stock_sops_decrypts_is_shown_byte_for_byte() {
    let shop = Workshop::new();
    shop.rule("");
    for (index, (ending, text)) in STOCK.iter().enumerate() {
        let name = format!("{index}.{ending}");
        let file = encrypted(&shop, &name, text);
        assert_eq!(shop.sops(&["decrypt", &name]).stdout, *text, "{name}");
        assert_eq!(shown(&shop, file), *text, "{name}");
    }
}

#[test]
fn what_is_written_otherwise_has_the_same_values() {
    let shop = Workshop::new();
    shop.rule("");
    for (index, (ending, text)) in VALUES.iter().enumerate() {
        let name = format!("{index}.{ending}");
        let file = encrypted(&shop, &name, text);
        let ours = shown(&shop, file);
        let stock = shop.sops(&["decrypt", "--output-type", "json", &name]).stdout;
        shop.write(&name, &ours);
        shop.sops(&["encrypt", "-i", &name]);
        assert_eq!(shop.sops(&["decrypt", "--output-type", "json", &name]).stdout, stock, "{name}");
    }
}

#[test]
fn our_own_drafts_come_back_byte_for_byte() {
    let shop = Workshop::new();
    let rule = shop.rule("");
    for (format, draft) in OURS {
        let sealed = Draft::parse(*format, draft).unwrap().seal(&rule, &Alone, now(), &[]).unwrap();
        let file = Encrypted::parse(*format, sealed.bytes()).unwrap();
        assert_eq!(shown(&shop, file), *draft);
    }
}

#[test]
fn a_binary_file_is_its_content_whatever_the_bytes() {
    let shop = Workshop::new();
    let rule = shop.rule("");
    let content = b"\x00\xff\xfe not text\r\n";
    let sealed = Draft::parse(Format::Binary, content).unwrap().seal(&rule, &Alone, now(), &[]).unwrap();
    let opened = Encrypted::parse(Format::Binary, sealed.bytes()).unwrap().open(&shop.identities()).unwrap();
    assert_eq!(*opened.document().unwrap(), content);
    assert!(opened.json(&Path::default()).is_err());
    std::fs::write(shop.file("x.bin"), sealed.bytes()).unwrap();
    assert_eq!(shop.run(&["decrypt", "x.bin"]).stdout, content);
}

#[test]
fn values_as_json_are_those_that_stock_sops_gives() {
    let shop = Workshop::new();
    shop.rule("");
    for (index, (ending, text)) in STOCK.iter().chain(VALUES).enumerate() {
        let name = format!("{index}.{ending}");
        let opened = encrypted(&shop, &name, text).open(&shop.identities()).unwrap();
        let ours = opened.json(&Path::default()).unwrap();
        let stock = shop.sops(&["decrypt", "--output-type", "json", &name]).stdout;
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let (mut ours, mut stock) = (read(ours.expose()), read(&stock));
        // Of several documents it gives the first one.
        if let serde_json::Value::Array(documents) = ours {
            ours = documents.into_iter().next().unwrap();
        }
        if *ending == "ini" && stock["DEFAULT"] == serde_json::json!({}) {
            // A section that no INI file has when nothing is in it.
            stock.as_object_mut().unwrap().remove("DEFAULT");
        }
        assert_eq!(ours, stock, "{name}");
    }
}

#[test]
fn a_comment_in_a_list_of_json_is_left_out_as_stock_sops_does() {
    let shop = Workshop::new();
    shop.rule("");
    for plain in [
        "a: x\nlist:\n    - one\n    # note\n    - two\n",
        "list:\n    # first\n    # second\n    - one\n    - b: c\n    # note\n    - two\n    # last\n    # of all\nz: x\n",
        "list:\n    - - one\n      # deep\n      - two\n    # note\n    - []\n    - [x]\n",
    ] {
        shop.write("plain.yaml", plain);
        let theirs = shop.sops(&["encrypt", "--output-type", "json", "plain.yaml"]).stdout;
        assert!(theirs.contains("type:comment]"), "{theirs}");
        shop.write("file.json", &theirs);
        let wanted = shop.sops(&["decrypt", "file.json"]).stdout;
        let opened = shop.open_as(Format::Json, &theirs);
        assert_eq!(String::from_utf8(opened.document().unwrap().to_vec()).unwrap(), wanted);
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(opened.json(&Path::default()).unwrap().expose()), read(&wanted));
    }
}
