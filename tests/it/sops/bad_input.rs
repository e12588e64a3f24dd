//! What no SOPS file, or no value in one, can be: an error of its own, with its place. Nothing can be written then, as only
//! a sealed file has bytes.

use aes_gcm::aead::consts::{U1, U12, U16, U20, U32, U33, U64};
use aes_gcm::aead::{Aead as _, KeyInit as _, Payload, array::ArraySize};
use aes_gcm::aes::Aes256;
use aes_gcm::{AesGcm, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use provision::sops::{Encrypted, Format, OpenError, ValueError};

use super::case::{Case, cases};
use super::workshop::{Workshop, path};

type Damage = fn(&Case) -> String;

/// What is done to a value, and what is said of it.
const VALUES: &[(ValueError, Damage)] = &[
    (ValueError::NotEncrypted, |case| case.edited(case.secret(), "type:str]", "type:str] and more")),
    (ValueError::NotEncrypted, |case| case.edited(case.secret(), "type:str]", "type:str")),
    (ValueError::NotEncrypted, |case| case.edited(case.secret(), "AES256_GCM", "AES128_GCM")),
    (ValueError::NotEncrypted, |case| case.edited(case.secret(), ",iv:", ",nonce:")),
    (ValueError::NotEncrypted, |case| case.with_value(case.secret(), &case.written("hello"))),
    (ValueError::Damaged, |case| case.edited(case.secret(), "=,type", ",type")),
    (ValueError::Damaged, |case| case.edited(case.secret(), "data:", "data:*")),
    (ValueError::Damaged, |case| with_part(case, "tag", "AAAA")),
    (ValueError::Damaged, |case| with_part(case, "iv", "====")),
    (ValueError::NotAuthentic, |case| with_part(case, "iv", "AAAA")),
    (ValueError::NotAuthentic, |case| case.flipped(case.secret(), "iv:")),
    (ValueError::UnknownType, |case| case.edited(case.secret(), "type:str", "type:uuid")),
    (ValueError::NotOfItsType, |case| case.edited(case.secret(), "type:str", "type:int")),
    (ValueError::NotOfItsType, |case| case.edited(case.secret(), "type:str", "type:time")),
];

/// With another text for one of the fields of the ciphertext.
fn with_part(case: &Case, part: &str, text: &str) -> String {
    let value = case.value(case.secret());
    let start = value.find(&format!("{part}:")).unwrap() + part.len() + 1;
    let end = start + value[start..].find(',').unwrap();
    case.with_value(case.secret(), &format!("{}{text}{}", &value[..start], &value[end..]))
}

#[test]
fn a_damaged_value_is_an_error_with_its_place_in_every_format() {
    let shop = Workshop::new();
    for case in cases(&shop) {
        for (wanted, damage) in VALUES {
            let text = damage(&case);
            let file = Encrypted::parse(case.format, text.as_bytes()).unwrap();
            let error = file.open(&shop.identities()).unwrap_err();
            let OpenError::Value { position, path: at, reason } = &error else { panic!("{error}") };
            assert_eq!(reason, wanted, "{}", case.name);
            let keys: Vec<&str> =
                if case.format == Format::Ini { vec!["s", "a"] } else { vec![case.secret()] };
            assert_eq!(*at, provision::sops::Path::of_keys(keys));
            let line =
                case.text.lines().position(|line| line == case.line(case.secret()).trim_end()).unwrap() + 1;
            assert_eq!(position.line, line, "{}", case.name);
            assert!(error.to_string().starts_with(&format!("{position}: ")), "{error}");
        }
    }
}

/// sops writes 32 bytes of nonce, and reads any number.
#[test]
fn nonces_of_other_lengths_are_read_as_stock_sops_reads_them() {
    let shop = Workshop::new();
    shop.rule("");
    let theirs = shop.encrypt("a: one\nb: 2\n");
    let key = shop.data_key(&theirs);
    let sealed = [
        sealed::<U1>(&key),
        sealed::<U12>(&key),
        sealed::<U16>(&key),
        sealed::<U20>(&key),
        sealed::<U33>(&key),
        sealed::<U64>(&key),
    ];
    for value in sealed {
        let line = theirs.lines().next().unwrap();
        let text = theirs.replacen(line, &format!("a: {value}"), 1);
        assert_eq!(shop.decrypt(&text)["a"], "one");
        assert_eq!(shop.open(&text).get(&path(r#"["a"]"#)).unwrap().unwrap().expose(), "one");
        let other = text.replacen("a: ENC[AES256_GCM,data:", "a: ENC[AES256_GCM,data:AAAA", 1);
        let error = Encrypted::parse(Format::Yaml, other.as_bytes()).unwrap().open(&shop.identities());
        assert!(matches!(error, Err(OpenError::Value { reason: ValueError::NotAuthentic, .. })));
    }
}

/// Go reads a truth in more spellings than it writes.
#[test]
fn truths_are_read_in_the_spellings_that_stock_sops_reads() {
    let shop = Workshop::new();
    shop.rule("");
    for wanted in [true, false] {
        let theirs = shop.encrypt(&format!("a: {wanted}\n"));
        let key = shop.data_key(&theirs);
        let line = theirs.lines().next().unwrap();
        for spelling in
            ["1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False", "yes", "tRue"]
        {
            let value = encrypted::<U32>(&key, spelling.as_bytes(), "bool");
            let text = theirs.replacen(line, &format!("a: {value}"), 1);
            shop.write("file.yaml", &text);
            let theirs = shop.run(&["decrypt", "file.yaml"]).status.success();
            let ours = Encrypted::parse(Format::Yaml, text.as_bytes()).unwrap().open(&shop.identities());
            assert_eq!(ours.is_ok(), theirs, "{spelling} for {wanted}");
        }
    }
}

/// `one` at `["a"]`.
fn sealed<N: ArraySize>(key: &[u8]) -> String {
    encrypted::<N>(key, b"one", "str")
}

/// A value at `["a"]`.
fn encrypted<N: ArraySize>(key: &[u8], value: &[u8], kind: &str) -> String {
    let nonce = Nonce::<N>::from_fn(|at| u8::try_from(at).unwrap() ^ 0x5a);
    let cipher = AesGcm::<Aes256, N>::new_from_slice(key).unwrap();
    let sealed = cipher.encrypt(&nonce, Payload { msg: value, aad: b"a:" }).unwrap();
    let (data, tag) = sealed.split_at(value.len());
    let [data, iv, tag] = [data, nonce.as_slice(), tag].map(|bytes| STANDARD.encode(bytes));
    format!("ENC[AES256_GCM,data:{data},iv:{iv},tag:{tag},type:{kind}]")
}

/// What is read, and the place and the beginning of what is said.
const DOCUMENTS: &[(Format, &[u8], &str)] = &[
    (Format::Yaml, b"a: 1\nb: 2\n\"a\": 3\n", "3:1: the key `a` is already at line 1"),
    (Format::Yaml, b"a:\n  - {x: 1, y: 2, x: 3}\n", "2:18: the key `x` is already at line 2"),
    (Format::Yaml, b"- a\n", "the document must be a mapping"),
    (Format::Yaml, b"text\n", "the document must be a mapping"),
    (Format::Yaml, b"", "the document must be a mapping"),
    (Format::Yaml, b"a: 1\n---\n- b\n", "the document must be a mapping"),
    (Format::Yaml, b"a:\n  1: x\n", "2:3: the key `1` is not a text"),
    (Format::Yaml, b"true: x\n", "1:1: the key `true` is not a text"),
    (Format::Yaml, b"~: x\n", "1:1: the key `~` is not a text"),
    (Format::Yaml, b"2001-12-14: x\n", "1:1: the key `2001-12-14` is not a text"),
    (Format::Yaml, b"? [a]\n: x\n", "1:3: a key must be"),
    (Format::Yaml, b"a: &k x\n*k : y\n", "2:1: a key must be"),
    (Format::Yaml, b"a: *k\n", "1:4:"),
    (Format::Yaml, b"a: 1\nb: \xff\n", "2:4: not UTF-8"),
    (Format::Yaml, b"a: [1\n", "1:4: unclosed"),
    (Format::Json, b"{\"a\": 1,\n \"a\": 2}", "2:2: the key `a` is already at line 1"),
    (Format::Json, b"[{}]", "the document must be a mapping"),
    (Format::Json, b"\"a\"", "the document must be a mapping"),
    (Format::Json, b"", "1:1: the document ends"),
    (Format::Json, b"{1: 2}", "1:2: a key in double quotes"),
    (Format::Json, b"{\"a\": \"\xff\"}", "1:8: not UTF-8"),
    (Format::Json, b"{\"a\": 1} x", "1:10: something stands behind"),
    (Format::Json, b"{\"a\": 01}", "1:7: not a number"),
    (Format::Json, b"\xef\xbb\xbf{}", "1:1: a byte order mark"),
    (Format::Dotenv, b"A=1\n\nA=2\n", "3:1: the key `A` is already at line 1"),
    (Format::Dotenv, b"A=1\r\n\r\n", "2:1: neither a comment"),
    (Format::Dotenv, b"A=1\nB=\xff\n", "2:3: not UTF-8"),
    (Format::Dotenv, b"A=1\nsops_age__list_x__map_enc=1\n", "2:1: the number of a list"),
    (Format::Dotenv, b"A=1\nsops_a=1\nsops_a__map_b=1\n", "3:1: another line of the metadata"),
    (Format::Ini, b"[s]\na = 1\na = 2\n", "3:1: the key `a` is already at line 2"),
    (Format::Ini, b"[s]\n[t]\n[s]\n", "3:2: the section `s` is already at line 1"),
    (Format::Ini, b"[s]\na = \xff\n", "2:5: not UTF-8"),
    (Format::Ini, b"[s]\nno delimiter\n", "2:1: neither a section"),
    (Format::Ini, b"[sops]\nx = 1\n[sops]\n", "3:1: a second section `sops`"),
    (Format::Binary, b"{\"data\": 1}", "a binary file must be"),
    (Format::Binary, b"{\"data\": \"x\", \"b\": 1}", "a binary file must be"),
    (Format::Binary, b"{\"data\": \"\xff\"}", "1:11: not UTF-8"),
    (Format::Binary, b"plain", "1:1: a value should"),
];

#[test]
fn what_no_document_can_be_is_an_error_with_its_place() {
    for (format, text, wanted) in DOCUMENTS {
        let error = Encrypted::parse(*format, text).unwrap_err().to_string();
        assert!(error.starts_with(wanted), "{format} {}: {error}", String::from_utf8_lossy(text));
    }
}

#[test]
fn what_is_too_long_or_too_deep_is_an_error_in_every_format() {
    let long = "x".repeat((64 << 20) + 1);
    let fields = format!("a=1\nsops{}=x\n", "__map_a".repeat(200));
    for (format, deep) in [
        (Format::Yaml, format!("a: {}{}\n", "[".repeat(200), "]".repeat(200))),
        (Format::Yaml, (0..200).map(|level| format!("{}a:\n", " ".repeat(level))).collect()),
        (Format::Json, format!("{{\"a\": {}{}}}", "[".repeat(200), "]".repeat(200))),
        (Format::Dotenv, fields.replace("sops__map_", "sops_")),
        (Format::Ini, format!("[s]\n{}", fields.replace("sops__map_", "[sops]\n"))),
        (Format::Binary, "[".repeat(200)),
    ] {
        let error = Encrypted::parse(format, deep.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("nested deeper than 100 levels"), "{format}: {error}");
        assert!(error.starts_with(|char: char| char.is_ascii_digit()), "{format}: {error}");
        let error = Encrypted::parse(format, long.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("more than the 67108864 that are read"), "{format}: {error}");
    }
}

#[test]
fn a_number_that_sops_cannot_hold_is_an_error_with_its_place() {
    let shop = Workshop::new();
    let cases = cases(&shop);
    let (yaml, json) = (&cases[0], &cases[1]);
    for (case, number) in
        [(yaml, "9223372036854775808"), (yaml, "0xFFFFFFFFFFFFFFFF"), (json, "1e999"), (json, "-1e400")]
    {
        let text = case.with_value("x_unencrypted", number);
        shop.write(case.name, &text);
        assert!(!shop.run(&["decrypt", case.name]).status.success(), "{number}");
        let file = Encrypted::parse(case.format, text.as_bytes()).unwrap();
        let error = file.open(&shop.identities()).unwrap_err();
        assert!(matches!(error, OpenError::Scalar { .. }), "{error}");
        assert!(error.to_string().contains(r#"["x_unencrypted"] is a"#), "{error}");
    }
}
