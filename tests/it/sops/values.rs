//! What stock sops writes opens here to the same values; what we write it decrypts to the same.

use aes_gcm::aead::array::ArraySize;
use aes_gcm::aead::array::typenum::{U1, U8, U12, U15, U16, U17, U32, U60, U64};
use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::aes::Aes256;
use aes_gcm::{AesGcm, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use provision::sops::{Alone, Draft, Encrypted, Format, Rule, ValueSealer};

use super::workshop::{Workshop, assert_same_values, now, path, secret};

const DOCUMENT: &str = r#"# Credentials of qa

gitlab:
  host: https://gitlab.com   # where it is
  token: 'to be set'
  "quoted key": "a \"quoted\" value"

  # how it is reached
  port: 8080
  ratio: 0.25
  big: 1e21
  secure: true
  nothing: null
  absent:
  empty: ""
  day: 2001-12-14
flow: {a: 1, b: [x, "y z", {c: d}]}
list:
  - one
  - 2
  - nested:
      - deep: value
        other_unencrypted: 5
    more: x
text: |
  first line
    second line

folded: >-
  some words
  and more
unicode: héllo 漢字 😀
"with: colon": x
'': empty key
clear_unencrypted:
  number: 0x1F
  words: some words
  list: [1, 2.50, yes, ~]
  day: 2001-1-4
last: x
"#;

/// Selection rules, and whether the MAC covers only what is encrypted.
const RULES: &[&str] = &[
    "",
    "unencrypted_suffix: _clear",
    "encrypted_suffix: _unencrypted",
    "unencrypted_regex: ^(gitlab|list)$",
    "encrypted_regex: ^(token|text|flow)$",
    "encrypted_regex: '(?i)TOKEN|\\bday\\b'",
    "mac_only_encrypted: true",
    "encrypted_regex: ^(token|text|flow)$\n    mac_only_encrypted: true",
];

#[test]
fn what_stock_sops_writes_opens_to_the_same_values() {
    let shop = Workshop::new();
    for lines in RULES {
        let rule = shop.rule(lines);
        let text = shop.encrypt(DOCUMENT);
        let opened = shop.open(&text);
        assert_same_values(&opened, &shop.decrypt(&text));
        assert_eq!(opened.file().differences(&rule), [], "{lines}");
        assert_eq!(opened.file().recipients().len(), 3);
    }
}

#[test]
fn what_we_write_stock_sops_decrypts_to_the_same_values() {
    let shop = Workshop::new();
    for lines in RULES {
        let rule = shop.rule(lines);
        let wanted = shop.decrypt(&shop.encrypt(DOCUMENT));
        let ours = Workshop::seal(DOCUMENT, &rule);
        assert_eq!(shop.decrypt(&ours), wanted, "{lines}");
        assert_same_values(&shop.open(&ours), &wanted);
    }
}

#[test]
fn our_metadata_is_in_the_order_and_form_of_stock_sops() {
    let shop = Workshop::new();
    for lines in ["", "encrypted_regex: '^(a|b: c)$'\n    mac_only_encrypted: true"] {
        let rule = shop.rule(lines);
        let shape = |text: &str| {
            let (_, block) = text.split_once("\nsops:\n").unwrap();
            let blank = |line: &str| {
                // Ciphertexts and the time differ; so does the length of an age file.
                let is_armor = line.starts_with("            ") && !line.contains("-----");
                if is_armor { String::new() } else { line.split("ENC[").next().unwrap().to_owned() }
            };
            let mut lines: Vec<_> = block.lines().map(blank).filter(|line| !line.is_empty()).collect();
            for line in &mut lines {
                if line.starts_with("    lastmodified: \"") {
                    line.truncate("    lastmodified: \"".len());
                }
            }
            lines
        };
        assert_eq!(shape(&Workshop::seal("a: 1\n", &rule)), shape(&shop.encrypt("a: 1\n")), "{lines}");
    }
}

#[test]
fn stock_sops_sets_rotates_and_rekeys_what_we_write() {
    let shop = Workshop::new();
    let rule = shop.rule("");
    shop.write("file.yaml", &Workshop::seal(DOCUMENT, &rule));
    shop.sops(&["set", "file.yaml", r#"["gitlab"]["token"]"#, r#""by sops""#]);
    shop.sops(&["rotate", "-i", "file.yaml"]);
    let [ben, _] = &shop.others;
    shop.write(".sops.yaml", &format!("creation_rules:\n  - age: {},{ben}\n", shop.recipient));
    shop.sops(&["updatekeys", "-y", "file.yaml"]);
    let opened = shop.open(&shop.read("file.yaml"));
    assert_eq!(opened.get(&path(r#"["gitlab"]["token"]"#)).unwrap().unwrap().expose(), "by sops");
    assert_eq!(opened.file().differences(&Rule::own([shop.recipient.clone(), ben.clone()])), []);
    assert_same_values(&opened, &shop.decrypt(opened.file().text()));
}

#[test]
fn a_sealed_value_is_a_file_that_stock_sops_decrypts() {
    let shop = Workshop::new();
    let sealer = ValueSealer::new(&shop.rule(""), &Alone, now()).unwrap();
    let sealed = sealer.seal(&secret("glpat-1\n2"), now()).unwrap();
    let text = str::from_utf8(sealed.bytes()).unwrap();
    assert_eq!(shop.decrypt(text), serde_json::json!({"value": "glpat-1\n2"}));
}

#[test]
fn odd_values_set_by_us_are_read_by_stock_sops() {
    let shop = Workshop::new();
    let rule = shop.rule("");
    let values = [
        "a: b",
        "- x",
        "#c",
        "it's \"both\"",
        "back\\slash",
        "two\nlines\n",
        " pad ",
        "\ttab\r",
        "é漢😀",
        "\u{85}\u{2028}\u{feff}\u{1}",
        "5",
        "true",
        "~",
        "2001-01-01",
        "*a",
        "{x}",
        "%y",
        "@z",
        "<<",
    ];
    let names: Vec<_> = (0..values.len()).map(|index| format!("k{index}")).collect();
    let lines: String = names.iter().map(|name| format!("{name}: x\n{name}_unencrypted: x\n")).collect();
    let mut draft = Draft::parse(Format::Yaml, &lines).unwrap();
    for (name, value) in names.iter().zip(values) {
        draft.set(&path(&format!("[\"{name}\"]")), secret(value)).unwrap();
        draft.set(&path(&format!("[\"{name}_unencrypted\"]")), secret(value)).unwrap();
    }
    let sealed = draft.seal(&rule, &Alone, now(), &[]).unwrap();
    let json = shop.decrypt(str::from_utf8(sealed.bytes()).unwrap());
    for (name, value) in names.iter().zip(values) {
        assert_eq!(json[name], value);
        assert_eq!(json[format!("{name}_unencrypted")], value);
    }
}

#[test]
fn a_comment_in_a_list_written_by_stock_sops_does_not_break_the_mac() {
    let shop = Workshop::new();
    shop.rule("");
    let text = shop.encrypt("list:\n  # a note\n  - one\n  - two\n");
    assert!(text.contains("type:comment]"));
    let after = shop.edit(&text, |opened| opened.set(&path(r#"["list"][2]"#), &secret("three")).unwrap());
    assert_eq!(shop.decrypt(&after), serde_json::json!({"list": ["one", "three"]}));
}

#[test]
fn a_rule_that_does_not_compile_is_an_error_here_though_stock_sops_writes_plaintext() {
    let shop = Workshop::new();
    let policy = format!("creation_rules:\n  - age: {}\n    encrypted_regex: (unclosed\n", shop.recipient);
    shop.write(".sops.yaml", &policy);
    let theirs = shop.encrypt("a: canary\n");
    assert!(theirs.contains("canary"));
    assert!(provision::sops::Policy::parse(&policy).unwrap().rule_for("plain.yaml").is_err());
    assert!(Encrypted::parse(Format::Yaml, theirs.as_bytes()).is_err());
}

#[test]
fn values_with_nonces_of_any_length_open_as_they_do_for_stock_sops() {
    fn encrypted<N: ArraySize>(key: &[u8]) -> (usize, String) {
        let nonce = Nonce::<N>::from_fn(|at| u8::try_from(at).unwrap() ^ 0xa5);
        let cipher = AesGcm::<Aes256, N>::new_from_slice(key).unwrap();
        let mut data = cipher.encrypt(&nonce, Payload { msg: b"canary, of two blocks", aad: b"a:" }).unwrap();
        let tag = data.split_off(data.len() - 16);
        let (data, iv, tag) = (STANDARD.encode(data), STANDARD.encode(nonce), STANDARD.encode(tag));
        (N::USIZE, format!("ENC[AES256_GCM,data:{data},iv:{iv},tag:{tag},type:str]"))
    }
    let shop = Workshop::new();
    shop.rule("");
    let text = shop.encrypt("a: canary, of two blocks\n");
    let before = shop.open(&text).file().leaf(&path(r#"["a"]"#)).unwrap().to_owned();
    let key = shop.data_key(&text);
    for (length, leaf) in [
        encrypted::<U1>(&key),
        encrypted::<U8>(&key),
        encrypted::<U12>(&key),
        encrypted::<U15>(&key),
        encrypted::<U16>(&key),
        encrypted::<U17>(&key),
        encrypted::<U32>(&key),
        encrypted::<U60>(&key),
        encrypted::<U64>(&key),
    ] {
        let other = text.replace(&before, &leaf);
        assert_eq!(shop.decrypt(&other), serde_json::json!({"a": "canary, of two blocks"}), "{length}");
        let opened = shop.open(&other);
        assert_eq!(opened.get(&path(r#"["a"]"#)).unwrap().unwrap().expose(), "canary, of two blocks");
    }
}

/// In dotenv and INI everything is a text, and stock sops knows one that is true; what is neither `true` nor `false` is
/// refused here.
#[test]
fn a_flag_in_flat_formats_is_true_for_the_one_text_that_is_true_for_stock_sops() {
    let shop = Workshop::new();
    shop.rule("mac_only_encrypted: true");
    for (name, plain) in [("x.env", "A=x\nB_unencrypted=y\n"), ("x.ini", "[s]\nA = x\nB_unencrypted = y\n")] {
        shop.write(name, plain);
        shop.sops(&["encrypt", "-i", name]);
        let text = shop.read(name);
        let at = text.find("mac_only_encrypted").unwrap();
        let (head, tail) = text.split_at(at);
        for spelling in ["true", "True", "TRUE", "t", "1", "yes", "false", ""] {
            let other = format!("{head}{}", tail.replacen("true", spelling, 1));
            shop.write(name, &other);
            let theirs = shop.run(&["decrypt", name]).status.success();
            let ours = Encrypted::parse(Format::of_path(name), other.as_bytes());
            let ours = ours.is_ok_and(|file| file.open(&shop.identities()).is_ok());
            assert_eq!(ours, theirs, "{name} {spelling}");
        }
    }
}

/// Versions of sops differ in how often they escape the line breaks of INI metadata.
#[test]
fn line_breaks_of_ini_metadata_are_read_with_one_backslash_or_two() {
    let shop = Workshop::new();
    shop.rule("");
    shop.write("x.ini", "[s]\nA = x\n");
    shop.sops(&["encrypt", "-i", "x.ini"]);
    let one = shop.read("x.ini");
    let two = one.replace(r"\n", r"\\n");
    assert_ne!(one, two);
    for before in [one, two] {
        let at = path(r#"["s"]["A"]"#);
        assert_eq!(shop.open_as(Format::Ini, &before).get(&at).unwrap().unwrap().expose(), "x");
        let after = shop.edit_as(Format::Ini, &before, |opened| opened.set(&at, &secret("y")).unwrap());
        let keys = |text: &str| {
            text.lines().filter(|line| line.contains("_enc")).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(keys(&after), keys(&before));
    }
}
